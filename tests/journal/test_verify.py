"""Each kind of damage is called by its name, with the record it was done to; and what is no damage is none."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt.journal import order, reader
from opentelemetry.instrumentation.pyjwt.journal.checkpoints import Keys
from opentelemetry.instrumentation.pyjwt.journal.reader import UnreadableError, find
from opentelemetry.instrumentation.pyjwt.journal.verify import Report, verify
from tests.journal.writing import Record, Signer, Stream, copied, line_of, some

SIGNER = Signer()


def checked(*paths: Path, key: bool = True, received: Path | None = None, tmp: Path | None = None) -> Report:
    keys = Keys()
    if key:
        file = (tmp or paths[0].parent) / "key.pem"
        file.write_bytes(SIGNER.pem)
        keys = Keys.load([file])
    return verify(find(paths), keys, [received] if received else [])


def found(report: Report) -> list[tuple[str, int | None]]:
    return [(problem.kind, problem.sequence) for problem in report.problems]


def lines_in(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


@pytest.fixture
def stream() -> Stream:
    """100 records; segments begin with 1, 41 and 81."""
    return some(Stream(SIGNER), 100, every=15, rotate=40)


@pytest.fixture
def journal(stream: Stream, tmp_path: Path) -> Path:
    stream.save(tmp_path / "journal")
    return tmp_path / "journal"


def edit(path: Path, change: Any) -> None:
    lines = lines_in(path)
    change(lines)
    path.write_bytes(b"".join(lines))


def test_an_untouched_journal_is_intact(stream: Stream, journal: Path) -> None:
    report = checked(journal)
    assert report.as_json() == {
        "intact": True,
        "records": 100,
        "streams": 1,
        "checkpoints": len(stream.checkpoints()),
        "problems": [],
    }
    assert checked(*sorted(journal.glob("*.jsonl")), tmp=journal) == report


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
    segment: int, change: Any, problems: list[tuple[str, int]], key: bool, journal: Path
) -> None:
    edit(sorted(journal.glob("*.jsonl"))[segment], change)
    assert found(checked(journal, key=key)) == problems


def test_the_changed_prev_hash_of_a_record_is_its_own(stream: Stream, journal: Path) -> None:
    right = next(one for one in stream.records[21]["attributes"] if one["key"] == "audit.sequence.prev_hash")
    text = right["value"]["stringValue"].encode()
    wrong = text[:-1] + (b"0" if text[-1:] != b"0" else b"1")
    edit(journal / stream.name(0), lambda lines: lines.__setitem__(21, lines[21].replace(text, wrong)))
    assert found(checked(journal)) == [("changed", 22)]


def test_a_record_of_another_stream_is_inserted(journal: Path) -> None:
    other = some(Stream(SIGNER), 10)
    first = sorted(journal.glob("*.jsonl"))[0]
    edit(first, lambda lines: lines.insert(7, line_of(other.records[7])))
    assert found(checked(journal)) == [("inserted", 8)]


def test_a_segment_under_a_wrong_name_is_reported(stream: Stream, journal: Path) -> None:
    (journal / stream.name(1)).rename(journal / f"{stream.id}.000000000042.jsonl")
    assert found(checked(journal)) == [("changed", 41)]


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


def test_a_torn_line_that_another_segment_follows_is_reported(stream: Stream, journal: Path) -> None:
    path = journal / stream.name(1)
    path.write_bytes(path.read_bytes() + b'{"resourceLogs":[')
    assert found(checked(journal)) == [("inserted", 81)]


def test_a_stream_whose_beginning_retention_took_is_vouched_for(stream: Stream, journal: Path) -> None:
    (journal / stream.name(0)).unlink()
    report = checked(journal)
    assert report.intact
    assert report.records == 60
    assert checked(journal, key=False).intact


def test_without_a_checkpoint_it_is_not(tmp_path: Path) -> None:
    stream = Stream()
    for number in range(20):
        if number == 10:
            stream.segments.append([])
        stream.write()
    paths = stream.save(tmp_path / "journal")
    assert checked(tmp_path / "journal").intact
    paths[0].unlink()
    assert found(checked(tmp_path / "journal")) == [("removed", 1)]


def received_from(stream: Stream, path: Path, *, bare: bool = False) -> Path:
    tokens = [one["attributes"][-1]["value"]["stringValue"].encode() + b"\n" for one in stream.checkpoints()]
    path.write_bytes(b"".join(tokens if bare else [line_of(copied(one)) for one in stream.checkpoints()]))
    return path


@pytest.mark.parametrize("bare", [False, True])
def test_a_cut_after_the_last_checkpoint_shows_against_those_received(
    bare: bool, stream: Stream, journal: Path, tmp_path: Path
) -> None:
    received = received_from(stream, tmp_path / "received.txt", bare=bare)
    assert checked(journal, received=received).intact
    edit(journal / stream.name(2), lambda lines: lines.__delitem__(slice(12, None)))
    assert checked(journal).intact  # how should it know
    assert found(checked(journal, received=received)) == [("truncated", 93)]


def test_a_stream_that_is_gone_shows_against_the_checkpoints_received(
    stream: Stream, journal: Path, tmp_path: Path
) -> None:
    received = received_from(stream, tmp_path / "received.txt")
    some(Stream(SIGNER), 10).save(journal)
    for path in journal.glob(f"{stream.id}*"):
        path.unlink()
    report = checked(journal, received=received)
    assert [(one.kind, one.stream_id) for one in report.problems] == [("removed", stream.id)]


def test_a_history_written_anew_shows_against_the_checkpoints_received(
    stream: Stream, journal: Path, tmp_path: Path
) -> None:
    """Whoever holds the signing key can write what he likes, but not what was sent."""
    received = received_from(stream, tmp_path / "received.txt")
    again = some(Stream(SIGNER, stream.id), 100, every=15, rotate=40)
    again.save(journal)
    assert checked(journal).intact
    assert found(checked(journal, received=received))[0] == ("changed", 15)


@pytest.mark.parametrize("received", [True, False])
def test_a_checkpoint_of_another_key_is_forged(received: bool, journal: Path, tmp_path: Path) -> None:
    forger = Stream(Signer())
    forger.write()
    forger.checkpoint()
    if received:
        file = received_from(forger, tmp_path / "received.txt")
        problems = checked(journal, received=file).problems
    else:
        forger.save(journal)
        assert checked(journal, key=False).intact
        problems = checked(journal).problems
    assert [(one.kind, one.stream_id, one.sequence) for one in problems] == [("forged checkpoint", forger.id, 2)]


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
    stream: Stream, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "LONGEST", 4096)
    edit(journal / stream.name(0), lambda lines: lines.__setitem__(4, b"x" * 50_000 + b"\n"))
    assert found(checked(journal)) == [("changed", 5)]


def test_damage_without_end_is_told_within_bounds(stream: Stream, journal: Path) -> None:
    path = journal / stream.name(0)
    path.write_bytes(lines_in(path)[0] * 5_000)
    assert 1 < len(checked(journal).problems) <= 100
    assert order.RUNS < 5_000


def test_what_the_journal_sets_aside_is_not_read_and_what_is_sealed_is_said(stream: Stream, journal: Path) -> None:
    for name in ("dead-letter", "torn"):
        (journal / name).mkdir()
        (journal / name / stream.name(0)).write_text(json.dumps({"reason": "x"}) + "\n")
    assert checked(journal).intact
    (journal / stream.name(0)).rename(journal / f"{stream.name(0)}.age")
    with pytest.raises(UnreadableError, match="sealed"):
        checked(journal)


def test_keys_as_jwks(stream: Stream, journal: Path, tmp_path: Path) -> None:
    """The key in use and those before it; others are not Ed25519 keys."""
    old = Signer()
    again = some(Stream(old), 20)
    again.save(journal)
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [SIGNER.jwk, {"kty": "RSA", "n": "AQAB", "e": "AQAB"}, old.jwk]}))
    assert verify(find([journal]), Keys.load([file])).intact
    file.write_text(json.dumps(SIGNER.jwk))
    assert {one.kind for one in verify(find([journal]), Keys.load([file])).problems} == {"forged checkpoint"}


@pytest.mark.parametrize("text", ["", "{}", '{"keys": 1}', '{"keys": [1]}', "[]", "-----BEGIN PUBLIC KEY-----"])
def test_a_file_without_a_key_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    with pytest.raises(UnreadableError, match="no Ed25519 public key"):
        Keys.load([path])
