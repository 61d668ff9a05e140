"""What an event costs by way of the journal, beside the same event by way of the SDK: until its receiver has it.

The journal's record is chained and in the kernel when the call returns; then the forwarder, a thread of the same
process, delivers it as ``http/json``. The SDK's is in the queue of a batch processor when the call returns, whose
thread delivers it as ``http/protobuf``. Both get the same events of 24 attributes, both deliver to a live receiver in
another process while they are given more. What is in the journal has the attributes of the Audit Logging signal
besides; one of the SDK's rows has them, too.

Counted is the CPU time of the thread that gives the events, and that of the whole process until all is delivered, for
each record that the receiver has. At the pace given nothing is dropped; without a pace, the SDK drops. Every variant
has its turn in each round, in a changing order; a ratio is one of the same round.

    python benchmarks/journal.py [--rounds N] [--processes N] [--events N] [--pace N]
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from common import Receiver, event, spread, with_account

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.config import Settings
from opentelemetry.instrumentation.pyjwt.events import AuditEvent
from opentelemetry.instrumentation.pyjwt.sinks.journal import JournalSink
from opentelemetry.instrumentation.pyjwt.sinks.log import LogSink
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import set_span_in_context

BURST = 50  # events given at once, at a pace
WARM_UP = 100
SDK, SDK_GZIP, SDK_ACCOUNT = "SDK", "SDK, gzip", "SDK, audit.* too"

#: Where events go, and what waits until all are delivered.
Way = tuple[Callable[[AuditEvent, Context], None], Callable[[], object]]


@contextmanager
def sdk(url: str, compression: Compression) -> Iterator[Way]:
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(url, compression=compression)))
    try:
        yield LogSink(provider, capture_validated=True), provider.force_flush
    finally:
        provider.shutdown()


@contextmanager
def journal(url: str, compression: str, directory: Path) -> Iterator[Way]:
    os.environ["OTEL_EXPORTER_OTLP_LOGS_COMPRESSION"] = compression
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        settings = Settings(journal=Path(folder), journal_endpoint=url, journal_protocol="http/json")
        sink = JournalSink(settings, LoggerProvider(shutdown_on_exit=False), None, semconv.EVENTS)

        def settle() -> None:
            while sink.journal.pending():
                time.sleep(0.05)

        try:
            yield sink, settle
        finally:
            sink.stop()


def turn(
    way: AbstractContextManager[Way], events: list[AuditEvent], receiver: Receiver, pace: float, context: Context
) -> dict[str, float]:
    """Microseconds of the thread for each event, of the process for each that was delivered, and their share."""
    burst = BURST if pace else len(events)
    with way as (give, settle):
        for one in events[:WARM_UP]:
            give(one, context)
        settle()
        receiver.taken()
        gc.collect()
        gc.freeze()  # or the events themselves are collected again and again
        thread, process, began = 0, time.process_time_ns(), time.monotonic()
        for start in range(0, len(events), burst):
            due = began + start / pace if pace else 0.0
            time.sleep(max(due - time.monotonic(), 0.0))
            given = events[start : start + burst]
            started = time.thread_time_ns()
            for one in given:
                give(one, context)
            thread += time.thread_time_ns() - started
        settle()
        process = time.process_time_ns() - process
        gc.unfreeze()
        delivered = receiver.taken()
    return {
        "thread": thread / len(events) / 1000,
        "process": process / delivered / 1000,
        "delivered": delivered / len(events),
    }


def measure(rounds: int, count: int, pace: float, directory: Path) -> dict[str, list[dict[str, float]]]:
    logging.disable()  # the SDK says that it drops
    span = TracerProvider(shutdown_on_exit=False).get_tracer("benchmark").start_span("request")
    context = set_span_in_context(span)
    events = [event(number) for number in range(count)]
    accounts = [with_account(one) for one in events]
    found: dict[str, list[dict[str, float]]] = {}
    with Receiver() as receiver:
        url = receiver.url
        variants: dict[str, Callable[[], dict[str, float]]] = {
            name: partial(lambda way, given, pace: turn(way(), given, receiver, pace, context), way, given, pace)
            for name, way, given, pace in (
                ("journal", partial(journal, url, "none", directory), events, pace),
                ("journal, gzip", partial(journal, url, "gzip", directory), events, pace),
                (SDK, partial(sdk, url, Compression.NoCompression), events, pace),
                (SDK_GZIP, partial(sdk, url, Compression.Gzip), events, pace),
                (SDK_ACCOUNT, partial(sdk, url, Compression.NoCompression), accounts, pace),
                ("journal, gzip, no pace", partial(journal, url, "gzip", directory), events, 0.0),
                ("SDK, no pace", partial(sdk, url, Compression.NoCompression), events, 0.0),
            )
        }
        names = list(variants)
        for number in range(-1, rounds):  # the first warms up
            for name in names[number % len(names) :] + names[: number % len(names)]:
                result = variants[name]()
                if number >= 0:
                    found.setdefault(name, []).append(result)
    return found


def table(title: str, figure: str, found: dict[str, list[dict[str, float]]], bases: tuple[str, ...]) -> None:
    print(f"\n{title:<26}{'µs':<27}" + "".join(f"{f'of {base}':<24}" for base in bases) + "delivered")
    for name, results in found.items():
        row = f"{name:<26}{spread([one[figure] for one in results]):<27}"
        for base in bases:
            pairs = zip(results, found[base], strict=True)
            row += f"{spread([mine[figure] / theirs[figure] for mine, theirs in pairs]):<24}"
        print(f"{row}{sum(one['delivered'] for one in results) / len(results):.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds in each process")
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--events", type=int, default=5000, help="events in a turn")
    parser.add_argument("--pace", type=float, default=2500.0, help="events a second")
    parser.add_argument("--directory", type=Path, help="where to write, rather than the folder for temporary files")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        print(json.dumps(measure(given.rounds, given.events, given.pace, given.directory)))
        return
    found: dict[str, list[dict[str, Any]]] = {}
    for _ in range(given.processes):
        with tempfile.TemporaryDirectory(dir=given.directory) as directory:
            command = [sys.executable, __file__, "--worker", f"--rounds={given.rounds}", f"--events={given.events}"]
            command += [f"--pace={given.pace}", f"--directory={directory}"]
            for name, results in json.loads(subprocess.run(command, check=True, stdout=-1).stdout).items():
                found.setdefault(name, []).extend(results)
    print(
        f"Events of 24 attributes, {given.pace:.0f} a second, Python {sys.version.split()[0]}: "
        f"CPU time, median [quartiles] of {given.rounds * given.processes} rounds of {given.events}"
    )
    table("Application's thread", "thread", found, (SDK, SDK_ACCOUNT))
    table("Process, until delivered", "process", found, (SDK, SDK_GZIP))


if __name__ == "__main__":
    main()
