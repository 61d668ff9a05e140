"""Reads archives of ``jwt-audit compact``: Parquet that holds each record as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

ARCHIVE: Final = ".parquet"

_ROWS: Final = 1_000  # in memory at a time


def requests(path: Path) -> Iterator[bytes]:
    """Each record of an archive, as an export request of its own.

    Raises:
        ValueError: it is no archive of the trail, or not a whole one.
        OSError: it cannot be read.
        ModuleNotFoundError: ``duckdb`` is not installed.
    """
    import duckdb

    path.open("rb").close()  # says in the usual words why it cannot be
    with duckdb.connect(config={"autoinstall_known_extensions": False, "threads": 1}) as connection:
        try:
            found = connection.execute("SELECT record FROM read_parquet(?, hive_partitioning = false)", [_plain(path)])
            while rows := found.fetchmany(_ROWS):
                for (record,) in rows:
                    yield b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[%b]}]}]}' % record.encode()
        except duckdb.Error as error:
            raise ValueError(str(error).partition("\n")[0]) from None


def _plain(path: Path) -> str:
    """The name, in which nothing stands for anything else."""
    return "".join(f"[{one}]" if one in "*?[" else one for one in str(path))
