"""What there is to review: journals, files that a Collector has written, and archives in Parquet."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from opentelemetry.instrumentation.pyjwt.journal import files
from opentelemetry.instrumentation.pyjwt.journal.files import Segment, UnreadableError

PARQUET: Final = ".parquet"


class Sources(NamedTuple):
    """Files by what they are."""

    segments: list[Segment]  #: of journals
    copies: list[Path]  #: OTLP JSON lines, compressed where their names end in ``.gz``
    archives: list[Path]  #: in Parquet

    @property
    def lines(self) -> list[Path]:
        """Files of OTLP JSON lines."""
        return [*(segment.path for segment in self.segments), *self.copies]

    @property
    def size(self) -> int:
        """Bytes of those."""
        return sum(path.stat().st_size for path in self.lines)


def find(paths: Iterable[Path]) -> Sources:
    """The files in these files and folders (recursively); a path may be a pattern.

    Raises:
        UnreadableError: there is no such path, no right to read it, nothing to read in it, or a segment is sealed.
    """
    given = list(paths)
    there = files.find([found for path in given for found in _matching(path)], also=(PARQUET,))
    copies = [path for path in there.copies if path.suffix != PARQUET]
    archives = [path for path in there.copies if path.suffix == PARQUET]
    if not there.paths:
        raise UnreadableError(f"neither a journal nor OTLP JSON lines in {', '.join(map(str, given))}")
    return Sources(there.segments, copies, archives)


def _matching(path: Path) -> Iterator[Path]:
    """The path, or, if there is none and it is a pattern, what matches it."""
    if path.exists() or not glob.has_magic(str(path)):
        yield path
        return
    found = sorted(glob.glob(str(path), recursive=True))
    if not found:
        raise UnreadableError(f"nothing matches {path}")
    yield from map(Path, found)
