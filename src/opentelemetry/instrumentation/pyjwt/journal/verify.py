"""Verifies journals and Collectors' copies of them: intact, or what was done to which record.

In a journal the order in the files counts. A copy is a set of records for each stream: retries repeat and reorder
them, and a pipeline adds to them. Memory is bounded by the streams and their checkpoints, not by the records.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry.instrumentation.pyjwt.journal import checkpoints, copies, reader
from opentelemetry.instrumentation.pyjwt.journal.checkpoints import Claims, ForgedError, Keys
from opentelemetry.instrumentation.pyjwt.journal.files import DamagedError, Files, Segment, lines, present
from opentelemetry.instrumentation.pyjwt.journal.order import (
    CHANGED,
    FORGED_CHECKPOINT,
    REMOVED,
    TRUNCATED,
    Damage,
    Order,
)
from opentelemetry.instrumentation.pyjwt.journal.reader import Link, NoRecordError, Record

if TYPE_CHECKING:
    from opentelemetry.instrumentation.pyjwt.journal.unsealing import Identities

#: Problems of one stream that are told, at most.
PROBLEMS: Final = 100

Advance = Callable[[int], object]


class Problem(NamedTuple):
    """One thing that is wrong."""

    kind: str  #: one of those in :mod:`.order`
    stream_id: str | None
    sequence: int | None  #: number of the first record concerned
    detail: str


class Report(NamedTuple):
    """What was found."""

    records: int  #: repeats in copies count once
    streams: int
    checkpoints: int  #: those that hold
    unsigned: int  #: records behind the last of these in their stream
    problems: list[Problem]

    @property
    def intact(self) -> bool:
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        return {
            "intact": self.intact,
            "records": self.records,
            "streams": self.streams,
            "checkpoints": self.checkpoints,
            "problems": [problem._asdict() for problem in self.problems],
        }


def verify(files: Files, keys: Keys, received: Sequence[Path] = (), advance: Advance | None = None) -> Report:
    """Verify all that was found.

    Args:
        files: what :func:`.files.find` has found.
        keys: whose checkpoints are believed; without any, signatures are not checked.
        received: files with checkpoints as they were received elsewhere.
        advance: told how many bytes were read.

    Raises:
        UnreadableError: a file cannot be read.
    """
    known: dict[str, dict[int, Claims]] = {}
    problems = []
    for path in received:
        found, forged = checkpoints.received(path, keys)
        for stream_id, numbers in found.items():
            known.setdefault(stream_id, {}).update(numbers)
        problems += [Problem(FORGED_CHECKPOINT, *one) for one in forged[:PROBLEMS]]
    records = vouching = unsigned = 0
    ends: dict[str, int] = {}
    for stream in _streams(files, keys, known, problems, advance):
        ends[stream.id] = max(ends.get(stream.id, 0), stream.ends)
        records += stream.order.count
        vouching += len(stream.vouching)
        unsigned += stream.unsigned
        problems += [Problem(one.kind, stream.id, one.sequence, one.detail) for one in stream.damage()]
    for stream_id, numbers in known.items():
        last, end = max(numbers), ends.get(stream_id)
        if end is None:
            detail = "its checkpoints were received elsewhere, and nothing of it is here"
            problems.append(Problem(REMOVED, stream_id, 1, detail))
        elif last > end:
            detail = f"a checkpoint received elsewhere has the number {last}"
            problems.append(Problem(TRUNCATED, stream_id, end + 1, detail))
    return Report(records, len(ends), vouching, unsigned, problems)


class _Stream:
    """What is seen of one stream."""

    def __init__(self, stream_id: str, first: int | None, keys: Keys, known: Mapping[int, Claims]) -> None:
        self.id = stream_id
        self.order = Order(first)
        #: Numbers of its checkpoints that hold.
        self.vouching: set[int] = set()
        self._first = first
        self._keys = keys
        self._known = known
        self._damage: dict[tuple[str, int | None], Damage] = {}
        self._misnamed: list[Damage] = []
        self._empty: Segment | None = None

    @property
    def ends(self) -> int:
        """The number that its last record has, or should have by what is there."""
        return max(self.order.ends, (self._empty.first if self._empty else self._first or 1) - 1)

    @property
    def unsigned(self) -> int:
        """Records that no checkpoint follows."""
        last = self.order.ends
        return last - max((number for number in (*self.vouching, *self._known) if number <= last), default=0)

    def look(self, record: Record, attributes: dict[str, Any], link: Link) -> None:
        """At what a record says, wherever it stands."""
        token = checkpoints.value_of(record, attributes)
        if token is None:
            return
        try:
            checkpoints.check(token, link, self._keys)
            self.vouching.add(link.number)
        except ForgedError as error:
            self._tell(Damage(FORGED_CHECKPOINT, link.number, str(error)))

    def take(self, link: Link) -> None:
        """The next record, in the order that counts."""
        if self.order.count == 0:
            before = self._known.get(link.number - 1)
            if before is not None and not before.precedes(link):
                self._tell(Damage(CHANGED, link.number, "the checkpoint received elsewhere is not before it"))
        same = self._known.get(link.number)
        if same is not None and not same.fits(link):
            self._tell(Damage(CHANGED, link.number, "the checkpoint received elsewhere is another one"))
        self.order.add(link)

    def misnamed(self, segment: Segment, link: Link) -> None:
        """A segment begins with another number than its name says."""
        detail = f"{segment.path.name} begins with {link.number}"
        self._misnamed = self._misnamed or [Damage(CHANGED, link.number, detail)]

    def begun(self, segment: Segment) -> None:
        """The last segment has no record yet; its name tells how many there are before it."""
        self._empty = segment

    def damage(self) -> Iterable[Damage]:
        """All that is wrong, each once."""
        for one in self.order.damage():
            self._tell(one)
        begins = self._first or self.order.begins or 1
        vouched = any(number >= begins for number in self.vouching) or any(one >= begins - 1 for one in self._known)
        if self.order.count and begins > 1 and not vouched:
            self._tell(Damage(REMOVED, 1, f"it begins with {begins}, and no checkpoint vouches for that"))
        if self._empty and self.order.count and self.ends > self.order.ends:
            detail = f"{self._empty.path.name} has been begun, and what belongs before it is not there"
            self._tell(Damage(TRUNCATED, self.order.ends + 1, detail))
        if not self._damage:  # it would be no wonder otherwise
            for one in self._misnamed:
                self._tell(one)
        return sorted(self._damage.values(), key=lambda one: one.sequence or 0)

    def _tell(self, damage: Damage) -> None:
        if len(self._damage) < PROBLEMS:
            self._damage.setdefault((damage.kind, damage.sequence), damage)


def _streams(
    files: Files,
    keys: Keys,
    known: Mapping[str, Mapping[int, Claims]],
    problems: list[Problem],
    advance: Advance | None,
) -> Iterator[_Stream]:
    for segments in _together(files.segments):
        # Retention may have taken the oldest since they were listed.
        there = [segment for segment in segments if present(segment.path)]
        if there:
            stream_id = there[0].stream_id
            stream = _Stream(stream_id, there[0].first, keys, known.get(stream_id, {}))
            for segment in there:
                try:
                    _read(segment, stream, segment is there[-1], files.identities, advance)
                except DamagedError as error:
                    stream.order.add_foreign(f"{segment.path.name}: {error}")
            yield stream
    yield from _copied(files, keys, known, problems, advance)


def _together(segments: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Segments that make a stream: of several folders, where no two hold the same; else of each folder."""
    in_order = sorted(segments, key=lambda segment: (segment.stream_id, segment.first))
    for _, found in groupby(in_order, key=lambda segment: segment.stream_id):
        stream = list(found)
        if len({segment.first for segment in stream}) == len(stream):
            yield stream
        else:
            for _, same in groupby(sorted(stream), key=lambda segment: segment.folder):
                yield list(same)


