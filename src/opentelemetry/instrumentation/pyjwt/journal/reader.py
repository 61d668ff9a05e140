"""Reads log records: from a journal's segments, and from what a Collector has written of them.

A file is a segment if it is named as the journal names them, ``{stream_id}.{first}.jsonl``, and a copy otherwise.
Files are read line by line, however large they are.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from opentelemetry.instrumentation.pyjwt.journal.chain import digest

Record = dict[str, Any]

#: Bytes of a line beyond which it is taken for no record.
LONGEST: Final = 64 * 1024 * 1024

_SEGMENT: Final = re.compile(r"([0-9a-f]{32})\.([0-9]{12,})\.jsonl")
_COPIES: Final = (".json", ".jsonl", ".ndjson")
_SEALED: Final = ".jsonl.age"
_ASIDE: Final = ("dead-letter", "torn")  # what the journal sets aside; the records are in the segments, too

_INTEGER: Final = re.compile("-?(?:0|[1-9][0-9]{0,18})")  # of 64 bits
_KINDS: Final[dict[str, type | tuple[type, ...]]] = {
    "stringValue": str,
    "boolValue": bool,
    "doubleValue": (int, float, str),
    "bytesValue": str,
    "kvlistValue": dict,
}

STREAM_ID: Final = "audit.sequence.stream_id"
NUMBER: Final = "audit.sequence.number"
PREV_HASH: Final = "audit.sequence.prev_hash"


class UnreadableError(Exception):
    """What was given cannot be read at all; the text says what and why."""


class NoRecordError(ValueError):
    """A line, or a part of it, is no log record; the text says why."""


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


class Link(NamedTuple):
    """A record's place in its stream, and its hash."""

    stream_id: str
    number: int
    prev_hash: str
    digest: str


class Files(NamedTuple):
    """What was found to read."""

    segments: list[Segment]  #: by folder and stream, in order
    copies: list[Path]

    @property
    def paths(self) -> list[Path]:
        return [*(segment.path for segment in self.segments), *self.copies]

    @property
    def size(self) -> int:
        """Bytes of all of them, as far as they are still there."""
        return sum(path.stat().st_size for path in self.paths if path.exists())


def find(paths: Sequence[Path], also: tuple[str, ...] = ()) -> Files:
    """The files to read in these files and folders (recursively).

    Args:
        paths: files, whatever their names are, and folders.
        also: how names of files in folders may end, beside those of OTLP JSON lines.

    Raises:
        UnreadableError: there is no such path, no right to read it, or a segment is sealed.
    """
    segments: set[Segment] = set()
    copies: set[Path] = set()
    for path in paths:
        for file in _files(path, (*_COPIES, _SEALED, *also)):
            if file.name.endswith(_SEALED):
                raise UnreadableError(f"{file} is sealed: decrypt it first")
            if match := _SEGMENT.fullmatch(file.name):
                segments.add(Segment(file.parent, match[1], int(match[2]), file))
            else:
                copies.add(file)
    return Files(sorted(segments), sorted(copies))


def _files(path: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    if path.is_file():
        yield path.resolve()
        return

    def refuse(error: OSError) -> None:
        raise UnreadableError(f"{error.filename} cannot be read: {error.strerror}") from error

    for folder, folders, names in os.walk(path, onerror=refuse):
        folders[:] = [name for name in folders if name not in _ASIDE]
        for name in names:
            if name.endswith(endings):
                yield Path(folder).resolve() / name


def lines(path: Path, advance: Callable[[int], object] | None = None) -> Iterator[Line]:
    """Each line of a file; ``advance`` is told how many bytes were read.

    Raises:
        UnreadableError: the file cannot be read.
        FileNotFoundError: it is gone.
    """
    try:
        with open(path, "rb") as file:
            number = 0
            while text := file.readline(LONGEST):
                number += 1
                whole = text.endswith(b"\n")
                length = len(text)
                # Too long a line is cut: it is told as one that is no record, once.
                while not whole and (rest := file.readline(LONGEST)):
                    length += len(rest)
                    whole = rest.endswith(b"\n")
                if advance is not None:
                    advance(length)
                yield Line(number, text.removesuffix(b"\n"), not whole)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror}") from error


