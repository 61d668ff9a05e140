"""Archives hold all there was, once more or not, and sources stay as they are."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path

import pytest

from opentelemetry.instrumentation.pyjwt.journal import files
from opentelemetry.instrumentation.pyjwt.journal.checkpoints import Keys
from opentelemetry.instrumentation.pyjwt.journal.locks import create_lock
from opentelemetry.instrumentation.pyjwt.journal.reader import attributes_of as attributes
from opentelemetry.instrumentation.pyjwt.journal.trail import By, tell
from opentelemetry.instrumentation.pyjwt.journal.verify import verify
from opentelemetry.instrumentation.pyjwt.review.columns import attributes_of
from opentelemetry.instrumentation.pyjwt.review.compact import compact
from opentelemetry.instrumentation.pyjwt.review.database import database
from opentelemetry.instrumentation.pyjwt.review.findings import review
from opentelemetry.instrumentation.pyjwt.review.rules import load
from opentelemetry.instrumentation.pyjwt.review.sources import find
from tests.journal.checking import SIGNER
from tests.journal.writing import Stream, copied, line_of, request_of, some

DAY = 86_400


def compacted(source: Path, output: Path) -> tuple[int, ...]:
    return tuple(compact(find([source]), output, attributes_of(load()), lambda size: None))


def test_records_are_kept_whole(tmp_path: Path) -> None:
    stream = some(Stream(), 30)
    stream.records[3]["attributes"].append({"key": "odd", "value": {"doubleValue": 1.5}})
    stream.records[-1]["timeUnixNano"] = str(int(stream.records[-1]["timeUnixNano"]) + DAY * 10**9)
    stream.save(tmp_path / "journal")
    assert compacted(tmp_path / "journal", tmp_path / "archive") == (1, 30, 0, 0)
    assert sorted(one.name for one in (tmp_path / "archive").iterdir()) == ["date=2026-09-21", "date=2026-09-22"]
    with database() as opened:
        rows = opened.rows(
            f"SELECT record, resource, scope FROM read_parquet('{tmp_path}/archive/*/*.parquet') ORDER BY time"
        )
    request = request_of()["resourceLogs"][0]
    assert [json.loads(record) for record, _, _ in rows] == stream.records
    assert {(resource, scope) for _, resource, scope in rows} == {
        (
            json.dumps(request["resource"], separators=(",", ":")),
            json.dumps(request["scopeLogs"][0]["scope"], separators=(",", ":")),
        )
    }


def test_again_gives_the_same(tmp_path: Path) -> None:
    stream = some(Stream(), 30)
    stream.save(tmp_path / "journal")
    before = {path: path.read_bytes() for path in (tmp_path / "journal").iterdir()}
    for _ in range(2):
        compacted(tmp_path / "journal", tmp_path / "archive")
        (archive,) = (tmp_path / "archive").rglob("*.parquet")
    assert archive.stat().st_mode & 0o077 == 0
    assert [one.name for one in (tmp_path / "archive").iterdir()] == ["date=2026-09-21"], "nothing unfinished is left"
    assert {path: path.read_bytes() for path in (tmp_path / "journal").iterdir()} == before


def test_segments_that_are_written_are_left_out(tmp_path: Path) -> None:
    stream = some(Stream(), 60, rotate=25)
    paths = stream.save(tmp_path / "journal")
    assert len(paths) == 3
    (tmp_path / "journal" / f"{stream.id}.lock").unlink()
    lock = create_lock(tmp_path / "journal", stream.id)
    assert compacted(tmp_path / "journal", tmp_path / "archive") == (2, 50, 0, 1)
    os.close(lock)
    assert compacted(tmp_path / "journal", tmp_path / "archive") == (3, 60, 0, 0)


def test_archives_beside_what_they_are_made_of(tmp_path: Path) -> None:
    stream = some(Stream(), 30)
    stream.save(tmp_path / "journal")
    (tmp_path / "copy.json").write_bytes(b"".join(line_of(copied(one)) for one in stream.records) + b"junk\n")
    assert compacted(tmp_path, tmp_path / "archive") == (2, 60, 1, 0)
    with review(find([tmp_path]), load()) as found:
        assert (found.events, found.skipped) == (29, 1)  # and one is a checkpoint


def test_rules_of_one_s_own_over_an_archive(tmp_path: Path) -> None:
    """An attribute that has no column is read from the records."""
    stream = Stream()
    stream.write("jwt.issued", jwt__claims__tenant="t1", jwt__jti="a", jwt__exp=1_790_000_000)
    stream.save(tmp_path / "journal")
    compacted(tmp_path / "journal", tmp_path / "archive")
    (tmp_path / "own.yml").write_text(
        "title: Tenant\nname: tenant\nlevel: low\nlogsource: {product: pyjwt}\n"
        "detection: {one: {jwt.claims.tenant: t1}, condition: one}\nx-group-by: [jwt.claims.tenant]\n"
    )
    with review(find([tmp_path / "archive"]), load(tmp_path / "own.yml")) as found:
        assert [(one.rule.name, one.key, one.count) for one in found] == [("tenant", {"jwt.claims.tenant": "t1"}, 1)]


def test_an_archive_is_verified_and_told_of_as_a_copy_is(tmp_path: Path) -> None:
    stream = some(Stream(SIGNER), 60, every=15, rotate=25)
    stream.save(tmp_path / "journal")
    compacted(tmp_path / "journal", tmp_path / "archive [1]")
    (tmp_path / "key.pem").write_bytes(SIGNER.pem)
    keys = Keys.load([tmp_path / "key.pem"])
    (archive,) = (tmp_path / "archive [1]").rglob("date*")
    read: list[int] = []
    report = verify(files.find([archive]), keys, advance=read.append)
    assert report == verify(files.find([tmp_path / "journal"]), keys)
    assert (report.records, report.intact) == (60, True)
    assert sum(read) == files.find([archive]).size
    jti = next(value for record in stream.records if (value := attributes(record).get("jwt.jti")))
    told = []
    for path in (archive, tmp_path / "journal"):
        with closing(tell(files.find([path]), By.JTI, jti)) as story:
            told.append(list(story))
    assert told[0] == told[1] != []


def test_a_record_that_an_archive_lacks_is_missed(tmp_path: Path) -> None:
    stream = some(Stream(SIGNER), 30)
    stream.save(tmp_path / "journal")
    compacted(tmp_path / "journal", tmp_path / "archive")
    (path,) = (tmp_path / "archive").rglob("*.parquet")
    with database() as opened:
        opened.rows(f"CREATE TABLE rest AS FROM read_parquet('{path}') ORDER BY time")
        opened.rows("DELETE FROM rest WHERE rowid = 16")
        opened.rows(f"COPY rest TO '{path}' (FORMAT parquet)")
    problems = verify(files.find([path]), Keys()).problems
    assert [(one.kind, one.sequence) for one in problems] == [("removed", 17)]


def test_what_is_no_archive_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    with database() as opened:
        opened.rows(f"COPY (SELECT 1 AS a) TO '{tmp_path}/b.parquet' (FORMAT parquet)")
    for name in ("a", "b"):
        with pytest.raises(files.UnreadableError, match=f"{name}.parquet is no archive of the trail"):
            verify(files.find([tmp_path / f"{name}.parquet"]), Keys())
