"""``jwt-audit review`` and ``compact``: what they print, and how they end."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from opentelemetry.instrumentation.pyjwt.cli import review
from opentelemetry.instrumentation.pyjwt.cli.app import app
from tests.journal.writing import Stream
from tests.review.planted import EVENTS, EXPECTED
from tests.review.planting import Event
from tests.review.written import write

SECOND = 1_000_000_000
HOSTILE = '\x1b[2Jevil\u202e\n[red]bold[/red] count="0" \x9b31m'


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["review", *map(str, arguments)])


def rejected(at: int, address: str, reason: str = "expired", **attributes: Any) -> Event:
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    given = {"jwt.validation.reason": reason, "client.address": address, "audit.record.id": f"r{at}", **named}
    return Event(at * SECOND, "jwt.rejected", given)


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    """A medium finding of a hostile address, and nothing else."""
    return write(tmp_path / "copy.json", [rejected(at, HOSTILE) for at in range(1_790_000_000, 1_790_000_010)])


def test_json(tmp_path: Path) -> None:
    path = write(
        tmp_path / "copy.json", [rejected(1_790_000_000 + at, "192.0.2.7", "invalid_algorithm") for at in range(2)]
    )
    path.write_bytes(path.read_bytes() + b"junk\n")
    done = run(path, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout) == {
        "events": 2,
        "skipped": 1,
        "findings": [
            {
                "rule": "algorithm-confusion",
                "level": "high",
                "key": {"client.address": "192.0.2.7"},
                "count": 2,
                "first": "2026-09-21T14:13:20.000000Z",
                "last": "2026-09-21T14:13:21.000000Z",
                "sample": ["r1790000000", "r1790000001"],
            }
        ],
    }
    assert done.stderr.splitlines() == [
        "1 finding in 2 events",
        "1 lines hold no log record and were skipped: see jwt-audit verify",
    ]


def test_an_absent_issuer_is_null(tmp_path: Path) -> None:
    stream = Stream()
    stream.write("jwt.issued", jwt__jti="a")
    stream.save(tmp_path)
    done = run(tmp_path, "--json")
    assert [one["key"] for one in json.loads(done.stdout)["findings"]] == [{"jwt.iss": None}]
    assert "low posture-no-expiry jwt.iss=(none) count=1" in run(tmp_path).stdout


def test_lines_hold_text_alone(trail: Path) -> None:
    done = run(trail)
    assert done.exit_code == 0, "medium is below high"
    assert done.stdout.splitlines() == [
        "medium rejected-burst-client "
        'client.address="\\\\x1b[2Jevil\\\\u202e\\\\n[red]bold[/red] count=\\"0\\" \\\\x9b31m" '
        "count=10 first=2026-09-21T14:13:20.000000Z last=2026-09-21T14:13:29.000000Z "
        "sample=r1790000000,r1790000001,r1790000002,r1790000003,r1790000004"
    ]


def test_a_table_on_a_terminal(trail: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review.Console, "is_terminal", True)
    monkeypatch.setenv("COLUMNS", "200")
    shown = run(trail).stdout
    for text in (
        "medium",
        "rejected-burst-client",
        "\\x1b[2Jevil\\\\u202e\\\\n[red]bold",
        "Many rejected",
        "See the reasons",
    ):
        assert text in shown
    for raw in ("\x1b[2J", "\u202e", "\x9b"):
        assert raw not in shown
    monkeypatch.setattr(review, "TABLE", 0)
    assert run(trail).stdout.startswith("medium rejected-burst-client"), "more than a table holds are lines"


@pytest.mark.parametrize(
    ("level", "code"), [("critical", 0), ("high", 0), ("medium", 1), ("low", 1), ("informational", 1), ("never", 0)]
)
def test_fail_on(level: str, code: int, trail: Path) -> None:
    assert run(trail, "--fail-on", level).exit_code == code


def test_nothing_found(tmp_path: Path) -> None:
    path = write(tmp_path / "copy.json", [])
    done = run(path, "--fail-on", "informational", "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"events": 0, "skipped": 0, "findings": []})


def test_since(trail: Path) -> None:
    at = "2026-09-21T14:13:2{}Z"
    for since, events in ((at.format(0), 10), (at.format(1), 9), ("2026-09-21T16:13:25+02:00", 5), ("2099-01-01", 0)):
        done = run(trail, "--since", since, "--json")
        assert json.loads(done.stdout)["events"] == events
    now = round(datetime.now(timezone.utc).timestamp())
    hours = timedelta(hours=1) // timedelta(seconds=1)
    write(trail, [rejected(now - n * hours - 60, "192.0.2.7") for n in range(30)])
    for since, events in (("24h", 24), ("1d", 24), ("90m", 2), ("100s", 1), ("7d", 30)):
        assert json.loads(run(trail, "--since", since, "--json").stdout)["events"] == events


def test_baseline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start, day = 1_790_000_000, 86_400
    given = {"jwt.iss": "i", "jwt.sub": "s", "jwt.verified": True, "jwt.validation.checks": ["aud"]}
    used = {"user_agent.original": "plain", **given}
    hostile = {"user_agent.original": HOSTILE, "audit.record.id": "r", **given}
    path = write(
        tmp_path / "copy.json",
        [
            *(Event((start - n * day) * SECOND, "jwt.validated", used) for n in range(1, 5)),
            Event(start * SECOND, "jwt.validated", hostile),
        ],
    )
    options = (path, "--since", "2026-09-21T14:13:20Z")
    assert run(*options, "--json").stdout == '{"events": 1, "skipped": 0, "findings": []}\n'
    (told,) = json.loads(run(*options, "--baseline", "14d", "--json").stdout)["findings"]
    why = told.pop("why")
    assert why.startswith("first with user agent ")
    assert why.endswith("; in 4 active days before: plain; score 1 (new-agent)")
    assert told == {
        "rule": "baseline-new-agent",
        "level": "informational",
        "key": {"jwt.iss": "i", "jwt.sub": "s"},
        "count": 1,
        "first": "2026-09-21T14:13:20.000000Z",
        "last": "2026-09-21T14:13:20.000000Z",
        "sample": ["r"],
    }
    (line,) = run(*options, "--baseline", "14d").stdout.splitlines()
    assert line.startswith("informational baseline-new-agent jwt.iss=i jwt.sub=s count=1 ")
    assert ' sample=r why="first with user agent ' in line
    assert "\x1b" not in line
    assert run(*options, "--baseline", "50h").stdout == "", "of two days nothing is learnt"
    monkeypatch.setattr(review.Console, "is_terminal", True)
    monkeypatch.setenv("COLUMNS", "250")
    shown = run(*options, "--baseline", "14d").stdout
    for text in ("active days before: plain", "Ask the subject"):
        assert text in shown
    assert "\x1b[2J" not in shown


def test_rules_of_one_s_own(trail: Path, tmp_path: Path) -> None:
    """The threshold of one of ours, and a new rule of each shape."""
    folder = tmp_path / "rules"
    folder.mkdir()
    ours = (Path(review.DEFAULTS) / "rejected-tokens.yml").read_text()
    assert "gte: 10" in ours
    (folder / "changed.yml").write_text(ours.replace("gte: 10", "gte: 11"))
    assert "rejected-burst-client" not in run(trail, "--rules", folder).stdout
    (folder / "changed.yml").write_text(OWN)
    write(
        trail,
        [
            *(rejected(at, "a", jwt__claims__tenant=f"t{at % 3}", jwt__verified=True) for at in range(4)),
            Event(9 * SECOND, "jwt.validated", {"client.address": "a"}),
        ],
    )
    done = run(trail, "--rules", folder, "--fail-on", "critical", "--json")
    found = {one["rule"]: (one["level"], one["key"], one["count"]) for one in json.loads(done.stdout)["findings"]}
    key = {"client.address": "a"}
    assert {name: told for name, told in found.items() if name.startswith("own-")} == {
        "own-single": ("low", {"jwt.claims.tenant": "t0"}, 2),
        "own-count": ("medium", key, 4),
        "own-values": ("critical", key, 3),
        "own-order": ("high", key, 4),
    }
    assert done.exit_code == 1


OWN = """\
title: One tenant
name: own-single
level: low
logsource: {product: pyjwt}
detection: {tenant: {jwt.claims.tenant: t0}, condition: tenant}
x-group-by: [jwt.claims.tenant]
---
title: Rejected
name: own-failure
logsource: {product: pyjwt}
detection: {one: {event.name: jwt.rejected}, condition: one}
---
title: Accepted
name: own-success
logsource: {product: pyjwt}
detection: {one: {event.name: jwt.validated}, condition: one}
---
title: Several
name: own-count
level: medium
correlation: {type: event_count, rules: [own-failure], group-by: [client.address], timespan: 3s, condition: {gte: 4}}
---
title: Several tenants
name: own-values
level: critical
correlation:
  type: value_count
  rules: [own-failure]
  group-by: [client.address]
  timespan: 1m
  condition: {field: jwt.claims.tenant, gt: 2}
