"""What there is to review: journals, files that a Collector has written, and archives in Parquet."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.instrumentation.pyjwt.journal import files
from opentelemetry.instrumentation.pyjwt.journal.archives import ARCHIVE
from opentelemetry.instrumentation.pyjwt.journal.files import Segment, UnreadableError

if TYPE_CHECKING:
    from opentelemetry.instrumentation.pyjwt.journal.unsealing import Identities


class Sources(NamedTuple):
    """Files by what they are."""

    segments: list[Segment]  #: of journals
    copies: list[Path]  #: OTLP JSON lines, compressed where their names end in ``.gz``
    archives: list[Path]  #: in Parquet
    identities: Identities | None = None  #: that open what is sealed

    @property
    def lines(self) -> list[Path]:
        """Files of OTLP JSON lines, sealed or not."""
        return [*(segment.path for segment in self.segments), *self.copies]

    @property
    def size(self) -> int:
        """Bytes of those."""
        return sum(path.stat().st_size for path in self.lines)


def find(paths: Iterable[Path], identities: Identities | None = None) -> Sources:
    """The files in these files and folders (recursively); a path may be a pattern.

    Raises:
        UnreadableError: there is no such path, no right to read it, or nothing to read in it; or it is sealed and not
            lines, or there are no identities.
    """
    given = list(paths)
    there = files.find([found for path in given for found in _matching(path)], identities)
    copies = [path for path in there.copies if path.suffix != ARCHIVE]
    archives = [path for path in there.copies if path.suffix == ARCHIVE]
    if not there.paths:
        raise UnreadableError(f"neither a journal nor OTLP JSON lines in {', '.join(map(str, given))}")
    return Sources(there.segments, copies, archives, identities)


def _matching(path: Path) -> Iterator[Path]:
    """The path, or, if there is none and it is a pattern, what matches it."""
    if path.exists() or not glob.has_magic(str(path)):
        yield path
        return
    found = sorted(glob.glob(str(path), recursive=True))
    if not found:
        raise UnreadableError(f"nothing matches {path}")
    yield from map(Path, found)
