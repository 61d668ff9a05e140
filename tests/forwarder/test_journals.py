"""What is on disk: positions, locks, streams of the living and of the dead."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest

from opentelemetry.instrumentation.pyjwt.journal import segments
from tests.forwarder import journal
from tests.forwarder.journal import OTHER, STREAM, ids
from tests.forwarder.receiver import Reply, records_of, serving


def test_lines_are_sent_as_they_are_stored(forwarding, tmp_path: Path) -> None:
    """In batches, in order, and once."""
    segment = journal.write(tmp_path, STREAM, 1, 3000)
    with serving() as receiver:
        forwarder = forwarding(tmp_path, receiver.url)
        forwarder.turn()
        forwarder.turn()
    assert receiver.acknowledged == ids(STREAM, 1, 3000)
    assert 2 <= len(receiver.requests) <= 20
    assert all(request.size <= segments.CHUNK for request in receiver.requests)
    stored = [records_of(journal.json.loads(line))[0] for line in segment.read_bytes().splitlines()]
    assert [record for request in receiver.requests for record in records_of(request.message)] == stored


def test_a_line_longer_than_a_chunk_is_sent_whole(forwarding, tmp_path: Path) -> None:
    segment = journal.write(tmp_path, STREAM, 1, 1)
    long = journal.line(STREAM, 2, text={"stringValue": "x" * 3 * segments.CHUNK})
    segment.write_bytes(segment.read_bytes() + long + journal.line(STREAM, 3))
    with serving() as receiver:
        forwarding(tmp_path, receiver.url).turn()
    assert receiver.acknowledged == ids(STREAM, 1, 3)


def test_what_is_being_written_is_sent_line_by_line(forwarding, tmp_path: Path) -> None:
    """A line that is not finished yet waits for its end; nothing of a living process is set aside."""
    whole = journal.line(STREAM, 3)
    with journal.writer(tmp_path, STREAM), serving() as receiver:
        segment = journal.write(tmp_path, STREAM, 1, 2, tail=whole[:50])
        forwarder = forwarding(tmp_path, receiver.url)
        forwarder.turn()
        assert receiver.acknowledged == ids(STREAM, 1, 2)
        journal.write(tmp_path, STREAM, 1, 0, tail=whole[50:])
        forwarder.turn()
        assert receiver.acknowledged == ids(STREAM, 1, 3)
        assert journal.settled(segment) == segment.stat().st_size
        assert (tmp_path / f"{STREAM}.lock").exists()
    assert not (tmp_path / "torn").exists()


def test_what_a_dead_process_left_is_adopted(forwarding, tmp_path: Path) -> None:
    lock = journal.dead(tmp_path, STREAM)
    early, late = journal.write(tmp_path, STREAM, 1, 5), journal.write(tmp_path, STREAM, 6, 2, tail=b'{"resourceLo')
    with serving() as receiver:
        forwarder = forwarding(tmp_path, receiver.url, own=lambda: OTHER)
        forwarder.turn()
        assert receiver.acknowledged == ids(STREAM, 1, 7)
        assert not lock.exists()
    torn = tmp_path / "torn" / late.name
    assert torn.read_bytes() == b'{"resourceLo'
    assert forwarder.torn == 1
    assert [stat.S_IMODE(path.stat().st_mode) for path in (torn.parent, torn)] == [0o700, 0o600]
    assert [journal.settled(path) for path in (early, late)] == [early.stat().st_size, late.stat().st_size]
    assert not list(tmp_path.glob("*.tmp"))
    assert stat.S_IMODE(next(tmp_path.glob("*.position")).stat().st_mode) == 0o600
    assert segments.pending(tmp_path) == 0


def test_the_lock_of_a_dead_process_stays_until_all_is_delivered(forwarding, tmp_path: Path) -> None:
    lock = journal.dead(tmp_path, STREAM)
    first = journal.write(tmp_path, STREAM, 1, 5)
    journal.write(tmp_path, STREAM, 6, 5)
    with serving() as receiver, open(first, "rb") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        forwarder = forwarding(tmp_path, receiver.url, own=lambda: OTHER)
        forwarder.turn()
        assert receiver.acknowledged == ids(STREAM, 6, 5), "one that is busy holds up the others, or is sent by two"
        assert lock.exists()
        assert segments.pending(tmp_path) == 5
        fcntl.flock(busy, fcntl.LOCK_UN)
        forwarder.turn()
        assert not lock.exists()


def test_a_process_delivers_its_own_stream_and_leaves_those_of_the_living(forwarding, tmp_path: Path) -> None:
    with journal.writer(tmp_path, STREAM), journal.writer(tmp_path, OTHER), serving() as receiver:
        journal.write(tmp_path, STREAM, 1, 3)
        journal.write(tmp_path, OTHER, 1, 3)
        forwarding(tmp_path, receiver.url, own=lambda: STREAM).turn()
        assert receiver.acknowledged == ids(STREAM, 1, 3)
        forwarding(tmp_path, receiver.url).turn()  # from the command line: everybody's
        assert receiver.acknowledged == ids(STREAM, 1, 3) + ids(OTHER, 1, 3)


@pytest.mark.parametrize("text", ["", "x", "-5", "7", "99999999", "1.5"])
def test_a_position_that_cannot_be_true_is_none(text: str, forwarding, tmp_path: Path) -> None:
    segment = journal.write(tmp_path, STREAM, 1, 3)
    (tmp_path / f"{segment.name}.position").write_text(text)
    with serving() as receiver:
        forwarding(tmp_path, receiver.url).turn()
    assert receiver.acknowledged == ids(STREAM, 1, 3)
    assert journal.settled(segment) == segment.stat().st_size


def test_another_process_goes_on_at_the_position(forwarding, tmp_path: Path) -> None:
    segment = journal.write(tmp_path, STREAM, 1, 3)
    with serving() as receiver:
        forwarding(tmp_path, receiver.url).turn()
        journal.write(tmp_path, STREAM, 1, 0, tail=journal.line(STREAM, 4))
        forwarding(tmp_path, receiver.url).turn()
    assert receiver.acknowledged == ids(STREAM, 1, 4)
    assert journal.settled(segment) == segment.stat().st_size


def test_a_position_that_cannot_be_written_sends_nothing_twice(forwarding, tmp_path: Path, caplog) -> None:
    segment = journal.write(tmp_path, STREAM, 1, 3)
    obstacle = tmp_path / f"{segment.name}.position.tmp"
    obstacle.mkdir()
    with serving() as receiver:
        forwarder = forwarding(tmp_path, receiver.url)
        forwarder.turn()
        forwarder.turn()
        assert len(caplog.records) == 1
        assert "position" in caplog.text
        obstacle.rmdir()
        journal.write(tmp_path, STREAM, 4, 1)
        forwarder.turn()
    assert receiver.acknowledged == ids(STREAM, 1, 4)


def test_what_is_no_segment_is_left_alone(forwarding, tmp_path: Path) -> None:
    names = [f"{STREAM}.{1:012d}.jsonl.age", "notes.jsonl", f"{STREAM}.1.jsonl", f"{STREAM[:-1]}.{1:012d}.jsonl"]
    for name in names:
        (tmp_path / name).write_bytes(journal.line(STREAM, 1))
    (tmp_path / f"{STREAM}.{2:012d}.jsonl").symlink_to(tmp_path / "notes.jsonl")
    with serving() as receiver:
        forwarding(tmp_path, receiver.url).turn()
        assert receiver.requests == []
    assert {path.name for path in tmp_path.iterdir()} == {*names, f"{STREAM}.{2:012d}.jsonl"}


def test_a_segment_that_goes_meanwhile_is_no_failure(forwarding, tmp_path: Path, caplog) -> None:
    """Retention deletes what is delivered, and so may another forwarder's."""
    first, second = journal.write(tmp_path, STREAM, 1, 3), journal.write(tmp_path, STREAM, 4, 3)

    def delete(request: object) -> Reply:
        second.unlink(missing_ok=True)
        return Reply()

    with serving(delete) as receiver:
        forwarder = forwarding(tmp_path, receiver.url)
        forwarder.turn()
        first.unlink()
        forwarder.turn()
    assert receiver.acknowledged == ids(STREAM, 1, 3)
    assert caplog.records == []


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_holds_no_segment_of_its_parent(tmp_path: Path) -> None:
    """Else nobody could adopt the segment after the parent's death, for as long as the child lives."""
    path = journal.write(tmp_path, STREAM, 1, 3)
    reading, writing = os.pipe()
    ready, started = os.pipe()
    with segments.hold(path) as held:
        assert held is not None
        with segments.hold(path) as again:
            assert again is None
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.write(started, b".")
            os.read(reading, 1)  # until the parent is done
            os._exit(0)
        os.close(reading)
        os.read(ready, 1)
    try:
        with segments.hold(path) as held:
            assert held is not None
    finally:
        for descriptor in (writing, ready, started):
            os.close(descriptor)
        os.waitpid(child, 0)
