"""Several forwarders, and forwarders that are killed: each record arrives, and repeats have the same id."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.forwarder import journal
from tests.forwarder.journal import ids
from tests.forwarder.receiver import Reply, Request, serving

ROOT = Path(__file__).parents[2]
STREAMS = [f"{number:032x}" for number in range(1, 7)]
SCRIPT = """
    import os, signal, sys
    from pathlib import Path
    from opentelemetry.instrumentation.pyjwt.journal import segments
    from opentelemetry.instrumentation.pyjwt.journal.destination import Destination
    from opentelemetry.instrumentation.pyjwt.journal.forwarder import Forwarder
    directory, url, settled = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    settle = segments.Held.settle

    def die(self, position):  # after so many
        global settled
        settled -= 1
        if settled < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        settle(self, position)

    segments.Held.settle = die
    forwarder = Forwarder(directory, Destination("http/json", url))
    while segments.pending(directory):
        forwarder.turn()
    forwarder.close()
"""


def start(directory: Path, url: str, settled: int = 10**9) -> subprocess.Popen[bytes]:
    """A forwarder in a process, which kills itself instead of writing a position once it wrote so many."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(SCRIPT), str(directory), url, str(settled)]
    path = os.pathsep.join([*filter(None, sys.path), str(ROOT)])
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})


def journals(directory: Path, count: int) -> list[str]:
    """Streams of dead processes, of three segments each; returns all ids."""
    for stream in STREAMS:
        journal.dead(directory, stream)
        for first in (1, count + 1, 2 * count + 1):
            journal.write(directory, stream, first, count)
    return [one for stream in STREAMS for one in ids(stream, 1, 3 * count)]


def test_no_segment_is_delivered_by_two_at_once(tmp_path: Path) -> None:
    written = journals(tmp_path, 800)
    sending: Counter[str] = Counter()
    clashes: list[str] = []
    senders: set[str] = set()
    met = threading.Event()
    lock = threading.Lock()

    def watch(request: Request) -> Reply:
        stream, _, number = request.ids[0].partition("-")
        segment = f"{stream}/{(int(number) - 1) // 800}"
        with lock:
            sending[segment] += 1
            if sending[segment] > 1:
                clashes.append(segment)
            senders.add(request.headers["x-sender"])
            if len(senders) == 2:
                met.set()
        assert met.wait(50), "one does it all: nothing is tested"
        receiver.gone.wait(0.01)
        with lock:
            sending[segment] -= 1
        return Reply()

    with serving(watch) as receiver:
        script = SCRIPT.replace('"http/json", url', '"http/json", url, {"x-sender": str(os.getpid())}, timeout=60')
        path = os.pathsep.join([*filter(None, sys.path), str(ROOT)])
        command = [sys.executable, "-W", "error", "-c", textwrap.dedent(script), str(tmp_path), receiver.url, "1000000"]
        processes = [subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}) for _ in range(3)]
        assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert clashes == []
    assert sorted(receiver.acknowledged) == sorted(written), "nothing is lost, and without failures nothing sent twice"
    assert not list(tmp_path.glob("*.lock"))


@pytest.mark.parametrize("settled", [0, 3])
def test_killed_between_acknowledgement_and_position_one_batch_is_sent_twice(settled: int, tmp_path: Path) -> None:
    written = journals(tmp_path, 200)
    with serving() as receiver:
        assert start(tmp_path, receiver.url, settled).wait(60) == -signal.SIGKILL
        last = receiver.requests[-1].ids
        assert start(tmp_path, receiver.url).wait(60) == 0
    assert set(receiver.acknowledged) == set(written)
    assert {one for one, times in receiver.times().items() if times > 1} == set(last)
    assert max(receiver.times().values()) == 2


def test_killed_at_any_moment_nothing_is_lost(tmp_path: Path) -> None:
    written = journals(tmp_path, 1500)
    chance = random.Random(1)
    met = threading.Event()

    def meet(request: Request) -> Reply:
        met.set()
        return Reply()

    with serving(meet) as receiver:
        kills = 0
        for _ in range(5):
            met.clear()
            process = start(tmp_path, receiver.url)
            assert met.wait(30)
            receiver.gone.wait(chance.random() * 0.05)
            process.kill()
            kills += process.wait(10) == -signal.SIGKILL
        assert start(tmp_path, receiver.url).wait(60) == 0
    assert kills >= 2, "all was delivered too fast"
    assert set(receiver.acknowledged) == set(written)