def records(text: bytes) -> list[Record]:
    """The log records of a line: an export request of OTLP JSON.

    Raises:
        NoRecordError: it is none, or holds what two readers may read differently.
    """
    try:
        request = _decode(text.decode())
        found = [
            record
            for resource in _only(request, "resourceLogs", ("resourceLogs",))
            for scope in _only(resource, "scopeLogs", ("resource", "scopeLogs", "schemaUrl"))
            for record in _only(scope, "logRecords", ("scope", "logRecords", "schemaUrl"))
        ]
    except (ValueError, RecursionError) as error:
        raise NoRecordError(f"no export request: {error or type(error).__name__}") from None
    if not found or not all(isinstance(record, dict) for record in found):
        raise NoRecordError("an export request without a log record")
    return found


def _only(value: Any, name: str, names: tuple[str, ...]) -> list[Any]:
    """The list of that name in an object that has no other members than these."""
    if not isinstance(value, dict) or not value.keys() <= set(names) or not isinstance(value.get(name), list):
        raise NoRecordError(f"{name} is not what it should be")
    found: list[Any] = value[name]
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NoRecordError("a name is there twice")
    return found


def _refuse(constant: str) -> object:
    raise NoRecordError(f"{constant} is no JSON")


_decode: Final = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse).decode


def attributes_of(record: Record) -> dict[str, Any]:
    """The attributes of a record, as Python's values.

    Raises:
        NoRecordError: they are not as OTLP has them, or one is there twice.
    """
    given = record.get("attributes", [])
    try:
        found = {attribute["key"]: _value(attribute["value"]) for attribute in given}
        if len(found) < len(given):
            raise NoRecordError("an attribute is there twice")
        return found
    except (TypeError, LookupError, AttributeError, RecursionError):
        raise NoRecordError("attributes that are none") from None


def _value(value: dict[str, Any]) -> Any:
    if len(value) != 1:
        raise NoRecordError("an attribute without a value, or with several")
    ((kind, content),) = value.items()
    if kind == "intValue":
        if type(content) is int:
            return content
        if isinstance(content, str) and _INTEGER.fullmatch(content):
            return int(content)
    elif kind == "arrayValue":
        return [_value(item) for item in content.get("values", ())]
    elif kind in _KINDS and isinstance(content, _KINDS[kind]):
        return content
    raise NoRecordError("an attribute whose value is none")


def link_of(record: Record, attributes: dict[str, Any]) -> Link | None:
    """Where a record stands in its stream; ``None`` if it has no place in any.

    Raises:
        NoRecordError: a part of its place is missing or of the wrong kind, or it cannot be hashed.
    """
    place = [attributes.get(name) for name in (STREAM_ID, NUMBER, PREV_HASH)]
    if place == [None, None, None]:
        return None
    stream_id, number, prev_hash = place
    if not isinstance(stream_id, str) or not isinstance(prev_hash, str) or type(number) is not int:
        raise NoRecordError("audit.sequence.* is not whole")
    if not 0 < number < 2**63:  # as many as a 64-bit field holds
        raise NoRecordError("audit.sequence.number is out of range")
    try:
        return Link(stream_id, number, prev_hash, digest(record))
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise NoRecordError(f"no canonical form: {error}") from None


def as_written(record: Record) -> Record:
    """A record of a Collector's copy as the journal wrote it.

    What protobuf takes for absent (empty ids, zeros) may have come or gone on the way: the journal writes nothing of
    it but the flags of a span.
    """
    found = {name: value for name, value in record.items() if value not in ("", 0, "0", [], {}, None)}
    if "traceId" in found:
        found.setdefault("flags", 0)
    return found
