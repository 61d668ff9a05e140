"""Whose story it is, in order, each event once, with the tokens it came from and those that came from it."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt.journal.files import find
from opentelemetry.instrumentation.pyjwt.journal.trail import By, tell
from tests.journal.writing import Stream, copied, line_of


@pytest.fixture
def stream() -> Stream:
    """Logged in with r1; r1 gave a2 and r2, r2 gave a3 and r3, which was revoked. Others about it."""
    stream = Stream()
    write = stream.write
    write("jwt.issued", jwt__jti="r1", jwt__sub="alice", jwt__iss="i", jwt__token_use="refresh", jwt__verified=True)
    write("jwt.validated", jwt__jti="other", jwt__sub="bob", jwt__verified=True, client__address="192.0.2.1")
    write("jwt.validated", jwt__jti="r1", jwt__sub="alice", jwt__iss="i", jwt__verified=True)
    write("jwt.refreshed", jwt__jti="a2", jwt__parent__jti="r1", jwt__sub="alice", jwt__iss="i", jwt__verified=True)
    write("jwt.refreshed", jwt__jti="r2", jwt__parent__jti="r1", jwt__sub="alice", jwt__iss="i", jwt__verified=True)
    write("jwt.denied", jwt__jti="a2", jwt__sub="alice", jwt__iss="i", jwt__verified=True, jwt__client_id="app")
    write("jwt.refreshed", jwt__jti="a3", jwt__parent__jti="r2", jwt__sub="alice", jwt__iss="i", jwt__verified=True)
    write("jwt.refreshed", jwt__jti="r3", jwt__parent__jti="r2", jwt__sub="alice", jwt__iss="i", jwt__verified=True)
    write("jwt.revoked", jwt__jti="r3", audit__actor__id="admin", jwt__revocation__reason="stolen")
    # What nobody has signed makes no lineage.
    write("jwt.rejected", jwt__jti="evil", jwt__parent__jti="r2", jwt__sub="alice", jwt__verified=False)
    write("jwt.validated", jwt__jti="r2", jwt__sub="alice", jwt__iss="another", jwt__verified=True)
    write("jwt.validated", jwt__fingerprint="f00d", jwt__sub="carol", user__id="carol", jwt__act__sub="alice")
    stream.checkpoint()
    return stream


def story(path: Path, by: By, value: str, issuer: str | None = None) -> tuple[list[Any], list[tuple[str, str]]]:
    with closing(tell(find([path]), by, value, issuer)) as found:
        entries = [(entry.number, entry.relation) for entry in found]
        assert len(found) == len(entries)
        return entries, found.lineage()


def test_of_a_token_with_its_parents_and_children(stream: Stream, tmp_path: Path) -> None:
    stream.save(tmp_path)
    entries, lineage = story(tmp_path, By.JTI, "r2")
    assert entries == [
        (1, "parent"),
        (3, "parent"),
        (5, None),
        (7, "child"),
        (8, "child"),
        (9, "child"),
        (11, None),
    ]
    assert lineage == [("r1", "r2"), ("r2", "a3"), ("r2", "r3")]
    assert story(tmp_path, By.JTI, "r2", "i")[0] == entries[:-1]
    assert story(tmp_path, By.JTI, "a2") == ([(1, "parent"), (3, "parent"), (4, None), (6, None)], [("r1", "a2")])
    assert story(tmp_path, By.JTI, "f00d") == ([(12, None)], [])
    assert story(tmp_path, By.JTI, "R2") == ([], [])


def test_of_a_subject_and_of_a_client(stream: Stream, tmp_path: Path) -> None:
    stream.save(tmp_path)
    assert [number for number, _ in story(tmp_path, By.SUB, "alice")[0]] == [1, 3, 4, 5, 6, 7, 8, 10, 11, 12]
    assert [number for number, _ in story(tmp_path, By.SUB, "admin")[0]] == [9]
    assert [number for number, _ in story(tmp_path, By.CLIENT, "app")[0]] == [6]
    assert [number for number, _ in story(tmp_path, By.CLIENT, "192.0.2.1")[0]] == [2]


def test_in_order_and_each_event_once_from_journals_and_copies(stream: Stream, tmp_path: Path) -> None:
    """Without the name of the event, too, which many an exporter loses."""
    stream.save(tmp_path / "journal")
    records = [copied(one) for one in reversed(stream.records)]
    for record in records:
        del record["eventName"]
        record["attributes"] = [one for one in record["attributes"] if one["key"] != "event.name"]
    (tmp_path / "copy.json").write_bytes(line_of(*records) + line_of(*records[3:5]) + b'junk\n{"resour')
    expected = story(tmp_path / "journal", By.JTI, "r2")
    assert story(tmp_path, By.JTI, "r2") == expected
    assert story(tmp_path / "copy.json", By.JTI, "r2") == expected
    with closing(tell(find([tmp_path]), By.SUB, "alice")) as found:
        assert found.unreadable == 1


def test_among_what_others_write(stream: Stream, tmp_path: Path) -> None:
    stream.save(tmp_path / "journal")
    expected = story(tmp_path / "journal", By.JTI, "r2")
    alien = {"attributes": [{"key": "null", "value": {}}]}
    lines = b"".join(line_of(alien, copied(one)) for one in stream.records)
    (tmp_path / "copy.json").write_bytes(b'{"resourceSpans":[]}\n' + lines)
    assert story(tmp_path / "copy.json", By.JTI, "r2") == expected
    with closing(tell(find([tmp_path]), By.SUB, "alice")) as found:
        assert found.unreadable == len(stream.records)


def test_a_lineage_that_goes_in_circles_ends(tmp_path: Path) -> None:
    stream = Stream()
    for child, parent in (("a", "b"), ("b", "c"), ("c", "a")):
        stream.write("jwt.refreshed", jwt__jti=child, jwt__parent__jti=parent, jwt__verified=True)
    stream.save(tmp_path)
    entries, lineage = story(tmp_path, By.JTI, "a")
    assert len(entries) == len(lineage) == 3


def test_what_is_no_text_is_no_record(tmp_path: Path) -> None:
    stream = Stream()
    stream.write(jwt__sub="alice", user__id="\\ud800")
    line = line_of(stream.records[0]).replace(rb"\\ud800", rb"\ud800")
    assert json.loads(line)
    (tmp_path / "copy.json").write_bytes(line)
    with closing(tell(find([tmp_path]), By.SUB, "alice")) as found:
        assert (len(found), found.unreadable) == (0, 1)
