"""Sealed files are reviewed as if they were not, and never lie there in plain."""

from __future__ import annotations

import random
from pathlib import Path

import pyrage
import pytest
from typer.testing import CliRunner

from opentelemetry.instrumentation.pyjwt.cli.app import app
from opentelemetry.instrumentation.pyjwt.journal.files import DamagedError, UnreadableError
from opentelemetry.instrumentation.pyjwt.journal.sealing import Sealer
from opentelemetry.instrumentation.pyjwt.journal.unsealing import Identities
from opentelemetry.instrumentation.pyjwt.review.columns import attributes_of
from opentelemetry.instrumentation.pyjwt.review.compact import compact
from opentelemetry.instrumentation.pyjwt.review.database import database
from opentelemetry.instrumentation.pyjwt.review.findings import review
from opentelemetry.instrumentation.pyjwt.review.loading import load
from opentelemetry.instrumentation.pyjwt.review.rules import load as load_rules
from opentelemetry.instrumentation.pyjwt.review.sources import find
from tests.review.planted import EVENTS, EXPECTED
from tests.review.planting import Event
from tests.review.test_planted import UNIQUE, counted
from tests.review.written import found_in, write

IDENTITY, STRANGER = (pyrage.x25519.Identity.generate() for _ in range(2))
IDENTITIES = Identities([IDENTITY])


def seal(folder: Path) -> int:
    return Sealer([str(IDENTITY.to_public())], undelivered=True).round(folder)


def segment(folder: Path, first: int) -> Path:
    return folder / f"{'a' * 32}.{first:012}.jsonl"


def sealed_copy(path: Path) -> Path:
    sealed = path.with_name(f"{path.name}.age")
    sealed.write_bytes(pyrage.encrypt(path.read_bytes(), [IDENTITY.to_public()]))
    path.unlink()
    return sealed


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    """All that is planted: in two sealed segments, one that is not, and a Collector's file."""
    folder = tmp_path / "trail"
    events = random.Random(7).sample(EVENTS, len(EVENTS))
    write(segment(folder, 1), events[:2000])
    write(segment(folder, 2001), events[2000:4000])
    assert seal(folder) == 2
    write(segment(folder, 4001), events[4000:5000])
    sealed_copy(write(folder / "copy.json", events[5000:], a_line=50))
    return folder


def test_all_that_is_planted_is_found(trail: Path) -> None:
    read: list[float] = []
    with review(find([trail], IDENTITIES), load_rules(), reading=read.append) as found:
        assert counted(list(found)) == counted(EXPECTED)
        assert (found.events, found.skipped) == (UNIQUE, 0)
    assert sum(read) == pytest.approx(1)


def test_archives_are_those_of_what_is_in_it(trail: Path, tmp_path: Path) -> None:
    sources = find([trail], IDENTITIES)
    for output in (tmp_path / "sealed", tmp_path / "plain"):
        done = compact(sources, output, attributes_of(load_rules()), lambda size: None)
        assert done == (4, len(EVENTS), 0, 0)
        for path in trail.glob("*.age"):
            path.with_suffix("").write_bytes(pyrage.decrypt(path.read_bytes(), [IDENTITY]))
            path.unlink()
        sources = find([trail])
    sealed, plain = (
        sorted(path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("*.parquet"))
        for name in ("sealed", "plain")
    )
    assert sealed == plain
    with review(find([tmp_path / "sealed"]), load_rules()) as found:
        assert counted(list(found)) == counted(EXPECTED)


def test_no_record_is_put_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mark = "mark-of-what-no-rule-looks-at"
    events = [Event(at, "jwt.validated", {"audit.record.id": f"r{at}", "own": mark}) for at in range(5_000)]
    path = write(segment(tmp_path / "trail", 1), events)
    assert mark.encode() in path.read_bytes()
    assert seal(tmp_path / "trail") == 1
    with database() as opened:
        loaded = load(opened, find([tmp_path / "trail"], IDENTITIES), ["audit.record.id"], 0, lambda part: None)
        assert loaded == (5_000, 0)
        opened.rows("CHECKPOINT")
        written = [file for file in tmp_path.rglob("*") if file.is_file()]
        assert opened.folder / "database" in written
        assert not any(mark.encode() in file.read_bytes() for file in written)


def test_a_long_line(tmp_path: Path) -> None:
    """What is read in vain first is unsealed again."""
    events = [Event(at, "jwt.validated", {"audit.record.id": f"r{at}", "filler": "x" * 2_000}) for at in range(20_000)]
    sealed = sealed_copy(write(tmp_path / "copy.json", events, a_line=10_000))
    assert sealed.stat().st_size > 40 * 1024 * 1024
    with database() as opened:
        assert load(opened, find([sealed], IDENTITIES), ["audit.record.id"], 0, lambda part: None) == (20_000, 0)


def test_what_cannot_be_unsealed(trail: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(UnreadableError, match="sealed to none of the identities"),
        review(find([trail], Identities([STRANGER])), load_rules()),
    ):
        pass
    for name in ("copy.json.gz.age", "archive.parquet.age"):
        (tmp_path / name).touch()
        with pytest.raises(UnreadableError, match="has to be decrypted first"):
            find([tmp_path / name], IDENTITIES)
    damaged = trail / f"{segment(trail, 2001).name}.age"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    with pytest.raises(DamagedError, match=damaged.name), review(find([trail], IDENTITIES), load_rules()):
        pass


def test_on_the_command_line(trail: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(str(IDENTITY))
    (tmp_path / "other").write_text(str(STRANGER))

    def run(*arguments: object) -> tuple[int, str, str]:
        done = CliRunner().invoke(app, [str(one) for one in arguments])
        return done.exit_code, done.stdout, done.stderr

    keys = ("--identity", tmp_path / "other", "--identity", tmp_path / "key")
    code, told, _ = run("review", trail, *keys, "--json")
    assert (code, len(found_in(told))) == (1, len(EXPECTED))
    code, told, _ = run("compact", trail, *keys, "--output", tmp_path / "archive")
    assert (code, told) == (0, f"4 files, {len(EVENTS):,} records, 0 skipped, 0 open\n")
    for command in (["review", trail], ["compact", trail, "--output", tmp_path / "none"]):
        code, told, reason = run(*command)
        assert (code, told) == (2, "")
        assert "is sealed: name the file of an identity that opens it (--identity)" in reason
