"""Each kind of damage is called by its name, with the record it was done to; and what is no damage is none."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt.journal import order
from tests.journal.checking import SIGNER, checked, edit, found, lines_in
from tests.journal.writing import Record, Stream, copied, line_of, some


def test_an_untouched_journal_is_intact(stream: Stream, archive: Path) -> None:
    report = checked(archive)
    assert report.as_json() == {
        "intact": True,
        "records": 100,
        "streams": 1,
        "checkpoints": len(stream.checkpoints()),
        "problems": [],
    }
    assert checked(*sorted(archive.glob("*.jsonl")), tmp=archive) == report


@pytest.mark.parametrize(
    ("segment", "change", "problems"),
    [
        (0, lambda lines: lines.__setitem__(9, lines[9].replace(b"issuer.ex", b"issuer.ey")), [("changed", 10)]),
        (0, lambda lines: lines.__setitem__(0, lines[0].replace(b"issuer.ex", b"issuer.ey")), [("changed", 1)]),
        (
            1,
            lambda lines: lines.__setitem__(2, lines[2].replace(b'Value":"43"', b'Value":"9"')),
            [("changed", 43)],
        ),
        (1, lambda lines: lines.__setitem__(2, b"{}\n"), [("changed", 43)]),
        (1, lambda lines: lines.__setitem__(2, lines[2][:-20] + b"\n"), [("changed", 43)]),
        (0, lambda lines: lines.__delitem__(slice(9, 12)), [("removed", 10)]),
        (0, lambda lines: lines.__delitem__(slice(0, 2)), [("removed", 1)]),
        (1, lambda lines: lines.clear(), [("removed", 41)]),
        (0, lambda lines: lines.insert(20, lines[4]), [("inserted", 5)]),
        (0, lambda lines: lines.insert(4, lines[20]), [("inserted", 21)]),
        (0, lambda lines: lines.insert(4, lines[4]), [("inserted", 5)]),
        (0, lambda lines: lines.insert(4, b"# nothing\n"), [("inserted", 5)]),
        (0, lambda lines: lines.insert(4, b"\n"), [("inserted", 5)]),
        (0, lambda lines: lines.insert(4, lines[4].replace(b"issuer.ex", b"issuer.ey")), [("inserted", 5)]),
        (0, lambda lines: lines.insert(9, lines.pop(10)), [("reordered", 10)]),
        (0, lambda lines: lines.insert(0, lines.pop(1)), [("reordered", 1)]),
        (0, lambda lines: lines.insert(30, lines.pop(10)), [("reordered", 11)]),
        (0, lambda lines: lines.__setitem__(39, lines[39][:-5]), [("truncated", 40)]),
        (0, lambda lines: lines.__setitem__(slice(5, 7), [lines[6], lines[5]]), [("reordered", 6)]),
    ],
)
@pytest.mark.parametrize("key", [True, False])
def test_damage_is_called_by_its_name(
    segment: int, change: Any, problems: list[tuple[str, int]], key: bool, archive: Path
) -> None:
    edit(sorted(archive.glob("*.jsonl"))[segment], change)
    assert found(checked(archive, key=key)) == problems


def test_the_changed_prev_hash_of_a_record_is_its_own(stream: Stream, archive: Path) -> None:
    right = next(one for one in stream.records[21]["attributes"] if one["key"] == "audit.sequence.prev_hash")
    text = right["value"]["stringValue"].encode()
    wrong = text[:-1] + (b"0" if text[-1:] != b"0" else b"1")
    edit(archive / stream.name(0), lambda lines: lines.__setitem__(21, lines[21].replace(text, wrong)))
    assert found(checked(archive)) == [("changed", 22)]


def test_a_record_of_another_stream_is_inserted(archive: Path) -> None:
    other = some(Stream(SIGNER), 10)
    first = sorted(archive.glob("*.jsonl"))[0]
    edit(first, lambda lines: lines.insert(7, line_of(other.records[7])))
    assert found(checked(archive)) == [("inserted", 8)]


def test_a_segment_under_a_wrong_name_is_reported(stream: Stream, archive: Path) -> None:
    (archive / stream.name(1)).rename(archive / f"{stream.id}.000000000042.jsonl")
    assert found(checked(archive)) == [("changed", 41)]


def test_several_records_a_line_and_a_live_last_line(stream: Stream, tmp_path: Path) -> None:
    """A line may hold many; the last may be half written yet."""
    folder = tmp_path / "journal"
    folder.mkdir()
    path = folder / stream.name(0)
    lines = [line_of(*stream.records[at : at + 7]) for at in range(0, 100, 7)]
    path.write_bytes(b"".join(lines) + line_of(stream.records[3])[:-40])
    assert found(checked(folder)) == []
    # The whole line without its end has not been written either.
    path.write_bytes(b"".join(lines) + line_of(stream.records[3])[:-1])
    assert checked(folder).intact


def test_a_torn_line_that_another_segment_follows_is_reported(stream: Stream, archive: Path) -> None:
    path = archive / stream.name(1)
    path.write_bytes(path.read_bytes() + b'{"resourceLogs":[')
    assert found(checked(archive)) == [("inserted", 81)]


def as_copy(records: list[Record], path: Path, *, a_line: int = 7) -> Path:
    path.write_bytes(b"".join(line_of(*records[at : at + a_line]) for at in range(0, len(records), a_line)))
    return path


def test_a_copy_is_a_set(stream: Stream, tmp_path: Path) -> None:
    """Out of order, with repeats and additions, in several files, among what is no record of ours."""
    other = some(Stream(SIGNER), 30)
    records = [copied(one) for one in [*stream.records, *other.records]]
    records += records[10:50]
    random.Random(1).shuffle(records)
    alien = {"body": {"stringValue": "GET /"}, "attributes": [], "timeUnixNano": "1"}
    folder = tmp_path / "copies"
    folder.mkdir()
    as_copy(records[:60], folder / "audit-2026-01-01.json")
    path = as_copy([*records[60:], alien], folder / "audit.json")
    path.write_bytes(path.read_bytes() + b'\n{"resourceLogs": [{')
    report = checked(folder)
    assert report.problems == []
    assert (report.records, report.streams) == (130, 2)
    assert report.checkpoints == len(stream.checkpoints()) + len(other.checkpoints())


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        (lambda records: records.pop(19), [("removed", 20)]),
        (lambda records: records[19].update(severityText="ERROR"), [("changed", 20)]),
        (lambda records: records.append({**records[19], "severityText": "ERROR"}), [("inserted", 20)]),
        (lambda records: records.__delitem__(slice(0, 5)), []),  # as retention would; a checkpoint vouches for the rest
    ],
)
def test_damage_in_a_copy(change: Any, problems: list[tuple[str, int]], stream: Stream, tmp_path: Path) -> None:
    records = [copied(one) for one in stream.records]
    change(records)
    random.Random(1).shuffle(records)
    assert found(checked(as_copy(records, tmp_path / "copy.json"))) == problems


def test_a_line_of_a_copy_that_is_no_record_is_reported(stream: Stream, tmp_path: Path) -> None:
    path = as_copy([copied(one) for one in stream.records], tmp_path / "copy.json")
    edit(path, lambda lines: lines.insert(3, b"junk\n"))
    report = checked(path)
    assert found(report) == [("changed", None)]
    assert "line 4" in report.problems[0].detail


def test_damage_without_end_is_told_within_bounds(stream: Stream, archive: Path) -> None:
    path = archive / stream.name(0)
    path.write_bytes(lines_in(path)[0] * 5_000)
    assert 1 < len(checked(archive).problems) <= 100
    assert order.RUNS < 5_000
