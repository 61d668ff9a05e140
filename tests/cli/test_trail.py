"""``jwt-audit trail``: a table on a terminal, lines elsewhere, and no text in them that is more than text."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from opentelemetry.instrumentation.pyjwt.cli import trail
from opentelemetry.instrumentation.pyjwt.cli.app import app
from tests.journal.writing import Stream

HOSTILE = '\x1b[2Jevil\u202e\n[red]bold[/red] verdict="ok" \x9b31m'


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["trail", *map(str, arguments)])


def on_a_terminal(*arguments: object) -> str:
    """What a terminal gets to see, of a process of its own."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "COLUMNS": "200", "TERM": "xterm"}
    program = "from opentelemetry.instrumentation.pyjwt.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program, "trail", *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=environ,
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not chunk:
                break
            shown += chunk
        assert process.stderr is not None
        assert (process.stderr.read(), process.wait(30)) == (b"", 0)
    os.close(ours)
    return shown.decode()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    stream = Stream()
    stream.write("jwt.issued", jwt__jti="r1", jwt__sub="alice", jwt__verified=True, user__id="alice")
    stream.write(
        "jwt.refreshed", jwt__jti="a2", jwt__parent__jti="r1", jwt__sub="alice", jwt__verified=True, user__id="alice"
    )
    stream.write(
        "jwt.denied",
        jwt__jti="a2",
        jwt__sub="alice",
        user__id="alice",
        jwt__verified=True,
        jwt__scope__granted=["orders:read"],
        jwt__scope__required=["orders:read", "orders:write"],
        jwt__scope__missing=["orders:write"],
        http__request__method="POST",
        http__route="/orders",
        http__response__status_code=403,
        client__address="192.0.2.7",
        jwt__client_id="shop",
    )
    stream.write(
        "jwt.rejected", jwt__jti="a2", jwt__sub=HOSTILE, jwt__validation__reason="expired", jwt__verified=False
    )
    stream.write("jwt.revoked", jwt__jti="a2", audit__actor__id="admin", jwt__revocation__reason="stolen")
    stream.save(tmp_path / "journal")
    return tmp_path / "journal"


def test_lines(journal: Path) -> None:
    done = run(journal, "--jti", "a2")
    assert (done.exit_code, done.stderr) == (0, "")
    time = "2026-09-21T14:13:20.00{}000Z"
    assert done.stdout.splitlines() == [
        f"{time.format(1)} jwt.issued who=alice token=r1 lineage=parent",
        f'{time.format(2)} jwt.refreshed who=alice token=a2 lineage="from r1"',
        f'{time.format(3)} jwt.denied who=alice token=a2 what="POST /orders" why="lacks orders:write" '
        'granted=orders:read status=403 from="192.0.2.7 shop"',
        f'{time.format(4)} jwt.rejected who="unverified: \\\\x1b[2Jevil\\\\u202e\\\\n[red]bold[/red] '
        'verdict=\\"ok\\" \\\\x9b31m" token=a2 why=expired',
        f"{time.format(5)} jwt.revoked who=admin token=a2 why=stolen",
        "lineage parent=r1 child=a2",
    ]


def test_json(journal: Path) -> None:
    done = run(journal, "--sub", "alice", "--json")
    told = json.loads(done.stdout)
    assert [event["event"] for event in told["events"]] == ["jwt.issued", "jwt.refreshed", "jwt.denied"]
    assert told["events"][2]["attributes"]["jwt.scope.missing"] == ["orders:write"]
    assert told["lineage"] == []
    told = json.loads(run(journal, "--jti", "a2", "--json").stdout)
    assert told["lineage"] == [{"parent": "r1", "child": "a2"}]
    assert [event["sequence"] for event in told["events"]] == [1, 2, 3, 4, 5]
    assert [event["relation"] for event in told["events"]] == ["parent", None, None, None, None]


def test_a_table_on_a_terminal(journal: Path) -> None:
    shown = on_a_terminal(journal, "--jti", "a2")
    for text in ("verdict", "lacks orders:write", "from r1", "POST /orders", "403", "\\x1b[2Jevil\\u202e\\n[red]bold"):
        assert text in shown
    for raw in ("\x1b[2J", "\u202e", "\x9b"):
        assert raw not in shown


def test_more_than_a_table_holds_are_lines(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail.Console, "is_terminal", True)
    assert "jwt.denied" not in run(journal, "--sub", "alice").stdout
    monkeypatch.setattr(trail, "TABLE", 2)
    assert "jwt.denied" in run(journal, "--sub", "alice").stdout


def test_nothing_and_usage(journal: Path) -> None:
    done = run(journal, "--client", "nobody")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "Nothing is told of it.\n")
    for arguments in ([journal], [journal, "--jti", "a", "--sub", "b"], ["nowhere", "--jti", "a"]):
        done = run(*arguments)
        assert (done.exit_code, done.stdout) == (2, "")
    (journal / "copy.json").write_text("junk\n")
    assert "1 lines are no records" in run(journal, "--jti", "a2").stderr
