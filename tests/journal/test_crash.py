"""Killed at any moment, at full speed: what was answered for is in the journal, and every stream is whole."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from opentelemetry.instrumentation.pyjwt.journal.checkpoints import Keys
from opentelemetry.instrumentation.pyjwt.journal.files import find
from opentelemetry.instrumentation.pyjwt.journal.verify import verify
from tests.isolated import ROOT
from tests.journal import book, endtoend
from tests.journal.services.clients import Service, running
from tests.journal.writing import Signer

RUNS = int(os.environ.get("JWT_AUDIT_CRASH_RUNS", "4"))
SESSION = 4  # runs with one journal and one receiver


def test_nothing_that_was_answered_for_is_lost(directory: Path, tmp_path: Path) -> None:
    told, program = tmp_path / "responses", Path(__file__).with_name("killed.py")
    path = os.pathsep.join([*filter(None, sys.path), str(ROOT)])
    for seed in (1, 2):  # with segments of one size and another
        command = [sys.executable, program, directory, told, str((RUNS + 1) // 2), str(seed)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": path}, timeout=30 + RUNS)
    streams = book.read(directory, parse=False)
    assert verify(find([directory]), Keys()).problems == []
    written = Counter(f"{one['event']} {one['jwt.jti']}" for stream in streams.values() for one in stream)
    answered = told.read_text(encoding="ascii").splitlines()
    assert len(answered) > 50 * RUNS, "they have hardly run"
    assert len(streams) > RUNS, "the forks have no streams of their own"
    assert Counter(answered) - written == Counter()
    assert max(written.values()) == 1
    ids = Counter(one["audit.record.id"] for stream in streams.values() for one in stream)
    assert max(ids.values()) == 1
    # A response that was not sent any more may be there: at most one for each of the threads.
    assert len(written) - len(answered) <= 8 * RUNS


@pytest.mark.parametrize("seed", range(0, RUNS, SESSION))
def test_from_the_response_to_the_receiver(
    seed: int, directory: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Services under load, ``jwt-audit forward`` and the receiver, each of them killed at random."""
    chance = random.Random(seed)
    signer = Signer()
    (tmp_path / "audit.pem").write_bytes(signer.private_pem)
    (tmp_path / "audit.pub").write_bytes(signer.pem)
    figures: Counter[str] = Counter()
    answered: list[str] = []
    with endtoend.receiving(tmp_path / "received", seed) as receiver:
        for run in range(min(SESSION, RUNS - seed)):
            protocol = {"OTEL_PYTHON_PYJWT_JOURNAL_PROTOCOL": chance.choice(["http/json", "http/protobuf"])}
            environ = {
                **protocol,
                "OTEL_PYTHON_PYJWT_JOURNAL": str(directory),
                "OTEL_PYTHON_PYJWT_JOURNAL_ENDPOINT": receiver.url,
                "OTEL_PYTHON_PYJWT_JOURNAL_SIGNING_KEY": str(tmp_path / "audit.pem"),
                "OTEL_PYTHON_PYJWT_JOURNAL_ROTATE_BYTES": str(chance.choice([100_000, 2**26])),
                "OTEL_PYTHON_PYJWT_JOURNAL_FSYNC": chance.choice(["interval", "interval", "never", "always"]),
                **chance.choice([{}, {"USED_BEFORE": "1"}]),  # a token, before the forks
                **chance.choice([{}, {"OTEL_LOGS_EXPORTER": "none"}]),  # nobody delivers but ``jwt-audit forward``
            }
            following = None
            with running(bare, str(run), tmp_path / "log", **environ) as service:
                for _ in range(chance.randint(0, 2)):  # of four processes
                    use(service, chance.randint(1, 200), chance)
                    if following is None and chance.random() < 0.3:
                        following = endtoend.forwarder(directory, receiver.url, "--follow", **protocol)
                    service.kill(chance.choice(service.alive()))
                use(service, chance.randint(0, 400), chance)
                service.kill_all()
                service.gone()
            if following is not None:
                following.kill()
                following.communicate()
            answered += service.answered
            killed = endtoend.interrupted(directory, receiver, chance, **protocol) if chance.random() < 0.5 else False
            figures["runs"] += 1
            figures["service kills"] += len(service.killed) + 1
            figures["forward kills"] += (following is not None) + killed
        journal = endtoend.Journal(directory)
        assert journal.lost(answered) == Counter()
        figures["torn by itself"] = len(journal.torn)
        key = ("--public-key", str(tmp_path / "audit.pub"))
        said = endtoend.verify(directory, *key)
        assert (said["records"], said["streams"]) == (journal.records, len(journal.streams))
        endtoend.tear(directory, journal, chance)
        assert endtoend.verify(directory, *key) == said
        endtoend.deliver(directory, receiver, **protocol)
        figures.update(endtoend.account(answered, journal, receiver))
    # Of a request under way there may be an event; nobody else has any.
    assert journal.events.total() - len(answered) <= 50 * figures["runs"]
    assert {path.name[:32] for path in directory.glob("torn/*")} == journal.torn
    record_property("figures", dict(figures))


def bare(listener: int) -> list[str]:
    return [sys.executable, "-m", "tests.journal.services.bare", str(listener), "leader"]


def use(service: Service, responses: int, chance: random.Random) -> None:
    """Until so many more have come, from two processes at least, and any moment after that."""
    count = len(service.answered) + responses
    service.wait(lambda: len(service.answered) >= count and (not responses or len(service.alive()) > 1))
    threading.Event().wait(chance.uniform(0, 0.005))
