"""What is read, and what is no record."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt.journal import files, reader
from opentelemetry.instrumentation.pyjwt.journal.checkpoints import Keys
from opentelemetry.instrumentation.pyjwt.journal.files import UnreadableError, find
from opentelemetry.instrumentation.pyjwt.journal.verify import verify
from opentelemetry.instrumentation.pyjwt.journal.writer import Journal
from tests.journal.checking import checked, edit, found
from tests.journal.writing import Stream
from tests.support import mint


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"\xff",
        b"{}",
        b'{"resourceLogs":[]}',
        b'{"resourceLogs":{}}',
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[1]}]}]}',
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}],"more":1}',
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{},"body":{}}]}]}]}',
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"flags":NaN}]}]}]}',
        b"[" * 100_000,
        b"1" * 10_000,
    ],
)
def test_what_is_no_record(line: bytes) -> None:
    with pytest.raises(reader.NoRecordError):
        reader.records(line)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"intValue": "1x"},
        {"intValue": " 1"},
        {"intValue": "1_0"},
        {"intValue": "9" * 5_000},
        {"intValue": True},
        {"stringValue": 1},
        {"strangeValue": "a"},
        {"stringValue": "a", "intValue": "1"},
        {"arrayValue": []},
        {"arrayValue": {"values": [{"boolValue": "no"}]}},
        "a",
        None,
    ],
)
def test_what_is_no_value_of_an_attribute(value: object) -> None:
    """A reader that took it for one would see a record that others do not."""
    with pytest.raises(reader.NoRecordError):
        reader.attributes_of({"attributes": [{"key": "a", "value": value}]})


def test_a_line_too_long_for_memory_is_one_that_is_no_record(
    stream: Stream, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LONGEST", 4096)
    edit(archive / stream.name(0), lambda lines: lines.__setitem__(4, b"x" * 50_000 + b"\n"))
    assert found(checked(archive)) == [("changed", 5)]


def test_what_the_journal_sets_aside_is_not_read_and_what_is_sealed_is_said(stream: Stream, archive: Path) -> None:
    for name in ("dead-letter", "torn"):
        (archive / name).mkdir()
        (archive / name / stream.name(0)).write_text(json.dumps({"reason": "x"}) + "\n")
    assert checked(archive).intact
    (archive / stream.name(0)).rename(archive / f"{stream.name(0)}.age")
    with pytest.raises(UnreadableError, match="sealed"):
        checked(archive)


def test_what_is_compressed_is_read_as_it_is(stream: Stream, archive: Path, tmp_path: Path) -> None:
    expected = checked(archive)
    for path in sorted(archive.glob("*.jsonl"))[:2]:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    files = find([archive])
    read = 0

    def advance(size: int) -> None:
        nonlocal read
        read += size

    assert verify(files, Keys(), (), advance) == expected
    assert read == files.size
    path = archive / f"{stream.name(0)}.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(b"issuer.ex", b"issuer.ey", 1)))
    assert found(checked(archive)) == [("changed", 1)]


@pytest.mark.parametrize("damage", [lambda data: data[:-3], lambda data: data[:-2000], lambda data: b"x" + data])
def test_what_is_compressed_and_not_whole_is_said(damage: Any, archive: Path) -> None:
    path = sorted(archive.glob("*.jsonl"))[1]
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(damage(gzip.compress(path.read_bytes())))
    path.unlink()
    with pytest.raises(UnreadableError, match="not a whole one"):
        checked(archive)


def test_a_pattern_of_the_shell_may_name_all_that_is_in_a_journal(stream: Stream, archive: Path) -> None:
    expected = checked(archive)
    for name in ("dead-letter", "torn"):
        (archive / name).mkdir()
        (archive / name / stream.name(0)).write_text(json.dumps({"reason": "x"}) + "\n")
    (archive / f"{stream.name(0)}.position").write_text("1234")
    (archive / f"{stream.name(0)}.position.tmp").write_text("12")
    assert checked(archive) == expected
    assert checked(*archive.iterdir(), tmp=archive.parent) == expected


def test_a_line_that_is_written_while_it_is_read_is_not_read_in_two(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"one\ntw")
    lines = files.lines(path)
    assert next(lines).text == b"one"
    assert next(lines) == (2, b"tw", True)
    with path.open("ab") as file:
        file.write(b"o\nthree\n")
    assert list(lines) == []


def test_a_journal_that_is_being_written_is_intact(journal: Callable[..., Journal], directory: Path) -> None:
    journal(rotate_bytes="20KiB")
    mint()
    due = threading.Semaphore(0)

    def write() -> None:
        for _ in range(300):
            due.acquire()
            mint()

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        due.release(60)
        assert verify(find([directory]), Keys()).problems == []
    for thread in threads:
        thread.join()
    assert verify(find([directory]), Keys()).records == 601
    assert len(list(directory.glob("*.jsonl"))) > 5
