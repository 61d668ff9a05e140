"""A real web service whose receiver or disk misbehaves: it answers as ever, loses nothing, and ends in time."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.forwarder.receiver import Hang, Receiver, Reply, Request, ids_of, serving
from tests.forwarder.running import PATH, Seen, Service, service, used
from tests.forwarder.test_command import forward
from tests.forwarder.test_thread import until
from tests.journal import book

TURNS = 25
IN_TIME = 2.5  # two seconds are promised; the rest is for a machine that is busy with other tests


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The same service without an audit."""
    with service(None, tmp_path_factory.mktemp("without") / "stderr") as running:
        yield running


def events(directory: Path) -> Counter[str]:
    return Counter(one["event"] for one in book.records(directory))


def lost(directory: Path, receiver: Receiver) -> set[str]:
    """Records of the journal, whose chains are whole, that neither the receiver has nor a dead letter."""
    written = {one["audit.record.id"] for one in book.records(directory)}
    letters = [json.loads(line) for path in directory.glob("dead-letter/*") for line in path.read_bytes().splitlines()]
    return written - set(receiver.acknowledged) - {one for letter in letters for one in ids_of(letter["request"])}


def table(case: str, seen: Seen, missing: int, took: float) -> None:
    same = sum(one == other for one, other in zip(seen.answers, seen.expected, strict=True))
    print(  # noqa: T201
        f"| {case} | {same} of {len(seen.answers)} answers the same, {seen.times_as_long:.2f} x as long "
        f"| {missing} | {took:.2f} s |"
    )


# --- Receivers --------------------------------------------------------------------------------------------------


def fine(receiver: Receiver) -> Callable[[Request], Any]:
    return lambda request: Reply()


def hanging(receiver: Receiver) -> Callable[[Request], Any]:
    return lambda request: Hang(receiver.gone)


def slow(receiver: Receiver) -> Callable[[Request], Any]:
    return lambda request: (receiver.gone.wait(0.7), Reply())[1]


def always(reply: Reply) -> Callable[[Receiver], Callable[[Request], Any]]:
    return lambda receiver: lambda request: reply


def fussy(reply: Reply) -> Callable[[Receiver], Callable[[Request], Any]]:
    """There is one record that it never takes: the first that it is sent."""
    return lambda receiver: lambda request: reply if receiver.requests[0].ids[0] in request.ids else Reply()


RECEIVERS = {
    "fine": fine,
    "hanging": hanging,
    "slow": slow,
    "500": always(Reply(500)),
    "503, Retry-After": always(Reply(503, headers={"retry-after": "3600"})),
    "302": always(Reply(302, headers={"location": "/elsewhere"})),
    "400": always(Reply(400)),
    "400 for one record": fussy(Reply(400)),
    "partial success": fussy(Reply(200, b'{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"no"}}')),
}


def check(case: str, directory: Path, seen: Seen, took: float, receiver: Receiver) -> None:
    """With the receiver as it should be from now on."""
    receiver.behave = lambda request: Reply()
    outcome = json.loads(forward(receiver.url, directory, "--json").stdout)
    assert outcome["pending"] == 0
    missing = lost(directory, receiver)
    table(case, seen, len(missing), took)
    assert seen.answers == seen.expected
    assert events(directory) == {"jwt.issued": TURNS, "jwt.validated": TURNS, "jwt.rejected": 2 * TURNS}
    assert missing == set()
    assert seen.times_as_long < 3
    assert seen.longest < 5
    assert took < IN_TIME


@pytest.mark.parametrize("case", RECEIVERS)
def test_whatever_the_receiver_does(case: str, without: Service, tmp_path: Path) -> None:
    directory = tmp_path / "journal"
    with serving() as receiver:
        receiver.behave = RECEIVERS[case](receiver)
        with service(directory, tmp_path / "said", OTEL_PYTHON_PYJWT_JOURNAL_ENDPOINT=receiver.url) as running:
            seen = used(running, without, range(TURNS))
            until(lambda: receiver.requests)
            took = running.end()
        check(case, directory, seen, took, receiver)


def test_a_receiver_that_is_down(without: Service, tmp_path: Path) -> None:
    directory = tmp_path / "journal"
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with service(directory, tmp_path / "said", OTEL_PYTHON_PYJWT_JOURNAL_ENDPOINT=url) as running:
        seen = used(running, without, range(TURNS))
        until(lambda: "cannot be delivered" in (tmp_path / "said").read_text())
        took = running.end()
    with serving(port=port) as receiver:
        check("down", directory, seen, took, receiver)


# --- Disk and clock ---------------------------------------------------------------------------------------------


@contextmanager
def mounted(*arguments: str | Path) -> Iterator[None]:
    if subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode != 0:
        pytest.skip("no file system may be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", arguments[-1]], check=True)


