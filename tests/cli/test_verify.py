"""``jwt-audit verify``: what it prints and how it ends."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from opentelemetry.instrumentation.pyjwt.cli.app import app
from tests.journal.writing import Signer, Stream, copied, line_of, some

SIGNER = Signer()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["verify", *map(str, arguments)])


@pytest.fixture
def stream(tmp_path: Path) -> Stream:
    stream = some(Stream(SIGNER), 30, every=10)
    stream.save(tmp_path / "journal")
    (tmp_path / "key.pem").write_bytes(SIGNER.pem)
    (tmp_path / "received.jsonl").write_bytes(b"".join(line_of(copied(one)) for one in stream.checkpoints()))
    return stream


def test_intact(stream: Stream, tmp_path: Path) -> None:
    done = run(tmp_path / "journal", "--public-key", tmp_path / "key.pem", "--checkpoints", tmp_path / "received.jsonl")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "intact (30 records, 1 stream, 3 checkpoints)\n", "")


def test_without_a_key_it_says_what_was_not_checked(stream: Stream, tmp_path: Path) -> None:
    done = run(tmp_path / "journal")
    assert done.exit_code == 0
    assert "The chain alone was checked" in done.stderr


def test_how_much_no_checkpoint_covers_is_said(stream: Stream, tmp_path: Path) -> None:
    for said in ("1 record", "2 records"):
        stream.write()
        stream.save(tmp_path / "journal")
        done = run(tmp_path / "journal", "--public-key", tmp_path / "key.pem")
        assert done.exit_code == 0
        assert done.stderr == f"The chain alone was checked of {said} behind the last checkpoint.\n"


@pytest.mark.parametrize("as_json", [True, False])
def test_tampered_with(as_json: bool, stream: Stream, tmp_path: Path) -> None:
    path = tmp_path / "journal" / stream.name(0)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4] + lines[5:]))
    done = run(tmp_path / "journal", "--public-key", tmp_path / "key.pem", *(["--json"] if as_json else []))
    assert done.exit_code == 1
    if as_json:
        assert json.loads(done.stdout) == {
            "intact": False,
            "records": 29,
            "streams": 1,
            "checkpoints": 3,
            "problems": [{"kind": "removed", "stream_id": stream.id, "sequence": 5, "detail": "5 missing"}],
        }
    else:
        assert done.stdout == (
            "TAMPERED WITH: 1 problem (29 records, 1 stream, 3 checkpoints)\n"
            f"  removed: stream {stream.id}, record 5: 5 missing\n"
        )


def test_what_cannot_be_read_is_said(stream: Stream, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "torn.json.gz").write_bytes(gzip.compress(line_of(stream.records[0]))[:-9])
    for arguments, said in (
        (["nowhere"], "nowhere cannot be read: No such file or directory"),
        ([tmp_path / "torn.json.gz"], "torn.json.gz is no gzip file, or not a whole one"),
        ([tmp_path / "empty"], "neither a journal nor OTLP JSON lines"),
        ([tmp_path / "journal", "--public-key", "nowhere"], "nowhere cannot be read"),
        ([tmp_path / "journal", "--public-key", tmp_path / "received.jsonl"], "no Ed25519 public key"),
        ([tmp_path / "journal", "--checkpoints", "nowhere"], "nowhere is not there"),
        ([tmp_path / "journal", "--checkpoints", tmp_path / "key.pem"], "line 1: no checkpoint"),
        ([], "Missing argument"),
    ):
        done = run(*arguments)
        assert (done.exit_code, done.stdout) == (2, "")
        assert said in done.stderr


def test_hostile_text_is_escaped(tmp_path: Path) -> None:
    stream = Stream(stream_id="\x1b[2J\x1b]0;owned\x07[red]x")
    stream.write()
    stream.write()
    (tmp_path / "copy.json").write_bytes(line_of(stream.records[1]))
    done = run(tmp_path / "copy.json")
    assert done.exit_code == 1
    assert "\\x1b[2J\\x1b]0;owned\\x07[red]x" in done.stdout
    assert "\x1b" not in done.output
