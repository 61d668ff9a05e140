"""How much memory a journal takes while nobody takes anything from it: a million events, and a receiver that is down.

The forwarder is at it all the time, against a port where nobody listens; segments are closed at their usual size. No
two events are the same, and who has what in the token varies: what the journal remembers is put to the test.

    python benchmarks/memory.py [--events N] [--directory PATH]      (takes 4 GB of disk for each million events)
"""

from __future__ import annotations

import argparse
import gc
import itertools
import logging
import os
import random
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path

from common import event

from opentelemetry.context import Context
from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.config import Settings
from opentelemetry.instrumentation.pyjwt.events import AuditEvent
from opentelemetry.instrumentation.pyjwt.sinks.journal import JournalSink
from opentelemetry.sdk._logs import LoggerProvider

STEPS = 10
RARE = 5  # one in so many events is of a kind that may not have been seen before
NAMES = ("tenant", "roles", "plan", "region", "device")
CERTAIN = 12  # attributes an event has in any case


def varied(number: int, dice: random.Random) -> AuditEvent:
    """An event with a part of the attributes only, and with claims of several types, of which some are captured."""
    one = event(number)
    attributes = dict(one.attributes)
    if number % RARE == 0:
        for name in list(attributes)[1:-CERTAIN]:
            if dice.random() < 0.1:
                del attributes[name]
        for name in dice.sample(NAMES, 2):
            attributes[f"jwt.claims.{name}"] = dice.choice((number, str(number), number / 7, [str(number), "x"], True))
    attributes["jwt.aud"] = [f"service-{dice.randrange(10**6)}" for _ in range(dice.randint(1, 8))]
    attributes["jwt.scope.granted"] = [f"scope-{dice.randrange(10**6)}:read" for _ in range(dice.randint(1, 8))]
    return one._replace(attributes=attributes)


def resident() -> float:
    """MiB of this process that are in memory."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--directory", type=Path, help="where to write, rather than the folder for temporary files")
    given = parser.parse_args()
    logging.disable()  # the forwarder says that it cannot deliver
    free = shutil.disk_usage(given.directory or tempfile.gettempdir()).free
    if free < given.events * 5000:
        parser.error(f"{free / 2**30:.1f} GiB are free, and that is not enough")
    with socket.socket() as bound, tempfile.TemporaryDirectory(dir=given.directory) as folder:
        bound.bind(("127.0.0.1", 0))  # and nobody listens
        settings = Settings(
            journal=Path(folder),
            journal_endpoint=f"http://127.0.0.1:{bound.getsockname()[1]}",
            journal_protocol="http/json",
            journal_max_bytes=given.events * 8192,
        )
        sink = JournalSink(settings, LoggerProvider(shutdown_on_exit=False), None, semconv.EVENTS)
        dice, numbers = random.Random(7), itertools.count()
        sink(varied(next(numbers), dice), Context())
        print(f"{'events':>9}{'MiB':>9}{'of it new':>11}{'segments':>10}{'on disk, GiB':>14}{'s':>7}")
        started, first = time.monotonic(), 0.0
        for step in range(STEPS + 1):
            while sink.journal.written < max(given.events * step // STEPS, min(20_000, given.events // STEPS)):
                sink(varied(next(numbers), dice), Context())
            gc.collect()
            first = first or resident()
            sizes = [path.stat().st_size for path in Path(folder).glob("*.jsonl")]
            print(
                f"{sink.journal.written:>9}{resident():>9.1f}{resident() - first:>+11.1f}{len(sizes):>10}"
                f"{sum(sizes) / 2**30:>14.2f}{time.monotonic() - started:>7.0f}",
                flush=True,
            )
        assert "jwt-audit-forwarder" in {thread.name for thread in threading.enumerate()}
        print(f"lost: {sink.journal.losses.count}")
        sink.stop()


if __name__ == "__main__":
    main()
