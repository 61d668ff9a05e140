"""What it costs to deliver the journal, beside OpenTelemetry's own exporter with the same events.

A receiver in a process of its own takes both. The forwarder delivers a journal as it is on disk, chain and ``audit.*``
included, as ``http/json``; the SDK's ``OTLPLogExporter`` delivers the same events, as they were given, from memory, in
batches of 512 as ``http/protobuf``. Counted is the CPU time of this process, all threads; a figure is the median over
rounds in which every variant has its turn, in a changing order.

    python benchmarks/forwarder.py [--rounds N] [--records N]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from common import Receiver, event, spread

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.config import Settings
from opentelemetry.instrumentation.pyjwt.journal.destination import Destination
from opentelemetry.instrumentation.pyjwt.journal.forwarder import Forwarder
from opentelemetry.instrumentation.pyjwt.sinks.journal import JournalSink
from opentelemetry.instrumentation.pyjwt.sinks.log import LogSink
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, LogRecordExportResult, SimpleLogRecordProcessor

BATCH = 512
SDK = "SDK's exporter"


def written(count: int) -> tuple[str, bytes]:
    """A journal of so many records: its only segment."""
    with tempfile.TemporaryDirectory() as folder:
        # A port of no receiver: should the journal have a forwarder of its own, it gets nowhere.
        settings = Settings(journal=Path(folder), journal_endpoint="http://127.0.0.1:9", journal_rotate_bytes=2**40)
        sink = JournalSink(settings, LoggerProvider(shutdown_on_exit=False), None, semconv.EVENTS)
        for number in range(count):
            sink(event(number), Context())
        sink.stop()
        (segment,) = Path(folder).glob("*.jsonl")
        return segment.name, segment.read_bytes()


def emitted(count: int) -> list[ReadableLogRecord]:
    """The same events as the SDK's records."""
    provider, memory = LoggerProvider(shutdown_on_exit=False), InMemoryLogRecordExporter()
    provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
    sink = LogSink(provider, capture_validated=True)
    for number in range(count):
        sink(event(number), Context())
    return list(memory.get_finished_logs())


def forwarder(url: str, segment: tuple[str, bytes], compression: str) -> Callable[[], float]:
    def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / segment[0]).write_bytes(segment[1])
            one = Forwarder(Path(folder), Destination("http/json", url, compression=compression))
            start = time.process_time()
            one.turn()
            one.close()
            return time.process_time() - start

    return run


def exporter(url: str, records: list[ReadableLogRecord], compression: Compression) -> Callable[[], float]:
    def run() -> float:
        one = OTLPLogExporter(url, compression=compression)
        start = time.process_time()
        for index in range(0, len(records), BATCH):
            assert one.export(records[index : index + BATCH]) is LogRecordExportResult.SUCCESS
        took = time.process_time() - start
        one.shutdown()
        return took

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--records", type=int, default=8192)
    given = parser.parse_args()
    segment, records = written(given.records), emitted(given.records)
    took: dict[str, list[float]] = {}
    with Receiver() as receiver:
        variants = {
            SDK: exporter(receiver.url, records, Compression.NoCompression),
            f"{SDK}, gzip": exporter(receiver.url, records, Compression.Gzip),
            "forwarder": forwarder(receiver.url, segment, "none"),
            "forwarder, gzip": forwarder(receiver.url, segment, "gzip"),
        }
        names = list(variants)
        for turn in range(-1, given.rounds):  # the first warms up
            for name in names[turn % 4 :] + names[: turn % 4]:
                seconds = variants[name]()
                assert receiver.taken() == given.records
                if turn >= 0:
                    took.setdefault(name, []).append(seconds / given.records)
    size = len(segment[1]) // given.records
    print(
        f"{given.records} events of 24 attributes, lines of {size} bytes, median [quartiles] of {given.rounds} rounds\n"
    )
    print(f"{'':<22}{'µs CPU a record':<28}{'a CPU second':<16}times the exporter's, alike compressed")
    for name in variants:
        base = took[f"{SDK}, gzip" if name.endswith("gzip") else SDK]
        ratios = [theirs / mine for mine, theirs in zip(took[name], base, strict=True)]
        micros = spread([seconds * 1e6 for seconds in took[name]])
        print(f"{name:<22}{micros:<28}{1 / statistics.median(took[name]):<16,.0f}{spread(ratios, 1)}")


if __name__ == "__main__":
    main()
