"""What is in the files, and what is not a record."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from opentelemetry.instrumentation.pyjwt.journal.files import UnreadableError
from opentelemetry.instrumentation.pyjwt.review.columns import attributes_of
from opentelemetry.instrumentation.pyjwt.review.compact import compact
from opentelemetry.instrumentation.pyjwt.review.database import Database, database
from opentelemetry.instrumentation.pyjwt.review.loading import Loaded, load
from opentelemetry.instrumentation.pyjwt.review.rules import load as load_rules
from opentelemetry.instrumentation.pyjwt.review.sources import find
from tests.journal.writing import line_of
from tests.review.planting import Event
from tests.review.written import record_of, write

SECOND = 1_000_000_000


def event(number: int, **attributes: object) -> Event:
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    return Event(number * SECOND, "jwt.validated", {"audit.record.id": f"r{number}", "jwt.jti": "t", **named})


def loaded(opened: Database, *paths: Path, attributes: tuple[str, ...] = (), since: int = 0) -> Loaded:
    names = sorted({"audit.record.id", "jwt.jti", *attributes})
    return load(opened, find(paths), names, since, lambda part: None)


def test_lines_that_hold_no_record_are_counted(tmp_path: Path) -> None:
    good = line_of(record_of(event(1)))
    foreign = [
        b"junk\n",
        b'{"resourceMetrics": []}\n',
        b'{"resourceLogs": 5}\n',
        b'{"resourceLogs": []}\n',
        b"[1, 2]\n17\nnull\n",
        b"\xff\xfe\n",
        b"\0\0\0\n",
        b"[" * 5000 + b"\n",
        good.replace(b'"jwt.validated"', b'"\\ud800"', 1),  # no text that could be encoded
        good[:-30] + b"\n",
    ]
    other = dict(record_of(event(2)), eventName="http.access", body={"kvlistValue": {"values": []}})
    bare = {"timeUnixNano": "5"}
    torn = line_of(record_of(event(3)))[:-30]
    path = tmp_path / "copy.json"
    path.write_bytes(b"".join(foreign) + b"\n" + good + line_of(other, record_of(event(4)), bare) + torn)
    with database() as opened:
        assert loaded(opened, path) == (2, 13)
        assert opened.rows('SELECT "audit.record.id" FROM events ORDER BY 1') == [("r1",), ("r4",)]


def test_values_of_all_kinds(tmp_path: Path) -> None:
    names = (
        "http.response.status_code",
        "jwt.verified",
        "jwt.scope.missing",
        "jwt.claims.level",
        "jwt.claims.roles",
        "own",
    )
    path = write(
        tmp_path / "copy.json",
        [
            event(
                1,
                http__response__status_code=200,
                jwt__verified=True,
                jwt__scope__missing=["a", "b"],
                jwt__claims__level=3,
                jwt__claims__roles=["x", "y"],
                own=False,
            ),
            event(2, jwt__verified=False, jwt__jti=""),
        ],
    )
    text = path.read_text().replace('{"intValue":"200"}', '{"intValue":200}')  # both are JSON of OTLP
    path.write_text(text)
    columns = ", ".join(f'"{name}"' for name in ("jwt.jti", *names))
    with database() as opened:
        loaded(opened, path, attributes=names)
        assert opened.rows(f"SELECT {columns} FROM events ORDER BY time") == [
            ("t", 200, True, ["a", "b"], "3", '["x","y"]', "false"),
            ("", None, False, None, None, None, None),
        ]


def test_what_one_copy_lacks_comes_from_another(tmp_path: Path) -> None:
    write(tmp_path / "journal.jsonl", [event(1), event(2)])
    write(tmp_path / "copy.json", [event(1, geo__country__iso_code="DE")] * 2)
    with database() as opened:
        assert loaded(opened, tmp_path, attributes=("geo.country.iso_code",)).events == 2
        rows = opened.rows(
            'SELECT "audit.record.id", "geo.country.iso_code", "jwt.jti", time FROM events ORDER BY time'
        )
        assert rows == [("r1", "DE", "t", SECOND), ("r2", None, "t", 2 * SECOND)]


def test_since(tmp_path: Path) -> None:
    path = write(tmp_path / "copy.json", [event(number) for number in range(1, 6)])
    compact(find([path]), tmp_path / "archive", attributes_of(load_rules()), lambda size: None)
    for source in (path, tmp_path / "archive"):
        with database() as opened:
            assert loaded(opened, source, since=3 * SECOND).events == 3


def test_a_record_observed_and_without_a_time(tmp_path: Path) -> None:
    record = record_of(event(1)) | {"timeUnixNano": "0", "observedTimeUnixNano": "7"}
    (tmp_path / "copy.json").write_bytes(line_of(record))
    with database() as opened:
        loaded(opened, tmp_path)
        assert opened.rows("SELECT time FROM events") == [(7,)]


def test_names_that_look_like_patterns(tmp_path: Path) -> None:
    for number, name in enumerate(("a[1].json", "a*.json", "a1.json", "it's.json.gz", "a*.json.gz"), 1):
        write(tmp_path / name, [event(number)])
    with database() as opened:
        assert loaded(opened, tmp_path).events == 5
    with database() as opened:
        assert loaded(opened, tmp_path / "a[1].json").events == 1
    with database() as opened:
        assert loaded(opened, tmp_path / "a*.json.*").events == 1
    with database() as opened:
        assert loaded(opened, tmp_path / "a?.json").events == 2, "a pattern that the shell has left"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("broken.json.gz", b"no gzip"),
        ("broken.parquet", b"PAR1 no parquet"),
        ("nothing*.json", None),
        ("nothing", None),
    ],
)
def test_what_cannot_be_read(name: str, content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableError), database() as opened:
        loaded(opened, tmp_path / name)


def test_parquet_of_something_else(tmp_path: Path) -> None:
    with database() as opened:
        opened.rows(f"COPY (SELECT 1 AS a) TO '{tmp_path}/other.parquet'")
        with pytest.raises(UnreadableError, match=r"other\.parquet is no archive"):
            loaded(opened, tmp_path)


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with database() as opened:
        (folder,) = tmp_path.iterdir()
        assert opened.folder == folder
        assert folder.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == []


def test_more_than_fits_into_memory(tmp_path: Path) -> None:
    events = [event(number, jwt__jti=os.urandom(2_000).hex()) for number in range(20_000)]
    path = write(tmp_path / "copy.json", events * 2)
    with database("96MiB") as opened:
        opened.rows("SET threads = 1")
        assert loaded(opened, path).events == 20_000


def test_a_line_of_many_records_and_of_many_bytes(tmp_path: Path) -> None:
    """As a Collector writes batches."""
    events = [event(number, filler="x" * 2_000) for number in range(20_000)]
    path = write(tmp_path / "copy.json", [event(0), *events], a_line=20_000)
    assert path.stat().st_size > 32 * 1024 * 1024
    with database() as opened:
        assert loaded(opened, path) == (20_000, 0)
