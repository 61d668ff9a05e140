"""Finds and opens what there is to read: a journal's segments, and what a Collector has written of them.

A file is a segment if it is named as the journal names them, ``{stream_id}.{first}.jsonl``, and a copy otherwise;
with ``.age`` behind it, it is sealed, and with ``.gz``, compressed. An archive, which ends in ``.parquet``, is a copy,
too. Files are read line by line, however large they are.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, cast

from opentelemetry.instrumentation.pyjwt.journal.archives import ARCHIVE, requests
from opentelemetry.instrumentation.pyjwt.journal.directory import as_segment

if TYPE_CHECKING:
    from opentelemetry.instrumentation.pyjwt.journal.unsealing import Identities

#: Bytes of a line beyond which it is taken for no record.
LONGEST: Final = 64 * 1024 * 1024

_NAMES: Final = (".json", ".jsonl", ".ndjson", ARCHIVE)
_SEALED: Final = ".age"
_GZIP: Final = ".gz"
_ASIDE: Final = ("dead-letter", "torn")  # what the journal sets aside; the records are in the segments, too
_NO_IDENTITY: Final = "{} is sealed: name the file of an identity that opens it (--identity)"


class UnreadableError(Exception):
    """What was given cannot be read at all; the text says what and why."""


class DamagedError(UnreadableError):
    """A sealed file is not as it was written."""


class Segment(NamedTuple):
    """A segment by its name."""

    folder: Path
    stream_id: str
    first: int
    path: Path


class Line(NamedTuple):
    """One line of a file, without its end."""

    number: int  #: from 1
    text: bytes
    torn: bool  #: the file ends with it, and no newline does


class Files(NamedTuple):
    """What was found to read."""

    segments: list[Segment]  #: by folder and stream, in order
    copies: list[Path]
    identities: Identities | None = None  #: that open what is sealed

    @property
    def paths(self) -> list[Path]:
        return [*(segment.path for segment in self.segments), *self.copies]

    @property
    def size(self) -> int:
        """Bytes of all of them, as far as they are still there."""
        return sum(path.stat().st_size for path in map(present, self.paths) if path is not None)


def find(paths: Sequence[Path], identities: Identities | None = None) -> Files:
    """The files to read in these files and folders (recursively).

    Raises:
        UnreadableError: there is no such path, no right to read it, or it is sealed, and there are no identities.
    """
    segments: list[Segment] = []
    copies: list[Path] = []
    found = {file for path in paths for file in _files(path)}
    for file in sorted(found):
        if is_sealed(file):
            if file.with_suffix("") in found:
                continue  # it is just being sealed: the plain one is there as long as it counts
            if identities is None:
                raise UnreadableError(_NO_IDENTITY.format(file))
            if file.with_suffix("").suffix in (_GZIP, ARCHIVE):
                raise UnreadableError(f"{file} has to be decrypted first (age -d): only lines are read sealed")
        segment = as_segment(file.with_suffix("") if file.suffix == _GZIP else file)
        if segment is not None:
            segments.append(Segment(file.parent, segment.stream_id, segment.first, file))
        else:
            copies.append(file)
    return Files(sorted(segments), copies, identities)


def is_sealed(path: Path) -> bool:
    """Whether a file is encrypted, by its name."""
    return path.suffix == _SEALED


def present(path: Path) -> Path | None:
    """Where a file is now: a segment may have been sealed since it was listed, or be gone."""
    sealed = path.with_name(path.name + _SEALED)
    return path if path.exists() else sealed if sealed.exists() else None


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path.resolve()
        return
    if path.name in _ASIDE:  # as a shell's pattern names them
        return

    def refuse(error: OSError) -> None:
        raise UnreadableError(f"{error.filename} cannot be read: {error.strerror}") from error

    for folder, folders, names in os.walk(path, onerror=refuse):
        folders[:] = [name for name in folders if name not in _ASIDE]
        for name in names:
            if name.removesuffix(_SEALED).removesuffix(_GZIP).endswith(_NAMES):
                yield Path(folder).resolve() / name


def lines(
    path: Path, advance: Callable[[int], object] | None = None, identities: Identities | None = None
) -> Iterator[Line]:
    """Each line of a file, and of an archive each record as one; ``advance`` is told how many bytes of it were read.

    Raises:
        UnreadableError: the file cannot be read.
        DamagedError: it is sealed, and was changed or cut off behind the last line.
        FileNotFoundError: it is gone.
    """
    try:
        if path.suffix == ARCHIVE:
            yield from (Line(number, text, False) for number, text in enumerate(requests(path), 1))
            if advance is not None:
                advance(path.stat().st_size)
            return
        with _open(path, identities) as file:
            compressed = getattr(file, "fileobj", None)  # of gzip
            number = at = 0
            while text := file.readline(LONGEST):
                number += 1
                whole = text.endswith(b"\n")
                length = len(text)
                # Too long a line is cut: it is told as one that is no record, once.
                while not whole and (rest := file.readline(LONGEST)):
                    length += len(rest)
                    whole = rest.endswith(b"\n")
                reached = at + length if compressed is None else compressed.tell()
                if advance is not None:
                    advance(reached - at)
                at = reached
                yield Line(number, text.removesuffix(b"\n"), not whole)
                if not whole:
                    return  # what has been written since is the rest of it
    except FileNotFoundError:
        raise
    except ValueError as error:
        raise UnreadableError(f"{path} is no archive of the trail: {error}") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise UnreadableError(f"{path} is no gzip file, or not a whole one") from None
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror}") from error


def _open(path: Path, identities: Identities | None) -> BinaryIO:
    if path.suffix == _GZIP:
        return cast(BinaryIO, gzip.open(path))
    if not is_sealed(path):
        try:
            return open(path, "rb")
        except FileNotFoundError:
            if (sealed := present(path)) is None:
                raise
            path = sealed
    if identities is None:
        raise UnreadableError(_NO_IDENTITY.format(path))
    return identities.open(path)