def _parse(text: bytes) -> list[tuple[Record, dict[str, Any], Link | None]]:
    """The records of a line, with their attributes and places. Raises NoRecordError."""
    records = reader.records(text)
    return [
        (record, attributes, reader.link_of(record, attributes))
        for record, attributes in zip(records, map(reader.attributes_of, records), strict=True)
    ]


def _read(
    segment: Segment, stream: _Stream, unfinished: bool, identities: Identities | None, advance: Advance | None
) -> None:
    """A segment of a journal: what stands in it, in its order."""
    begun = False
    for line in lines(segment.path, advance, identities):
        where = f"{segment.path.name}, line {line.number}"
        if line.torn:
            if not unfinished:
                stream.order.add_foreign(f"{where} breaks off", TRUNCATED)
            continue
        try:
            found = _parse(line.text)
        except NoRecordError as error:
            stream.order.add_foreign(f"{where} is no record: {error}")
            continue
        for record, attributes, link in found:
            if link is None or link.stream_id != stream.id:
                stream.order.add_foreign(f"{where} is a record of {link.stream_id if link else 'no stream'}")
                continue
            if not begun and link.number != segment.first:
                stream.misnamed(segment, link)
            begun = True
            stream.look(record, attributes, link)
            stream.take(link)
    if unfinished and not begun:
        stream.begun(segment)


def _copied(
    files: Files,
    keys: Keys,
    known: Mapping[str, Mapping[int, Claims]],
    problems: list[Problem],
    advance: Advance | None,
) -> Iterator[_Stream]:
    """The streams of Collectors' copies, sorted on disk."""
    streams: dict[str, _Stream] = {}
    with closing(sqlite3.connect("")) as links:  # a temporary file of SQLite's own
        links.execute("PRAGMA journal_mode = OFF")
        links.execute("CREATE TABLE links (stream_id TEXT, number INTEGER, prev_hash TEXT, digest TEXT)")
        for path in files.copies:
            for line in lines(path, advance, files.identities):
                if not line.text.strip():
                    continue
                try:
                    found = copies.records(line.text)
                except NoRecordError as error:
                    if not line.torn and len(problems) < PROBLEMS:
                        detail = f"{path}, line {line.number} is no record: {error}"
                        problems.append(Problem(CHANGED, None, None, detail))
                    continue
                for record, attributes, link in found:
                    stream = streams.get(link.stream_id)
                    if stream is None:
                        stream = _Stream(link.stream_id, None, keys, known.get(link.stream_id, {}))
                        streams[link.stream_id] = stream
                    stream.look(record, attributes, link)
                    links.execute("INSERT INTO links VALUES (?, ?, ?, ?)", link)
        for row in links.execute("SELECT DISTINCT stream_id, number, prev_hash, digest FROM links ORDER BY 1, 2"):
            link = Link(*row)
            streams[link.stream_id].take(link)
    yield from streams.values()
