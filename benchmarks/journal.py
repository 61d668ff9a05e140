"""What an event costs the application's thread: written to the journal, and emitted through the SDK instead.

The journal's record is chained and in the kernel when the call returns. The SDK's is in the queue of a batch
processor, whose own thread has all of the encoding and sending still before it. Both get the same event of 24
attributes; the journal adds those of the Audit Logging signal (in another row, the SDK's event has these too). Rounds
run each in a changing order, on thread CPU time, in fresh processes; a figure is the median over rounds.

    python benchmarks/journal.py [--rounds N] [--processes N]
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opentelemetry.context import Context
from opentelemetry.instrumentation.pyjwt.config import Settings
from opentelemetry.instrumentation.pyjwt.events import INFO, AuditEvent
from opentelemetry.instrumentation.pyjwt.journal.accountable import accountable
from opentelemetry.instrumentation.pyjwt.sinks.journal import JournalSink
from opentelemetry.instrumentation.pyjwt.sinks.log import LogSink
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import set_span_in_context

CALLS = 200  # of each variant in a round: fewer than wake the batch processor, which would wake in anybody's turn
WARM_UP = 200


class Nowhere(LogRecordExporter):
    """Takes records and forgets them: exporting is another thread's and is not what is measured."""

    def export(self, batch: Any) -> LogRecordExportResult:
        return LogRecordExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing to close."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


def event(turn: int) -> AuditEvent:
    """What a service behind a proxy says of an ordinary access token: 24 attributes."""
    now = time.time_ns()
    attributes = {
        "jwt.jti": f"5f2b8f0e-7d0a-4c57-9a0e-{turn:012x}",
        "jwt.sub": "5e8848f3-9c2b-4a55-b7a1-3f1d8f0f6a11",
        "jwt.iss": "https://issuer.example/realms/shop",
        "jwt.aud": ["orders", "account"],
        "jwt.client_id": "web",
        "jwt.sid": "0d4f7b60-8a0b-4e0c-8f6b-5a3c1f2e9d77",
        "jwt.iat": now // 1_000_000_000,
        "jwt.nbf": now // 1_000_000_000,
        "jwt.exp": now // 1_000_000_000 + 300,
        "jwt.alg": "RS256",
        "jwt.kid": "qYJ8H2a0b1",
        "jwt.typ": "at+jwt",
        "jwt.scope.granted": ["orders:read", "orders:write", "openid"],
        "jwt.verified": True,
        "user.id": "5e8848f3-9c2b-4a55-b7a1-3f1d8f0f6a11",
        "jwt.expires_in": 300,
        "jwt.validation.checks": ["signature", "exp", "nbf", "iat", "aud", "iss"],
        "jwt.validation.outcome": "valid",
        "http.request.method": "GET",
        "http.route": "/orders/{order_id}",
        "client.address": "203.0.113.7",
        "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "http.response.status_code": 200,
        "audit.record.id": f"0d9f1b52-3c55-8a6e-9b6f-{turn:012x}",
    }
    assert len(attributes) == 24
    return AuditEvent("jwt.validated", now, INFO, "jwt.validated", attributes)


def everything(one: AuditEvent) -> dict[str, Any]:
    """What the journal writes of it, but for its place there."""
    words, copies = accountable(one.name, one.attributes)
    return {**one.attributes, **words, **{name: one.attributes[source] for name, source in copies.items()}}


def cost(
    sink: Callable[[AuditEvent, Context], None], context: Context, settle: Callable[[], object], *, all_: bool
) -> float:
    """Thread CPU time of a call, in microseconds."""

    def events(number: int) -> list[AuditEvent]:
        made = [event(turn) for turn in range(number)]
        return [one._replace(attributes=everything(one)) for one in made] if all_ else made

    for one in events(WARM_UP):
        sink(one, context)
    settle()
    given = events(CALLS)
    gc.collect()
    gc.disable()
    started = time.thread_time_ns()
    for one in given:
        sink(one, context)
    spent = time.thread_time_ns() - started
    gc.enable()
    return spent / CALLS / 1000


def measure(rounds: int, directory: Path) -> dict[str, list[float]]:
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(Nowhere(), schedule_delay_millis=200))
    log = LogSink(provider, capture_validated=True)
    journals = {
        f"journal, fsync {fsync}": JournalSink(
            Settings(journal=directory / fsync, journal_fsync=fsync), provider, None, log.events
        )
        for fsync in ("never", "interval")
    }
    span = TracerProvider(shutdown_on_exit=False).get_tracer("benchmark").start_span("request")
    context = set_span_in_context(span)
    variants: dict[str, Callable[[], float]] = {
        name: lambda sink=sink: cost(sink, context, lambda: None, all_=False)  # type: ignore[misc]
        for name, sink in journals.items()
    }
    variants["SDK"] = lambda: cost(log, context, provider.force_flush, all_=False)
    variants["SDK, same attributes in all"] = lambda: cost(log, context, provider.force_flush, all_=True)
    found: dict[str, list[float]] = {name: [] for name in variants}
    names = list(variants)
    for turn in range(rounds):
        turned = names[turn % len(names) :] + names[: turn % len(names)]
        for name in turned:
            found[name].append(variants[name]())
    for sink in journals.values():
        sink.stop()
    provider.shutdown()
    return found


def spread(values: list[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:7.2f}  [{low:.2f} … {high:.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=20, help="rounds in each process")
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--directory", type=Path, help="where to write, rather than the folder for temporary files")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(measure(arguments.rounds, arguments.directory)))
        return
    found: dict[str, list[float]] = {}
    for _ in range(arguments.processes):
        with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
            command = [
                sys.executable,
                __file__,
                "--worker",
                "--rounds",
                str(arguments.rounds),
                "--directory",
                directory,
            ]
            nowhere = {**os.environ, "OTEL_LOGS_EXPORTER": "none"}  # delivering is another thread's, too
            shown = subprocess.run(command, env=nowhere, check=True, capture_output=True).stdout
            for name, values in json.loads(shown).items():
                found.setdefault(name, []).extend(values)
    print(f"An event of 24 attributes, Python {sys.version.split()[0]}: thread CPU time, median [quartiles]\n")
    print(f"{'':<30} {'µs':<28} {'of SDK':<28} of SDK, same attributes in all")
    for name, values in found.items():
        ratios = [
            spread([mine / theirs for mine, theirs in zip(values, found[other], strict=True)])
            for other in ("SDK", "SDK, same attributes in all")
        ]
        print(f"{name:<30} {spread(values):<28} {ratios[0]:<28} {ratios[1]}")


if __name__ == "__main__":
    main()
