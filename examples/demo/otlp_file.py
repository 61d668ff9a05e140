"""An OTLP/HTTP receiver on loopback, in place of a Collector: logs go to a file, spans are kept in memory.

The file has the format of the Collector's file exporter, OTLP JSON lines: each line is a whole export request,
here of one record, so that a line is an event and any OTLP tool can read the file.
"""

from __future__ import annotations

import base64
import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from google.protobuf.json_format import MessageToDict

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

IDS = {"traceId", "spanId", "parentSpanId"}


class Receiver:
    """Receives until its block is left.

    Args:
        path: where the log records go; what was there before is lost.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spans: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Receiver:
        self.path.write_text("")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def logs(self, body: bytes) -> bytes:
        lines = [json.dumps(request) + "\n" for request in _one_by_one(_json(ExportLogsServiceRequest, body))]
        with self._lock, self.path.open("a") as file:
            file.writelines(lines)
        return ExportLogsServiceResponse().SerializeToString()

    def traces(self, body: bytes) -> bytes:
        resources = _json(ExportTraceServiceRequest, body).get("resourceSpans", ())
        spans = [span for resource in resources for scope in resource["scopeSpans"] for span in scope["spans"]]
        with self._lock:
            self.spans += spans
        return ExportTraceServiceResponse().SerializeToString()


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    routes = {"/v1/logs": receiver.logs, "/v1/traces": receiver.traces}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            answer = routes[self.path](body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Nothing: the terminal is the demo's."""

    return Handler


def _json(message: type[Any], body: bytes) -> dict[str, Any]:
    """An OTLP message as OTLP's own JSON: protobuf's, but enums are numbers and ids are hex."""
    found: dict[str, Any] = MessageToDict(message.FromString(body), use_integers_for_enums=True)
    _hex_ids(found)
    return found


def _hex_ids(value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _hex_ids(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name in IDS:
                value[name] = base64.b64decode(item).hex()
            else:
                _hex_ids(item)


def _one_by_one(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The same request, as requests of one record each."""
    for resource in request.get("resourceLogs", ()):
        for scope in resource["scopeLogs"]:
            for record in scope["logRecords"]:
                yield {"resourceLogs": [{**resource, "scopeLogs": [{**scope, "logRecords": [record]}]}]}
