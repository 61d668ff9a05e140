"""``jwt-audit forward``: its words, its JSON and its exit status."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.forwarder import journal
from tests.forwarder.journal import STREAM, ids
from tests.forwarder.receiver import Reply, serving

COMMAND = [
    sys.executable,
    "-W",
    "error",
    "-c",
    "from opentelemetry.instrumentation.pyjwt.cli import main; main()",
    "forward",
]


def environment(url: str, **more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return {**clean, "OTEL_PYTHON_PYJWT_JOURNAL_ENDPOINT": url, **more}


def forward(url: str, *arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env=environment(url, **more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_all_is_delivered(tmp_path: Path) -> None:
    journal.dead(tmp_path, STREAM)
    journal.write(tmp_path, STREAM, 1, 1200, tail=b"{")
    with serving() as receiver:
        done = forward(receiver.url, tmp_path, "--json")
        assert receiver.acknowledged == ids(STREAM, 1, 1200)
    assert json.loads(done.stdout) == {"delivered": 1200, "refused": 0, "torn": 1, "pending": 0}
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_left_after_the_timeout_is_counted(tmp_path: Path) -> None:
    journal.write(tmp_path, STREAM, 1, 30)
    done = forward("http://127.0.0.1:9", tmp_path, "--timeout", "0.5")
    assert done.stdout == "0 delivered, 0 refused, 0 torn, 30 pending\n"
    assert done.returncode == 1
    assert "127.0.0.1:9" in done.stderr  # why


def test_what_is_refused_is_no_success(tmp_path: Path) -> None:
    journal.write(tmp_path, STREAM, 1, 3)
    bad = f"{STREAM}-2"
    with serving(lambda request: Reply(400 if bad in request.ids else 200)) as receiver:
        done = forward(receiver.url, tmp_path)
    assert done.stdout == "2 delivered, 1 refused, 0 torn, 0 pending\n"
    assert done.returncode == 1


def test_there_may_be_nothing_to_do(tmp_path: Path) -> None:
    done = forward("http://127.0.0.1:9", tmp_path)
    assert (done.returncode, done.stdout) == (0, "0 delivered, 0 refused, 0 torn, 0 pending\n")


@pytest.mark.parametrize(
    ("url", "path", "more"),
    [
        ("http://127.0.0.1:9", "none", {}),
        ("http://127.0.0.1:9", "file", {}),
        ("ftp://127.0.0.1", ".", {}),
        ("http://127.0.0.1:9", ".", {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/xml"}),
        ("https://127.0.0.1:9", ".", {"OTEL_EXPORTER_OTLP_CERTIFICATE": "/none.pem"}),
    ],
)
def test_what_cannot_be_done_is_said(url: str, path: str, more: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = forward(url, tmp_path / path, **more)
    assert done.returncode == 2
    assert done.stderr.startswith("jwt-audit forward: ")
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)


def test_it_follows_until_it_is_interrupted(tmp_path: Path) -> None:
    # Whoever starts the tests in the background has it ignored.
    heeding = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {COMMAND[-2]}"
    command = [*COMMAND[:-2], heeding, *COMMAND[-1:], str(tmp_path), "--follow", "--timeout", "0", "--json"]
    with (
        journal.writer(tmp_path, STREAM),
        serving() as receiver,
        subprocess.Popen(command, env=environment(receiver.url), stdout=subprocess.PIPE) as process,
    ):
        try:
            for count in (3, 6):
                segment = journal.write(tmp_path, STREAM, count - 2, 3)
                for _ in range(1000):
                    if journal.settled(segment) == segment.stat().st_size:
                        break
                    threading.Event().wait(0.02)
                assert receiver.acknowledged == ids(STREAM, 1, count)
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=20)
        finally:
            process.kill()
        assert process.returncode == 0
        assert json.loads(said) == {"delivered": 6, "refused": 0, "torn": 0, "pending": 0}


def test_a_terminal_sees_how_far_it_is(tmp_path: Path) -> None:
    journal.write(tmp_path, STREAM, 1, 30)
    main, terminal = pty.openpty()
    try:
        with serving() as receiver:
            done = subprocess.run(
                [*COMMAND, str(tmp_path), "--json"],
                env=environment(receiver.url, TERM="xterm"),
                stdout=subprocess.PIPE,
                stderr=terminal,
                timeout=60,
                check=True,
            )
        assert json.loads(done.stdout)["delivered"] == 30
        assert b"30/30" in os.read(main, 100_000)
    finally:
        os.close(terminal)
        os.close(main)
