"""A disk that is full, and a journal that is: what is lost is counted and said, or refused."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from tests import isolated
from tests.journal import book
from tests.support import KEY, Trail, mint

# --- The bound ---------------------------------------------------------------------------------------------------


def size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())


def test_at_its_bound_records_are_dropped_counted_and_spoken_of(
    journal: Any, directory: Path, messages: Callable[[], list[str]]
) -> None:
    active = journal(max_bytes=20_000)
    for number in range(30):
        mint(jti=f"{number:02}")
    written = [one["jwt.jti"] for one in book.records(directory)]
    assert 0 < len(written) < 30
    assert written == [f"{number:02}" for number in range(len(written))]
    assert (active.written, active.losses.count) == (len(written), 30 - len(written))
    assert 15_000 < size(directory) <= 20_000
    active.tick()
    active.tick()
    (message,) = messages()  # not every second
    lost = 30 - len(written)
    assert (
        message == f"{lost} audit records are not in the journal in {directory}: it holds 20000 bytes, the most it may."
    )


def test_when_there_is_room_again_records_are_written_again(journal: Any, directory: Path) -> None:
    other = directory / ("0" * 32 + ".000000000001.jsonl")
    directory.mkdir(0o700)
    other.write_bytes(b"\n" * 20_000)
    active = journal(max_bytes=20_000)
    mint(jti="a")
    other.unlink()
    active._looked = 0
    active.tick()
    mint(jti="b")
    assert [one["jwt.jti"] for one in book.records(directory)] == ["b"]
    assert active.losses.count == 1


def test_what_other_processes_write_counts(journal: Any, directory: Path) -> None:
    active = journal(max_bytes=20_000)
    mint(jti="a")
    (directory / "torn").mkdir()
    (directory / "torn" / "x").write_bytes(b"x" * 20_000)
    active._looked = 0
    active.tick()
    mint(jti="b")
    assert [one["jwt.jti"] for one in book.records(directory)] == ["a"]


def test_the_metrics_tell(directory: Path, instrument: Callable[..., Trail]) -> None:
    trail = instrument(journal=directory, journal_max_bytes=20_000)
    for _ in range(30):
        mint()

    def metrics() -> list[int]:
        points = trail.metrics()
        return [
            sum(point.value for point in points.get(f"jwt.audit.{name}", []))
            for name in ("records.written", "records.dropped", "journal.pending")
        ]

    written, dropped, pending = metrics()
    assert (written, dropped, pending) == (len(book.records(directory)), 30 - written, written)
    (segment,) = directory.glob("*.jsonl")
    half = sum(len(line) + 1 for line in segment.read_bytes().splitlines()[: written // 2])
    position = segment.with_name(f"{segment.name}.position")
    position.write_text(str(half))
    assert 0 < metrics()[2] < written
    position.write_text(str(segment.stat().st_size))
    assert metrics() == [written, dropped, 0]


# --- The disk itself -------------------------------------------------------------------------------------------------

FULL = """
import os, resource, signal, sys, json
{limit}
from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from tests.support import mint
PyJWTInstrumentor().instrument(journal={directory!r}, journal_on_full={policy!r}, journal_fsync={fsync!r})
answered = []
for number in range(60):
    try:
        mint(jti=str(number))
        answered.append(str(number))
    except Exception as error:
        assert type(error).__name__ == "JournalFull", error
{relief}
mint(jti="after")
print(json.dumps(answered))
"""


def check(shown: subprocess.CompletedProcess[str], policy: str, directory: Path, said: str) -> None:
    answered = json.loads(shown.stdout)
    written = [one["jwt.jti"] for one in book.records(directory)]  # and each line is whole
    assert 5 < len(written) < 61
    assert written[-1] == "after"
    if policy == "refuse":
        assert [*answered, "after"] == written
    else:
        assert len(answered) == 60
    lost = 61 - len(written)
    assert f"{lost} audit records are not in the journal in {directory}: {said}" in shown.stderr


@pytest.mark.parametrize("policy", ["drop", "refuse"])
@pytest.mark.parametrize("fsync", ["interval", "always"])
def test_a_file_that_can_grow_no_more(policy: str, fsync: str, directory: Path) -> None:
    """A part of the last line fits: it is taken back."""
    script = FULL.format(
        limit="limit, _, hard = resource.RLIMIT_FSIZE, *resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(limit, (30_000, hard))",
        relief="resource.setrlimit(limit, (hard, hard))",
        directory=str(directory),
        policy=policy,
        fsync=fsync,
    )
    check(isolated.run(script, OTEL_LOGS_EXPORTER="none"), policy, directory, "File too large")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, where we may make one."""
    (mount := tmp_path / "disk").mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", mount], check=False, capture_output=True)
    if made.returncode != 0:
        pytest.skip("no file system may be mounted here")
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


@pytest.mark.parametrize("policy", ["drop", "refuse"])
def test_a_disk_that_is_full(policy: str, small_disk: Path) -> None:
    directory = small_disk / "journal"
    (small_disk / "other").write_bytes(b"x" * 20_000)
    script = FULL.format(
        limit="",
        relief=f"os.unlink({str(small_disk / 'other')!r})",
        directory=str(directory),
        policy=policy,
        fsync="interval",
    )
    check(isolated.run(script, OTEL_LOGS_EXPORTER="none"), policy, directory, "No space left on device")


def test_no_warning_is_raised_into_the_application(journal: Any, caplog: pytest.LogCaptureFixture) -> None:
    journal(max_bytes=1)
    with caplog.at_level(logging.WARNING):
        assert jwt.decode(mint(), KEY, ["HS256"])["jti"] == "token-1"
    PyJWTInstrumentor().uninstrument()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