---
title: And then
name: own-order
level: high
correlation: {type: temporal_ordered, rules: [own-failure, own-success], group-by: [client.address], timespan: 10s}
x-times: {own-failure: 4}
"""


def test_usage(trail: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text(OWN.replace("timespan: 3s", "timespan: soon"))
    for arguments, reason in (
        ([tmp_path / "nowhere"], "cannot be read"),
        ([tmp_path / "nothing*"], "nothing matches"),
        ([trail, "--since", "yesterday"], "is neither a time"),
        ([trail, "--since", "1d", "--baseline", "long"], "is no time span"),
        ([trail, "--baseline", "14d"], "--baseline needs --since"),
        ([trail, "--memory", "much"], "is no size"),
        ([trail, "--memory", "1MiB"], "the memory that DuckDB may take is not enough"),
        ([trail, "--fail-on", "panic"], "is none of informational, low"),
        ([trail, "--rules", tmp_path / "bad.yml"], "bad.yml: own-count.correlation.timespan: must be a number"),
        ([trail, "--rules", tmp_path / "nowhere.yml"], "nowhere.yml"),
        ([trail, "--rules", tmp_path / "empty"], "there is no rule"),
    ):
        (tmp_path / "empty").mkdir(exist_ok=True)
        done = run(*arguments)
        assert (done.exit_code, done.stdout) == (2, ""), arguments
        assert reason in done.stderr


def test_compact(tmp_path: Path) -> None:
    write(tmp_path / "copy.json", EVENTS)
    archive = tmp_path / "archive"
    done = CliRunner().invoke(app, ["compact", str(tmp_path / "copy.json"), "--output", str(archive), "--json"])
    assert (done.exit_code, json.loads(done.stdout)) == (
        0,
        {"files": 1, "records": len(EVENTS), "skipped": 0, "open": 0},
    )
    assert len(json.loads(run(archive, "--json").stdout)["findings"]) == len(EXPECTED)
    done = CliRunner().invoke(app, ["compact", str(tmp_path / "copy.json"), "--output", str(tmp_path / "copy.json")])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "cannot be written to" in done.stderr


def test_it_says_what_is_not_installed(trail: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    done = run(trail)
    assert done.exit_code == 2
    assert 'duckdb is not installed: pip install "opentelemetry-instrumentation-pyjwt[review]"' in done.stderr