@pytest.mark.parametrize("policy", ["drop", "refuse"])
def test_a_disk_that_is_full(policy: str, without: Service, tmp_path: Path) -> None:
    """What is answered is on record, or not answered; or, as by default, answered, and what is lost is said."""
    (disk := tmp_path / "disk").mkdir()
    directory, said = disk / "journal", tmp_path / "said"
    with mounted("-t", "tmpfs", "-o", "size=256k", "none", disk), serving() as receiver:
        (filler := disk / "filler").write_bytes(b"x" * 220_000)
        variables = {"OTEL_PYTHON_PYJWT_JOURNAL_ENDPOINT": receiver.url, "OTEL_PYTHON_PYJWT_JOURNAL_ON_FULL": policy}
        with service(directory, said, **variables) as running:
            seen = used(running, without, range(TURNS))
            filler.unlink()
            after = used(running, without, range(TURNS, TURNS + 3))
            took = running.end()
        assert json.loads(forward(receiver.url, directory, "--json").stdout)["pending"] == 0
        answered = [answer for answer in seen.answers + after.answers if answer[0] != 500]
        missing = len(answered) - events(directory).total()
        table(f"disk full, {policy}", seen, missing, took)
        assert lost(directory, receiver) == set()
    assert after.answers == after.expected
    refused = len(seen.answers + after.answers) - len(answered)
    if policy == "refuse":
        assert refused > 10
        assert missing == 0
        assert all(one == other or one[0] == 500 for one, other in zip(seen.answers, seen.expected, strict=True))
    else:
        assert seen.answers == seen.expected
        assert missing > 10
    counts = re.findall(r"(\d+) audit records are not in the journal", said.read_text())
    assert sum(map(int, counts)) == (refused if policy == "refuse" else missing)
    assert seen.times_as_long < 3
    assert seen.longest < 5
    assert took < IN_TIME


@contextmanager
def read_only(directory: Path, running: Service) -> Iterator[None]:
    with mounted("-o", "bind,ro", directory, directory):
        with pytest.raises(OSError, match="Read-only file system"):
            (directory / "test").touch()
        yield


@contextmanager
def clock_back(directory: Path, running: Service) -> Iterator[None]:
    assert running.call("POST", "/clock")[0] == 200
    yield


@pytest.mark.parametrize("what", [read_only, clock_back])
def test_what_happens_to_a_service_that_runs(what: Any, without: Service, tmp_path: Path) -> None:
    """Its directory can be written to no more, just when a segment should be closed; its clock steps back."""
    directory = tmp_path / "journal"
    with serving() as receiver:
        variables = {
            "OTEL_PYTHON_PYJWT_JOURNAL_ENDPOINT": receiver.url,
            "OTEL_PYTHON_PYJWT_JOURNAL_ROTATE_BYTES": "20000",
        }
        with service(directory, tmp_path / "said", **variables) as running:
            before = used(running, without, range(2))
            until(lambda: receiver.acknowledged)
            with what(directory, running):
                seen = used(running, without, range(2, TURNS))
                until(lambda: len(set(receiver.acknowledged)) == 4 * TURNS)
                took = running.end()
        seen = seen._replace(answers=before.answers + seen.answers, expected=before.expected + seen.expected)
        check(what.__name__, directory, seen, took, receiver)


# --- As it is run -------------------------------------------------------------------------------------------------


def test_uvicorn_that_is_terminated(tmp_path: Path) -> None:
    """It runs no exit handlers: what the receiver did not take until then is delivered by who comes next."""
    directory, said = tmp_path / "journal", tmp_path / "said"
    command = [Path(sys.executable).with_name("opentelemetry-instrument"), sys.executable, "-m", "uvicorn"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    with serving(lambda request: Reply(503)) as receiver, said.open("w") as errors:
        variables = {
            "PYTHONPATH": PATH,
            "OTEL_PYTHON_PYJWT_JOURNAL": str(directory),
            "OTEL_PYTHON_PYJWT_JOURNAL_ENDPOINT": receiver.url,
            **{f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS")},
            "OTEL_LOGS_EXPORTER": "console",
            "OTEL_PYTHON_PYJWT_JOURNAL_PROTOCOL": "http/json",  # the distribution says grpc otherwise
        }
        with subprocess.Popen(
            [*command, "--port", "0", "tests.forwarder.service:app"], env={**environ, **variables}, stderr=errors
        ) as process:
            try:
                until(lambda: re.search(r"running on http://127.0.0.1:(\d+)", said.read_text()))
                port = re.search(r"running on http://127.0.0.1:(\d+)", said.read_text())
                assert port is not None
                with closing((running := Service(int(port[1]))).connection):
                    running.use("token-1")
                until(lambda: receiver.requests)
                process.send_signal(signal.SIGTERM)
                assert process.wait(20) == -signal.SIGTERM
            finally:
                process.kill()
        assert receiver.acknowledged == []
        receiver.behave = lambda request: Reply()
        assert forward(receiver.url, directory).returncode == 0
        assert len(receiver.acknowledged) == events(directory).total() == 4
        assert lost(directory, receiver) == set()
