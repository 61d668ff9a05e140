"""What checkpoints vouch for: those in the journal, and those that were received elsewhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt.journal.checkpoints import Keys
from opentelemetry.instrumentation.pyjwt.journal.files import UnreadableError, find
from opentelemetry.instrumentation.pyjwt.journal.verify import verify
from tests.journal.checking import SIGNER, checked, edit, found, received_from
from tests.journal.writing import Record, Signer, Stream, some


def test_a_stream_whose_beginning_retention_took_is_vouched_for(stream: Stream, archive: Path) -> None:
    (archive / stream.name(0)).unlink()
    report = checked(archive)
    assert report.intact
    assert report.records == 60
    assert checked(archive, key=False).intact


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


@pytest.mark.parametrize("bare", [False, True])
def test_a_cut_after_the_last_checkpoint_shows_against_those_received(
    bare: bool, stream: Stream, archive: Path, tmp_path: Path
) -> None:
    received = received_from(stream, tmp_path / "received.txt", bare=bare)
    assert checked(archive, received=received).intact
    edit(archive / stream.name(2), lambda lines: lines.__delitem__(slice(12, None)))
    assert checked(archive).intact  # how should it know
    assert found(checked(archive, received=received)) == [("truncated", 93)]


def test_a_stream_that_is_gone_shows_against_the_checkpoints_received(
    stream: Stream, archive: Path, tmp_path: Path
) -> None:
    received = received_from(stream, tmp_path / "received.txt")
    some(Stream(SIGNER), 10).save(archive)
    for path in archive.glob(f"{stream.id}*"):
        path.unlink()
    report = checked(archive, received=received)
    assert [(one.kind, one.stream_id) for one in report.problems] == [("removed", stream.id)]


def test_a_history_written_anew_shows_against_the_checkpoints_received(
    stream: Stream, archive: Path, tmp_path: Path
) -> None:
    """Whoever holds the signing key can write what he likes, but not what was sent."""
    received = received_from(stream, tmp_path / "received.txt")
    again = some(Stream(SIGNER, stream.id), 100, every=15, rotate=40)
    again.save(archive)
    assert checked(archive).intact
    assert found(checked(archive, received=received))[0] == ("changed", 15)


@pytest.mark.parametrize("bare", [False, True])
def test_what_follows_a_checkpoint_that_was_received_has_to_name_its_hash(
    bare: bool, stream: Stream, archive: Path, tmp_path: Path
) -> None:
    """Though retention has taken the checkpoint itself."""
    stream.records = stream.records[:40]
    received = received_from(stream, tmp_path / "received.txt", bare=bare)
    (archive / stream.name(0)).unlink()
    assert checked(archive, received=received).intact
    again = some(Stream(SIGNER, stream.id), 100, every=15, rotate=40)
    again.save(archive)
    (archive / stream.name(0)).unlink()
    assert checked(archive).intact
    assert found(checked(archive, received=received)) == [("changed", 41)]


@pytest.mark.parametrize("received", [True, False])
def test_a_checkpoint_of_another_key_is_forged(received: bool, archive: Path, tmp_path: Path) -> None:
    forger = Stream(Signer())
    forger.write()
    forger.checkpoint()
    if received:
        file = received_from(forger, tmp_path / "received.txt")
        problems = checked(archive, received=file).problems
    else:
        forger.save(archive)
        assert checked(archive, key=False).intact
        problems = checked(archive).problems
    assert [(one.kind, one.stream_id, one.sequence) for one in problems] == [("forged checkpoint", forger.id, 2)]


def test_keys_as_jwks(stream: Stream, archive: Path, tmp_path: Path) -> None:
    """The key in use and those before it; others are not Ed25519 keys."""
    old = Signer()
    again = some(Stream(old), 20)
    again.save(archive)
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [SIGNER.jwk, {"kty": "RSA", "n": "AQAB", "e": "AQAB"}, old.jwk]}))
    assert verify(find([archive]), Keys.load([file])).intact
    file.write_text(json.dumps(SIGNER.jwk))
    assert {one.kind for one in verify(find([archive]), Keys.load([file])).problems} == {"forged checkpoint"}


@pytest.mark.parametrize("text", ["", "{}", '{"keys": 1}', '{"keys": [1]}', "[]", "-----BEGIN PUBLIC KEY-----"])
def test_a_file_without_a_key_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    with pytest.raises(UnreadableError, match="no Ed25519 public key"):
        Keys.load([path])


CLAIMS: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "both": lambda hash_, digest: {"hash": hash_, "digest": digest},
    "of the record before alone": lambda hash_, digest: {"hash": hash_},
    "of the record itself alone": lambda hash_, digest: {"hash": digest},
}


@pytest.mark.parametrize("claims", CLAIMS.values(), ids=CLAIMS)
@pytest.mark.parametrize("bare", [False, True])
def test_a_checkpoint_vouches_by_what_it_says(
    claims: Callable[[str, str], dict[str, str]], bare: bool, tmp_path: Path
) -> None:
    stream = some(Stream(SIGNER, claims=claims), 30, every=10)
    stream.save(tmp_path / "journal")
    received = received_from(stream, tmp_path / "received.txt", bare=bare)
    report = checked(tmp_path / "journal", received=received)
    assert (report.intact, report.checkpoints, report.unsigned) == (True, 3, 0)


@pytest.mark.parametrize(
    "claims",
    [
        lambda hash_, digest: {"hash": hash_, "digest": hash_},
        lambda hash_, digest: {"hash": hash_, "digest": None},
        lambda hash_, digest: {"hash": hash_, "digest": 1},
        lambda hash_, digest: {"hash": "0" * 64, "digest": digest},
        lambda hash_, digest: {"digest": digest},
    ],
)
def test_a_checkpoint_that_says_something_else_does_not(
    claims: Callable[[str, str], dict[str, str]], tmp_path: Path
) -> None:
    some(Stream(SIGNER, claims=claims), 10).save(tmp_path / "journal")
    assert found(checked(tmp_path / "journal")) == [("forged checkpoint", 10)]


CHANGES: dict[str, Callable[[Record], object]] = {
    "time": lambda record: record.update(timeUnixNano="1"),
    "severity": lambda record: record.update(severityText="WARN"),
    "body": lambda record: record["body"].update(stringValue="x"),
    "span": lambda record: record.update(spanId="1" * 16),
    "value": lambda record: record["attributes"][0]["value"].update(stringValue="x"),
    "name": lambda record: record["attributes"][0].update(key="x"),
    "less": lambda record: record["attributes"].pop(0),
    "more": lambda record: record["attributes"].append({"key": "x", "value": {"boolValue": True}}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("key", [True, False])
def test_a_checkpoint_at_the_end_of_a_stream_is_its_own_witness(
    key: bool, change: Callable[[Record], object], stream: Stream, archive: Path
) -> None:
    """No other record names its hash."""
    change(stream.records[-1])
    stream.save(archive)
    assert found(checked(archive, key=key)) == [("forged checkpoint", 100)]


@pytest.mark.parametrize("bare", [False, True])
def test_another_record_in_place_of_the_last_checkpoint_shows_against_those_received(
    bare: bool, stream: Stream, archive: Path, tmp_path: Path
) -> None:
    received = received_from(stream, tmp_path / "received.txt", bare=bare)
    last = stream.records[-1]
    last |= {"eventName": "jwt.validated", "body": {"stringValue": "jwt.validated"}}
    last["attributes"].pop()
    stream.save(archive)
    report = checked(archive)
    assert (report.intact, report.unsigned) == (True, 10)  # as many as the stream could have in any case
    assert found(checked(archive, received=received)) == [("changed", 100)]


def test_a_segment_that_has_just_been_begun(stream: Stream, archive: Path, tmp_path: Path) -> None:
    """By time, or by a process that was killed then: it is empty, or half a line long. Its name counts."""
    received = received_from(stream, tmp_path / "received.txt")
    begun = archive / f"{stream.id}.000000000101.jsonl"
    for text in (b"", b'{"resourceLogs":['):
        begun.write_bytes(text)
        assert checked(archive, received=received).problems == []
    edit(archive / stream.name(2), lambda lines: lines.__delitem__(slice(12, None)))
    assert found(checked(archive)) == [("truncated", 93)]
    assert found(checked(archive, received=received)) == [("truncated", 93)]
    for name in map(stream.name, range(3)):  # retention has taken them
        (archive / name).unlink()
    assert checked(archive, received=received).problems == []


def test_a_stream_without_a_record(tmp_path: Path) -> None:
    """Of a process that was killed at once."""
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / f"{'0' * 32}.000000000001.jsonl").touch()
    report = checked(tmp_path / "journal")
    assert (report.intact, report.records, report.streams) == (True, 0, 1)


@pytest.mark.parametrize("key", [True, False])
def test_what_was_moved_elsewhere_belongs_to_the_rest(key: bool, stream: Stream, archive: Path, tmp_path: Path) -> None:
    """A tree of several journals, one of which has the oldest segments of another."""
    received = received_from(stream, tmp_path / "received.txt")
    (tmp_path / "older").mkdir()
    older = (archive / stream.name(0)).rename(tmp_path / "older" / stream.name(0))
    some(Stream(SIGNER), 20).save(tmp_path / "other")
    folders = [archive, tmp_path / "older", tmp_path / "other"]
    report = checked(*folders, key=key, received=received)
    assert (report.problems, report.records, report.streams) == ([], 120, 2)
    edit(older, lambda lines: lines.__setitem__(39, lines[39].replace(b"checkpoint", b"chekcpoint")))
    assert ("changed", 40) in found(checked(*folders, key=key))


def test_a_journal_and_a_copy_of_its_folder(stream: Stream, archive: Path, tmp_path: Path) -> None:
    """The copy is of the time before the last segment, and retention has been since."""
    received = received_from(stream, tmp_path / "received.txt")
    shutil.copytree(archive, tmp_path / "tree" / "older")
    (tmp_path / "tree" / "older" / stream.name(2)).unlink()
    shutil.copytree(archive, tmp_path / "tree" / "live")
    (tmp_path / "tree" / "live" / stream.name(0)).unlink()
    report = checked(tmp_path / "tree", received=received)
    assert (report.problems, report.records, report.streams) == ([], 140, 1)
    edit(tmp_path / "tree" / "older" / stream.name(1), lambda lines: lines.pop(3))
    assert found(checked(tmp_path / "tree", received=received)) == [("removed", 44)]
