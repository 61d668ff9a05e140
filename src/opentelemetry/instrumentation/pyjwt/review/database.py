"""DuckDB, kept within bounds: what does not fit into its memory goes to a folder that is gone afterwards."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

#: What DuckDB may hold in memory; it takes a few hundred MiB more for what it is just reading.
MEMORY: Final = "1GiB"

_STEP: Final = 0.1  # seconds between two looks at the progress


class Database:
    """A database in a folder of its own, that nobody else can read."""

    def __init__(self, connection: Any, folder: Path) -> None:
        self.connection = connection
        self.folder = folder

    def rows(self, statement: str, parameters: object = None) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self.connection.execute(statement, parameters).fetchall()
        return found

    def run(self, statement: str, advance: Callable[[float], object]) -> None:
        """What takes long; ``advance`` is told how much of it is newly done, 1 in the end."""
        told = 0.0
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(self.connection.execute, statement)
            try:
                while not wait([running], _STEP).done:
                    done = min(max(self.connection.query_progress() / 100, told), 1.0)  # -1: it does not know
                    advance(done - told)
                    told = done
            except BaseException:
                self.connection.interrupt()
                raise
            running.result()
        advance(1 - told)


@contextmanager
def database(memory: str = MEMORY) -> Iterator[Database]:
    """An empty database, for as long as the block lasts.

    Args:
        memory: what it may take, with its unit.
    """
    import duckdb

    with tempfile.TemporaryDirectory(prefix="jwt-audit-") as folder:
        settings: dict[str, Any] = {
            "memory_limit": memory,
            "temp_directory": os.path.join(folder, "spilled"),
            "threads": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
            "preserve_insertion_order": False,
            # Nothing is fetched from anywhere.
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        with duckdb.connect(os.path.join(folder, "database"), config=settings) as connection:
            connection.execute("SET enable_progress_bar = true; SET enable_progress_bar_print = false")
            yield Database(connection, Path(folder))
