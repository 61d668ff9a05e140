"""Real servers under load whose workers are killed: nothing is lost, and each process has a stream of its own."""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.journal import endtoend
from tests.journal.endtoend import Journal
from tests.journal.services.clients import Service, running

BIN = Path(sys.executable).parent
NONE = [argument for signal in ("traces", "metrics", "logs") for argument in (f"--{signal}_exporter", "none")]
INSTRUMENTED = [str(BIN / "opentelemetry-instrument"), *NONE]


def gunicorn(*options: str) -> Callable[[int], list[str]]:
    command = [*INSTRUMENTED, str(BIN / "gunicorn"), "--workers", "4", *options]
    return lambda listener: [*command, "--bind", f"fd://{listener}", "tests.journal.services.flask_app:app"]


def uvicorn(listener: int) -> list[str]:
    """It spawns its workers, where gunicorn forks them."""
    command = [str(BIN / "uvicorn"), "--workers", "2", "--no-access-log"]
    return [*command, "--fd", str(listener), "tests.journal.services.fastapi_app:app"]


SERVERS = {
    "gunicorn": (gunicorn(), 4),
    "gunicorn, preloaded": (gunicorn("--preload"), 4),
    "gunicorn with threads": (gunicorn("--worker-class", "gthread", "--threads", "4"), 4),
    "uvicorn": (uvicorn, 2),
}


@pytest.mark.parametrize(("command", "workers"), SERVERS.values(), ids=SERVERS)
def test_workers_are_killed_and_replaced(
    command: Callable[[int], list[str]], workers: int, directory: Path, tmp_path: Path
) -> None:
    chance = random.Random(1)
    with running(command, "a", tmp_path / "log", OTEL_PYTHON_PYJWT_JOURNAL=str(directory)) as service:
        service.wait(lambda: len(service.alive()) >= workers)
        threading.Event().wait(chance.uniform(0, 0.01))
        for process in chance.sample(service.alive(), 2):
            service.kill(process)
        service.wait(lambda: len(service.alive()) >= workers)
        service.kill_all()
        service.gone()
    assert len(service.processes) >= workers + 2
    settle(service, directory, tmp_path)


def test_the_master_is_killed(directory: Path, tmp_path: Path) -> None:
    """The workers go on until there is nothing to do, and end by themselves."""
    with running(gunicorn(), "a", tmp_path / "log", OTEL_PYTHON_PYJWT_JOURNAL=str(directory)) as service:
        service.wait(lambda: len(service.alive()) >= 4)
        service.process.kill()
        count = len(service.answered) + 200
        service.wait(lambda: len(service.answered) >= count)
        service.leave()
        service.gone()
    settle(service, directory, tmp_path)


def settle(service: Service, directory: Path, tmp_path: Path) -> None:
    """All of it is there, with a stream for each process, and arrives."""
    journal = Journal(directory)
    assert journal.lost(service.answered) == Counter()
    streams = journal.streams.values()
    minted = [{one["jwt.iss"] for one in stream if one["event"] == "jwt.issued"} for stream in streams]
    assert max(map(len, minted)) == 1, "a stream is of two processes"
    assert len(set().union(*minted)) == sum(map(len, minted)), "a process has two streams"
    assert len(journal.streams) >= len(service.processes)
    said = endtoend.verify(directory)
    assert (said["records"], said["streams"]) == (journal.records, len(journal.streams))
    with endtoend.receiving(tmp_path / "received", 1) as receiver:
        endtoend.deliver(directory, receiver)
        endtoend.account(service.answered, journal, receiver)
