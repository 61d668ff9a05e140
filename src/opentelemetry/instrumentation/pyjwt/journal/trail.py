"""One token's, subject's or client's story, in order, from journals and from Collectors' copies alike.

Memory is bounded by the tokens of one family: what belongs to the story is sorted on disk.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Final, NamedTuple

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.bounds import INT64_MAX
from opentelemetry.instrumentation.pyjwt.journal import copies, reader
from opentelemetry.instrumentation.pyjwt.journal.files import Files, lines
from opentelemetry.instrumentation.pyjwt.journal.reader import Record

Advance = Callable[[int], object]

PARENT: Final = "parent"
CHILD: Final = "child"


class By(Enum):
    """Whose story is told, and the attributes that name them."""

    # A token without a jti, or with one that had to be cut, is known by its fingerprint.
    JTI = (semconv.JTI, semconv.FINGERPRINT)
    SUB = (semconv.SUB, semconv.USER_ID, semconv.USER_HASH, semconv.ACTOR_ID, semconv.ACT_SUB)
    CLIENT = (semconv.CLIENT_ID, semconv.CLIENT_ADDRESS)


class Entry(NamedTuple):
    """One event of a story."""

    time_unix_nano: int
    event: str
    stream_id: str | None
    number: int | None
    attributes: Mapping[str, Any]
    relation: str | None  #: of its token to the one asked for: ``parent``, ``child``

    def token(self) -> str | None:
        """What identifies the token."""
        return self.attributes.get(semconv.JTI) or self.attributes.get(semconv.FINGERPRINT)


class Story:
    """What was found, until it is closed."""

    def __init__(self, entries: sqlite3.Connection, family: Mapping[str, str], unreadable: int) -> None:
        self._entries = entries
        self._family = family
        #: Lines that are no records.
        self.unreadable = unreadable

    def __len__(self) -> int:
        (count,) = self._entries.execute("SELECT count(*) FROM entries").fetchone()
        return int(count)

    def __iter__(self) -> Iterator[Entry]:
        """In the order in which things happened."""
        order = "SELECT * FROM entries ORDER BY time, stream_id, number, rowid"
        for time, event, stream_id, number, _, text in self._entries.execute(order):
            attributes = json.loads(text)
            relation = self._family.get(str(attributes.get(semconv.JTI))) or None
            yield Entry(int(time), event, stream_id, number, attributes, relation)

    def lineage(self) -> list[tuple[str, str]]:
        """Refresh tokens and what was minted from them: (parent, child), of the family of the token asked for."""
        pairs = self._entries.execute("SELECT parent, child FROM edges ORDER BY time, child")
        return [pair for pair in pairs if set(pair) <= self._family.keys()]

    def close(self) -> None:
        self._entries.close()


def tell(files: Files, by: By, value: str, issuer: str | None = None, advance: Advance | None = None) -> Story:
    """The story of one token, with its parents and children, of one subject or of one client.

    Args:
        files: what :func:`.files.find` has found.
        by: what ``value`` is.
        value: compared as it is.
        issuer: only what this one has issued, and what does not say who has; identities are unique per issuer.
        advance: told how many bytes were read.

    Raises:
        UnreadableError: a file cannot be read.
    """
    connection = sqlite3.connect("")  # a temporary file of SQLite's own
    try:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("CREATE TABLE edges (parent TEXT, child TEXT, time INTEGER, UNIQUE (parent, child))")
        # Repeats, of a retry or of a copy, are told once.
        connection.execute(
            "CREATE TABLE entries (time INTEGER, event TEXT, stream_id TEXT, number INTEGER, id TEXT UNIQUE, text TEXT)"
        )
        family: dict[str, str] = {}
        if by is By.JTI:
            for one in _found(files, issuer, advance, containing=semconv.PARENT_JTI.encode()):
                if one is None:
                    continue
                found, attributes = one
                parent, child = attributes.get(semconv.PARENT_JTI), attributes.get(semconv.JTI)
                # On a token that was only presented, this would be anybody's word.
                if found.event == semconv.REFRESHED and parent and child:
                    connection.execute(
                        "INSERT OR IGNORE INTO edges VALUES (?, ?, ?)", (str(parent), str(child), found.time_unix_nano)
                    )
            family = _family(connection, value)
        unreadable = 0
        for one in _found(files, issuer, advance):
            if one is None:
                unreadable += 1
                continue
            found, attributes = one
            if str(attributes.get(semconv.JTI)) in family or any(attributes.get(name) == value for name in by.value):
                connection.execute("INSERT OR IGNORE INTO entries VALUES (?, ?, ?, ?, ?, ?)", found)
        return Story(connection, family, unreadable)
    except BaseException:
        connection.close()
        raise


def _family(edges: sqlite3.Connection, jti: str) -> dict[str, str]:
    """The tokens that this one comes from, and those that come from it."""
    walk = "WITH RECURSIVE f(jti) AS (VALUES (?) UNION SELECT {} FROM edges JOIN f ON {} = jti) SELECT jti FROM f"
    edges.execute("CREATE INDEX children ON edges (child)")
    family = {found: CHILD for (found,) in edges.execute(walk.format("child", "parent"), (jti,))}
    family.update({found: PARENT for (found,) in edges.execute(walk.format("parent", "child"), (jti,))})
    family[jti] = ""
    return family


class _Found(NamedTuple):
    """An event, as it is stored."""

    time_unix_nano: int
    event: str
    stream_id: str | None
    number: int | None
    record_id: str | None
    text: str


def _found(
    files: Files, issuer: str | None, advance: Advance | None, containing: bytes = b""
) -> Iterator[tuple[_Found, dict[str, Any]] | None]:
    """Each event of ours with its attributes; ``None`` for a line that is no record."""
    for path in files.paths:
        for line in lines(path, advance, files.identities):
            if containing not in line.text or not line.text.strip():
                continue
            try:
                records = copies.all_records(line.text)
            except ValueError:
                if not line.torn:
                    yield None
                continue
            for record in records:  # a line of a copy may hold others' as well
                try:
                    attributes = reader.attributes_of(record)
                    found = _as_found(record, attributes)
                except ValueError:
                    yield None
                    continue
                if found.event in semconv.EVENTS and (issuer is None or attributes.get(semconv.ISS, issuer) == issuer):
                    yield found, attributes


def _as_found(record: Record, attributes: dict[str, Any]) -> _Found:
    """Raises ValueError if it is no log record, or holds what is no text."""
    text = json.dumps(attributes, ensure_ascii=False)
    text.encode()
    time = int(record.get("timeUnixNano") or record.get("observedTimeUnixNano") or 0)
    # Many an exporter loses the name of the event; a pipeline copies it, and the body begins with it.
    event = record.get("eventName") or attributes.get("event.name")
    if not event:
        body = record.get("body")
        event = str(body.get("stringValue", "")).partition(":")[0] if isinstance(body, dict) else ""
    stream_id, number, record_id = (
        attributes.get(name) for name in (semconv.STREAM_ID, semconv.SEQUENCE_NUMBER, semconv.RECORD_ID)
    )
    return _Found(
        max(min(time, INT64_MAX), 0),
        str(event),
        stream_id if isinstance(stream_id, str) else None,
        number if type(number) is int and 0 <= number <= INT64_MAX else None,
        record_id if isinstance(record_id, str) else None,
        text,
    )
