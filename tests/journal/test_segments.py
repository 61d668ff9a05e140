"""Rotation, retention, and what goes to the disk when."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from opentelemetry.instrumentation.pyjwt.journal import directory as folder
from opentelemetry.instrumentation.pyjwt.journal import retention, writer
from opentelemetry.instrumentation.pyjwt.journal.checkpoints import Keys
from opentelemetry.instrumentation.pyjwt.journal.files import find
from opentelemetry.instrumentation.pyjwt.journal.locks import create_lock
from opentelemetry.instrumentation.pyjwt.journal.verify import verify
from tests import isolated
from tests.journal import book
from tests.support import KEY, mint


def off() -> None:
    PyJWTInstrumentor().uninstrument()


def names(directory: Path) -> list[int]:
    return [int(path.name.split(".")[1]) for path in sorted(directory.glob("*.jsonl"))]


# --- Rotation ------------------------------------------------------------------------------------------------------


def test_a_segment_has_its_size_and_its_name_the_number_of_its_first_record(journal: Any, directory: Path) -> None:
    journal(rotate_bytes=10_000)
    for number in range(30):
        mint(jti=str(number))
    sizes = [path.stat().st_size for path in sorted(directory.glob("*.jsonl"))]
    assert len(sizes) > 3
    assert all(10_000 <= size < 15_000 for size in sizes[:-1])
    assert [one["jwt.jti"] for one in book.records(directory)] == [str(number) for number in range(30)]
    assert len(book.read(directory)) == 1


def test_a_segment_has_its_time_by_a_clock_that_nobody_sets(
    journal: Any, directory: Path, turn_back: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    active = journal(rotate="1h")
    mint(jti="a")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 10 * 86400)
    active.tick()
    assert names(directory) == [1]
    turn_back(active, 3600)
    active.tick()
    active.tick()
    assert names(directory) == [1, 2]  # closed though nothing follows, so that it is delivered in time
    mint(jti="b")
    assert len(book.records(directory)) == 2


def test_an_empty_segment_is_not_rotated(journal: Any, directory: Path, turn_back: Any) -> None:
    active = journal(rotate="1h")
    mint()
    for _ in range(3):
        turn_back(active, 3600)
        active.tick()
    assert names(directory) == [1, 2]


def test_without_events_there_is_no_file(journal: Any, directory: Path) -> None:
    active = journal()
    active.tick()
    off()
    assert list(directory.iterdir()) == []


def test_threads_share_a_stream(journal: Any, directory: Path) -> None:
    active = journal(rotate_bytes=50_000, fsync="always")
    barrier = threading.Barrier(8)

    def work(name: int) -> None:
        barrier.wait()
        for number in range(50):
            mint(jti=f"{name}-{number}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (stream,) = book.read(directory).values()
    for name in range(8):  # each thread's in its order
        mine = [one["jwt.jti"] for one in stream if one["jwt.jti"].startswith(f"{name}-")]
        assert mine == [f"{name}-{number}" for number in range(50)]
    assert active.written == 400


def test_nothing_is_written_to_a_segment_once_another_may_follow_it(
    journal: Any, directory: Path, turn_back: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal handler raises when the new segment is there and nobody knows it yet."""
    active = journal(rotate="1h")
    mint()
    real, (segment,) = folder.create, directory.glob("*.jsonl")
    size = segment.stat().st_size

    def create(path: Path) -> int:
        descriptor = real(path)
        monkeypatch.undo()
        os.close(descriptor)
        raise KeyboardInterrupt

    monkeypatch.setattr(folder, "create", create)
    turn_back(active, 3600)
    with pytest.raises(KeyboardInterrupt):
        active.tick()
    mint()
    assert segment.stat().st_size == size
    assert sorted(names(directory)) == [1, 1, 2]
    assert len(book.read(directory)) == 2
    assert verify(find([directory]), Keys()).intact


