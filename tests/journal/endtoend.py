"""From the response to the receiver: is all there that was answered for, and nothing twice but for repeats?"""

from __future__ import annotations

import json
import os
import queue
import random
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.isolated import ROOT
from tests.journal import book
from tests.journal.services.receiver import kept

PATIENCE = 60
COMMAND = str(Path(sys.executable).with_name("jwt-audit"))


def environment(**more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return {**clean, "PYTHONPATH": os.pathsep.join([*filter(None, sys.path), str(ROOT)]), **more}


class Receiver:
    """Processes that receive at one address, one after another as they die; see ``services/receiver.py``."""

    def __init__(self, store: Path, seed: int) -> None:
        self.deaths = -1
        #: One for each request that has come, a while before its answer or never having one.
        self.requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._store = store
        self._chance = random.Random(seed)
        with socket.create_server(("127.0.0.1", 0)) as reserved:
            self._port = reserved.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}/v1/logs"
        self._over = False
        self._lock = threading.Lock()
        self._process = self._start()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        with self._lock:
            self._over = True
            assert self._process.stdin is not None
            self._process.stdin.close()
        self._thread.join(PATIENCE)

    def stored(self) -> list[str]:
        return self._store.read_text(encoding="ascii").splitlines() if self._store.exists() else []

    def _start(self) -> subprocess.Popen[bytes]:
        self.deaths += 1
        # Few of them, since whoever sends waits longer after each.
        fates = [] if self.deaths == 2 else self._chance.sample(["accept", "accept", "die", "hang-up"], 3)
        program = [sys.executable, "-m", "tests.journal.services.receiver"]
        arguments = [str(self._port), str(self._store), str(self._chance.random()), *fates]
        return subprocess.Popen(
            [*program, *arguments], env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def _run(self) -> None:
        while True:
            with self._process as process:
                assert process.stdout is not None
                for line in process.stdout:
                    self.requests.put(line)
            with self._lock:
                if self._over:
                    return
                self._process = self._start()


@contextmanager
def receiving(store: Path, seed: int) -> Iterator[Receiver]:
    receiver = Receiver(store, seed)
    try:
        yield receiver
    finally:
        receiver.stop()


def forwarder(directory: Path, url: str, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    variables = environment(OTEL_PYTHON_PYJWT_JOURNAL_ENDPOINT=url, **environ)
    command = [COMMAND, "forward", str(directory), "--json", *arguments]
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def interrupted(directory: Path, receiver: Receiver, chance: random.Random, **environ: str) -> bool:
    """``jwt-audit forward``, killed in the midst of its work; whether it was."""
    while not receiver.requests.empty():
        receiver.requests.get()
    with forwarder(directory, receiver.url, **environ) as process:

        def ended() -> None:
            process.wait()
            receiver.requests.put(b"none, there is nothing to deliver\n")

        waiter = threading.Thread(target=ended)
        waiter.start()
        receiver.requests.get(timeout=PATIENCE)
        threading.Event().wait(chance.uniform(0, 0.02))
        process.kill()
        waiter.join()
    return process.returncode < 0


def deliver(directory: Path, receiver: Receiver, **environ: str) -> None:
    """``jwt-audit forward``, which has to deliver all there is."""
    with forwarder(directory, receiver.url, "--timeout", str(PATIENCE), **environ) as process:
        said, _ = process.communicate(timeout=2 * PATIENCE)
    outcome = json.loads(said)
    assert (outcome["refused"], outcome["pending"], process.returncode) == (0, 0, 0)


def verify(directory: Path, *arguments: str) -> dict[str, Any]:
    """What ``jwt-audit verify`` says, which has to be that all is well."""
    command = [COMMAND, "verify", str(directory), "--json", *arguments]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False)
    outcome = json.loads(done.stdout)
    assert (outcome["intact"], outcome["problems"], done.returncode) == (True, [], 0)
    return dict(outcome)


class Journal:
    """What is in a journal, read with nothing of ours: each stream, after its chain has been checked."""

    def __init__(self, directory: Path) -> None:
        self.streams = book.read(directory, parse=False)
        for path in directory.glob("*.jsonl"):  # a process may have been killed before its first record
            self.streams.setdefault(path.name[:32], [])
        self.records = sum(map(len, self.streams.values()))
        #: Streams whose last line is torn.
        self.torn = {path.name[:32] for path in directory.glob("*.jsonl") if path.read_bytes()[-1:] not in (b"", b"\n")}
        #: Event and jti of each record.
        self.events = Counter(
            f"{one['event']} {one['jwt.jti']}" for stream in self.streams.values() for one in stream if "jwt.jti" in one
        )
        self._directory = directory

    def lost(self, answered: list[str]) -> Counter[str]:
        """What was answered for and is not here."""
        return Counter(answered) - self.events

    def as_received(self) -> set[str]:
        """What a receiver would keep of it."""
        lines = (line for _, _, line in book.lines(self._directory))
        return {one.rstrip() for line in lines for one in kept(book.parsed(json.loads(line)))}


def tear(directory: Path, journal: Journal, chance: random.Random) -> None:
    """Leave lines as processes do that are killed in the midst of one, which seldom happens.

    In streams that have not been delivered as a whole: what is delivered is not written to any more.
    """
    whole = sorted(
        stream for stream in journal.streams if stream not in journal.torn and (directory / f"{stream}.lock").exists()
    )
    for stream in chance.sample(whole, min(len(whole), chance.randint(0, 2))):
        last = max(directory.glob(f"{stream}.*.jsonl"))
        line = chance.choice(last.read_bytes().splitlines() or [b'{"resourceLogs":[{'])
        with last.open("ab") as file:
            file.write(line[: chance.randint(1, len(line))])
        journal.torn.add(stream)


def account(answered: list[str], journal: Journal, receiver: Receiver) -> dict[str, int]:
    """The figures of a run, after assertions about them."""
    lost = journal.lost(answered)
    assert lost == Counter()
    assert max(journal.events.values(), default=1) == 1
    stored = receiver.stored()
    assert set(stored) == journal.as_received(), "what the receiver has is not what the journal has"
    assert len({one.split()[0] for one in stored}) == journal.records, "an id is that of several records"
    return {
        "answered": len(answered),
        "records": journal.records,
        "streams": len(journal.streams),
        "torn": len(journal.torn),
        "receiver deaths": receiver.deaths,
        "lost": lost.total(),
        "duplicates": len(stored) - journal.records,
    }
