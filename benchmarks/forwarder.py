"""What it costs to deliver the journal, beside OpenTelemetry's own exporter with the same records.

A receiver in a process of its own takes both; the same records are delivered by the forwarder from a journal on disk
(``http/json``, gzip and plain), and by the SDK's ``OTLPLogExporter`` (``http/protobuf``, as it is by default and with
gzip) in batches of 512, already in memory. Counted is the CPU time of this process, all threads; a figure is the
median over rounds in which every variant has its turn, in a changing order.

    python benchmarks/forwarder.py [--rounds N] [--records N]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.instrumentation.pyjwt.journal.destination import Destination
from opentelemetry.instrumentation.pyjwt.journal.forwarder import Forwarder
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

SCOPE = InstrumentationScope("opentelemetry.instrumentation.pyjwt", "0.1.0")
RESOURCE = Resource({"service.name": "orders", "service.version": "1.2.3", "host.name": "worker-7"})
BATCH = 512


def attributes(number: int) -> dict[str, object]:
    """An event as a request with a good token gives it: 24 attributes."""
    return {
        "jwt.jti": str(uuid.UUID(int=number)),
        "jwt.sub": "alice",
        "jwt.iss": "https://issuer.example",
        "jwt.aud": ["orders"],
        "jwt.iat": 1790000000,
        "jwt.exp": 1790000300,
        "jwt.expires_in": 300,
        "jwt.alg": "EdDSA",
        "jwt.kid": "key-1",
        "jwt.verified": True,
        "jwt.validation.outcome": "valid",
        "jwt.validation.checks": ["signature", "exp", "iat", "aud", "iss"],
        "jwt.scope.granted": ["orders:read", "orders:write"],
        "user.id": "alice",
        "client.address": "10.1.2.3",
        "http.request.method": "GET",
        "http.route": "/orders/{id}",
        "http.response.status_code": 200,
        "audit.record.id": str(uuid.uuid4()),
        "audit.actor.id": "alice",
        "audit.action": "USE",
        "audit.sequence.stream_id": "0" * 32,
        "audit.sequence.number": number,
        "audit.sequence.prev_hash": uuid.uuid4().hex * 2,
    }


def value(given: object) -> dict[str, object]:
    if isinstance(given, bool):
        return {"boolValue": given}
    if isinstance(given, int):
        return {"intValue": str(given)}
    if isinstance(given, list):
        return {"arrayValue": {"values": [value(one) for one in given]}}
    return {"stringValue": given}


def pairs(given: dict[str, object]) -> list[dict[str, object]]:
    return [{"key": key, "value": value(one)} for key, one in given.items()]


def line(given: dict[str, object]) -> bytes:
    record = {
        "timeUnixNano": "1790000000123456789",
        "observedTimeUnixNano": "1790000000123456789",
        "severityNumber": 9,
        "severityText": "INFO",
        "eventName": "jwt.validated",
        "body": {"stringValue": "jwt.validated"},
        "attributes": pairs(given),
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "spanId": "b7ad6b7169203331",
        "flags": 1,
    }
    scopes = [{"scope": {"name": SCOPE.name, "version": SCOPE.version}, "logRecords": [record]}]
    resource = {"attributes": pairs(dict(RESOURCE.attributes))}
    request = {"resourceLogs": [{"resource": resource, "scopeLogs": scopes}]}
    return json.dumps(request, separators=(",", ":")).encode() + b"\n"


def readable(given: dict[str, object]) -> ReadableLogRecord:
    record = LogRecord(
        timestamp=1790000000123456789,
        observed_timestamp=1790000000123456789,
        severity_number=SeverityNumber.INFO,
        severity_text="INFO",
        body="jwt.validated",
        attributes=given,  # type: ignore[arg-type]
        event_name="jwt.validated",
    )
    record.trace_id, record.span_id = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
    return ReadableLogRecord(record, RESOURCE, SCOPE)


def receive(ready: Connection) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-type", self.headers["content-type"])
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        ready.send(server.server_address[1])
        server.serve_forever()


def forwarder(url: str, lines: list[bytes], compression: str) -> Callable[[], float]:
    def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / f"{'0' * 32}.{1:012d}.jsonl").write_bytes(b"".join(lines))
            one = Forwarder(Path(folder), Destination("http/json", url, compression=compression))
            start = time.process_time()
            one.turn()
            one.close()
            took = time.process_time() - start
            assert one.delivered == len(lines)
        return took

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
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    receiver = context.Process(target=receive, args=(there,), daemon=True)
    receiver.start()
    url = f"http://127.0.0.1:{here.recv()}/v1/logs"
    events = [attributes(number) for number in range(1, given.records + 1)]
    lines, records = [line(event) for event in events], [readable(event) for event in events]
    variants = {
        "SDK's exporter, http/protobuf": exporter(url, records, Compression.NoCompression),
        "SDK's exporter, http/protobuf, gzip": exporter(url, records, Compression.Gzip),
        "forwarder, http/json": forwarder(url, lines, "none"),
        "forwarder, http/json, gzip": forwarder(url, lines, "gzip"),
    }
    took: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(-1, given.rounds):  # the first warms up
        names = list(variants)
        for name in names[turn % 4 :] + names[: turn % 4]:
            seconds = variants[name]()
            if turn >= 0:
                took[name].append(seconds / given.records)
    receiver.kill()
    print(f"{given.records} records of {len(lines[0])} bytes, median of {given.rounds} rounds")
    for name, seconds in took.items():
        base = "SDK's exporter, http/protobuf" + (", gzip" if name.endswith("gzip") else "")
        ratio = statistics.median(sdk / one for sdk, one in zip(took[base], seconds, strict=True))
        median = statistics.median(seconds)
        print(f"{name:36} {median * 1e6:7.1f} µs CPU a record, {1 / median:9,.0f} a CPU second, {ratio:5.1f} times")


if __name__ == "__main__":
    main()
