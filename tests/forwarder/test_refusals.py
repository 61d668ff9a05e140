"""Records that are refused for good are found, set aside with the reason, and hold nothing else up."""

from __future__ import annotations

import json
import logging
import re
import stat
from pathlib import Path

import pytest

from tests.forwarder import journal
from tests.forwarder.journal import STREAM, ids
from tests.forwarder.receiver import Reply, Request, serving

COUNT = 100
STATUS = json.dumps({"code": 3, "message": "bad \n attribute"}).encode()


def partial(rejected: int) -> Reply:
    response = {"partialSuccess": {"rejectedLogRecords": str(rejected), "errorMessage": "no room"}}
    return Reply(200, json.dumps(response).encode())


@pytest.mark.parametrize("bad", [{1}, {COUNT}, {50}, {3, 4, 77}, set(range(1, COUNT + 1))], ids=len)
@pytest.mark.parametrize("how", ["400", "422", "partial"])
def test_only_the_records_at_fault_are_set_aside(bad: set[int], how: str, forwarding, tmp_path: Path, caplog) -> None:
    segment = journal.write(tmp_path, STREAM, 1, COUNT)
    at_fault = {f"{STREAM}-{number}" for number in bad}
    kept: set[str] = set()

    def choosy(request: Request) -> Reply:
        found = at_fault.intersection(request.ids)
        if how == "partial":
            kept.update(set(request.ids) - found)
            return partial(len(found)) if found else Reply()
        if found:
            return Reply(int(how), STATUS)
        kept.update(request.ids)
        return Reply()

    with serving(choosy) as receiver:
        forwarder = forwarding(tmp_path, receiver.url)
        forwarder.turn()
        assert len(receiver.requests) <= 2 * COUNT - 1
        journal.write(tmp_path, STREAM, COUNT + 1, 1)
        forwarder.turn()
        assert f"{STREAM}-{COUNT + 1}" in kept, "the rest does not flow on"
    assert set(ids(STREAM, 1, COUNT)) <= kept | at_fault
    assert forwarder.refused == len(bad)
    assert journal.settled(segment) == segment.stat().st_size

    letters = journal.letters(segment)
    stored = [json.loads(line) for line in segment.read_bytes().splitlines()]
    assert [letter["request"] for letter in letters] == [stored[number - 1] for number in sorted(bad)]
    said = "partial success: no room" if how == "partial" else f"HTTP {how} "
    for letter in letters:
        assert letter["reason"].startswith(said)
        assert letter["status"] == (200 if how == "partial" else int(how))
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", letter["time"])
        if how != "partial":
            assert letter["reason"].endswith(r"bad \n attribute")
    folder = segment.parent / "dead-letter"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / segment.name).stat().st_mode) == 0o600
    assert [record.levelno for record in caplog.records] == [logging.ERROR], "loud, but once a minute"
    assert str(folder) in caplog.text


def test_what_is_too_large_goes_in_parts(forwarding, tmp_path: Path) -> None:
    segment = journal.write(tmp_path, STREAM, 1, COUNT)
    with serving(lambda request: Reply(413 if request.size > 8000 else 200)) as receiver:
        forwarder = forwarding(tmp_path, receiver.url)
        forwarder.turn()
    assert receiver.acknowledged == ids(STREAM, 1, COUNT)
    assert (forwarder.refused, journal.letters(segment)) == (0, [])


def test_what_is_delivered_stays_so_if_the_receiver_fails_in_the_middle(forwarding, tmp_path: Path) -> None:
    segment = journal.write(tmp_path, STREAM, 1, COUNT)
    replies = iter([Reply(400), Reply(), Reply(500)])
    with serving(lambda request: next(replies, Reply())) as receiver:
        forwarder = forwarding(tmp_path, receiver.url)
        forwarder.turn()
        assert 0 < journal.settled(segment) < segment.stat().st_size
        forwarder.turn()
    assert receiver.acknowledged == ids(STREAM, 1, COUNT), "lost, or sent again"


def test_a_line_that_is_no_record_is_set_aside_unsent(forwarding, tmp_path: Path) -> None:
    segment = journal.write(tmp_path, STREAM, 1, 2, tail=b"\n\0\xff\n{\n")
    journal.write(tmp_path, STREAM, 3, 2)
    segment.write_bytes(segment.read_bytes() + journal.line(STREAM, 9))
    with serving() as receiver:
        forwarding(tmp_path, receiver.url).turn()
    assert sorted(receiver.acknowledged) == sorted([*ids(STREAM, 1, 4), f"{STREAM}-9"])
    assert [(letter["request"], letter["status"]) for letter in journal.letters(segment)] == [
        ("", None),
        ("\0\\xff", None),
        ("{", None),
    ]


def test_records_are_not_settled_before_their_letter_is_written(forwarding, tmp_path: Path, caplog) -> None:
    segment = journal.write(tmp_path, STREAM, 1, 1)
    (tmp_path / "dead-letter").write_text("in the way")
    with serving(lambda request: Reply(400)) as receiver:
        forwarder = forwarding(tmp_path, receiver.url)
        forwarder.turn()
        assert journal.settled(segment) == 0
        assert "dead-letter" in caplog.text
        (tmp_path / "dead-letter").unlink()
        forwarder.turn()
    assert len(journal.letters(segment)) == 1
    assert journal.settled(segment) == segment.stat().st_size