def test_a_line_that_is_torn_is_the_last_of_its_stream(
    journal: Any, directory: Path, turn_back: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk has taken half of it, and does not let it be taken back."""
    active = journal(rotate="1h")
    mint()
    real, (segment,) = os.write, directory.glob("*.jsonl")
    size = segment.stat().st_size

    def half(descriptor: int, data: bytes) -> int:
        if os.fstat(descriptor).st_size > size:
            raise OSError(errno.EIO, "broken")
        return real(descriptor, data[: len(data) // 2])

    def no(*_: int) -> None:
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        patch.setattr(os, "ftruncate", no)
        mint()
    assert segment.stat().st_size > size
    turn_back(active, 3600)
    active.tick()
    mint()
    assert names(directory) == [1, 1]
    report = verify(find([directory]), Keys())
    assert (report.problems, report.records, report.streams) == ([], 2, 2)


# --- The disk ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fsync", "at_once", "in_a_second"), [("never", 0, 0), ("interval", 0, 1), ("always", 1, 1)])
def test_the_disk_has_it_when_it_was_asked_to(
    fsync: str, at_once: int, in_a_second: int, journal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    active = journal(fsync=fsync)
    synced: list[str] = []
    real = os.fsync

    def fsync_(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync_)
    monkeypatch.setattr(writer, "companions", lambda _: ())
    mint()
    (segment,) = active.directory.glob("*.jsonl")
    assert synced.count(str(segment)) == at_once
    active.tick()
    assert (synced.count(str(segment)) >= 1) is bool(in_a_second)
    assert (str(active.directory) in synced) is bool(in_a_second)


# --- Retention -------------------------------------------------------------------------------------------------------

OLD, DAY = 40 * 86400, 86400


def segment(directory: Path, stream: str, first: int, *, age: float = OLD, position: int | None = 4) -> Path:
    path = directory / f"{stream * 32}.{first:012d}.jsonl"
    path.write_bytes(b"abc\n")
    os.utime(path, (time.time() - age,) * 2)
    if position is not None:
        path.with_name(f"{path.name}.position").write_text(str(position))
    return path


def test_what_is_closed_delivered_and_old_goes_and_nothing_else(tmp_path: Path) -> None:
    gone = [segment(tmp_path, "a", 1), segment(tmp_path, "a", 5), segment(tmp_path, "b", 1), segment(tmp_path, "d", 1)]
    kept = [
        segment(tmp_path, "b", 2),  # the last of a stream that is alive
        segment(tmp_path, "c", 1, position=3),
        segment(tmp_path, "c", 2, position=None),
        segment(tmp_path, "c", 3, age=29 * DAY),
        segment(tmp_path, "d", 2),  # somebody has it in hand
    ]
    foreign = [tmp_path / "readme.jsonl", tmp_path / "dead-letter"]
    foreign[0].write_text("x")
    foreign[1].mkdir()
    for stream in "ac":
        (tmp_path / f"{stream * 32}.lock").touch()
    alive = create_lock(tmp_path, "b" * 32)
    starting = create_lock(tmp_path, "e" * 32)  # has no segment yet
    with kept[-1].open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        retention.sweep(tmp_path, 30 * DAY)
    os.close(alive)
    os.close(starting)
    assert [path.exists() for path in gone] == [False] * 4
    assert [path.exists() for path in [*kept, *foreign]] == [True] * 7
    assert not any(path.with_name(f"{path.name}.position").exists() for path in gone)
    assert sorted(path.name[0] for path in tmp_path.glob("*.lock")) == ["b", "c", "e"]


def test_a_sealed_segment_goes_when_it_is_old(tmp_path: Path) -> None:
    sealed = segment(tmp_path, "a", 1, position=None).rename(tmp_path / f"{'a' * 32}.{1:012d}.jsonl.age")
    retention.sweep(tmp_path, 41 * DAY)
    assert sealed.exists()
    retention.sweep(tmp_path, 30 * DAY)
    assert not sealed.exists()


def test_a_lock_that_never_got_its_name_goes(tmp_path: Path) -> None:
    """Its process was killed; but whoever is about to give it its name is left alone, however slow it is."""
    killed = isolated.run(
        f"""
    import os, signal
    from pathlib import Path
    from opentelemetry.instrumentation.pyjwt.journal.locks import create_lock
    Path.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    create_lock(Path({str(tmp_path)!r}), "a" * 32)
    """,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    (slow := tmp_path / f"{'b' * 32}.lock.tmp").touch()
    retention.sweep(tmp_path, DAY)
    assert left.exists(), "it may be about to be locked"
    for path in (left, slow):
        os.utime(path, (time.time() - DAY,) * 2)
    with slow.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        retention.sweep(tmp_path, 30 * DAY)
        assert list(tmp_path.iterdir()) == [slow]


def test_the_journal_sees_to_it(journal: Any, directory: Path) -> None:
    active = journal(retention="30d")
    old = segment(directory, "a", 1)
    mint()
    active.tick()
    assert old.exists()
    active._swept -= 60
    active.tick()
    assert not old.exists()
    assert len(book.records(directory)) == 1


def test_a_thread_does_the_rounds(journal: Any, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticked = threading.Event()
    monkeypatch.setattr(writer.Journal, "tick", lambda _: ticked.set())
    journal()
    assert not any(thread.name == "jwt-audit-journal" for thread in threading.enumerate())
    mint()
    assert ticked.wait(10)
    started = time.monotonic()
    off()
    assert time.monotonic() - started < 2
    assert not any(thread.name == "jwt-audit-journal" for thread in threading.enumerate())


def test_an_envelope_has_the_resource_of_the_environment_where_there_is_no_sdk(directory: Path) -> None:
    script = f"""
    import jwt
    from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
    PyJWTInstrumentor().instrument(journal={str(directory)!r})
    jwt.encode({{"jti": "a"}}, {KEY!r}, "HS256")
    """
    isolated.run(script, OTEL_RESOURCE_ATTRIBUTES="service.name=x, team=a%20b ,,odd", OTEL_SERVICE_NAME="shop")
    ((_, _, line),) = book.lines(directory)
    resource = json.loads(line)["resourceLogs"][0]["resource"]
    assert book.Record({**resource, "eventName": ""}) == {"service.name": "shop", "team": "a b", "event": ""}
