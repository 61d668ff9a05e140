"""What benchmarks have in common: an event, and a receiver."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import statistics
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from typing import Any

from opentelemetry.instrumentation.pyjwt.events import INFO, AuditEvent
from opentelemetry.instrumentation.pyjwt.journal.accountable import accountable
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest


def event(turn: int) -> AuditEvent:
    """What a service behind a proxy says of an ordinary access token: 24 attributes."""
    now = time.time_ns()
    attributes = {
        "jwt.jti": f"5f2b8f0e-7d0a-4c57-9a0e-{turn:012x}",
        "jwt.sub": f"5e8848f3-9c2b-4a55-b7a1-{turn * 7919 % 10_000:012x}",
        "jwt.iss": "https://issuer.example/realms/shop",
        "jwt.aud": ["orders", "account"],
        "jwt.client_id": "web",
        "jwt.sid": f"0d4f7b60-8a0b-4e0c-8f6b-{turn // 10:012x}",
        "jwt.iat": now // 1_000_000_000,
        "jwt.nbf": now // 1_000_000_000,
        "jwt.exp": now // 1_000_000_000 + 300,
        "jwt.alg": "RS256",
        "jwt.kid": "qYJ8H2a0b1",
        "jwt.typ": "at+jwt",
        "jwt.scope.granted": ["orders:read", "orders:write", "openid"],
        "jwt.verified": True,
        "user.id": f"5e8848f3-9c2b-4a55-b7a1-{turn * 7919 % 10_000:012x}",
        "jwt.expires_in": 300,
        "jwt.validation.checks": ["signature", "exp", "nbf", "iat", "aud", "iss"],
        "jwt.validation.outcome": "valid",
        "http.request.method": "GET",
        "http.route": "/orders/{order_id}",
        "client.address": f"203.0.113.{turn % 250}",
        "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "http.response.status_code": 200,
        "audit.record.id": f"0d9f1b52-3c55-8a6e-9b6f-{turn:012x}",
    }
    assert len(attributes) == 24
    return AuditEvent("jwt.validated", now, INFO, "jwt.validated", attributes)


def with_account(one: AuditEvent) -> AuditEvent:
    """The event with what the journal says of it besides, but for its place there."""
    words, copies = accountable(one.name, one.attributes)
    copied = {name: one.attributes[source] for name, source in copies.items()}
    return one._replace(attributes={**one.attributes, **words, **copied})


def spread(values: list[float], digits: int = 2) -> str:
    """The median, and the quartiles around it."""
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    return f"{middle:.{digits}f}  [{low:.{digits}f} … {high:.{digits}f}]"


class Receiver:
    """A live receiver of OTLP over HTTP, in a process of its own: what it costs is nobody else's."""

    def __enter__(self) -> Receiver:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_receive, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()  # or its end would not be seen here
        self.url = f"http://127.0.0.1:{self._pipe.recv()}/v1/logs"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    def taken(self) -> int:
        """How many records came since this was last asked. They are only read now."""
        self._pipe.send(None)
        records: int = self._pipe.recv()
        return records


def _receive(pipe: Connection) -> None:
    requests: list[tuple[str, str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            requests.append((self.headers["content-type"], self.headers.get("content-encoding", ""), body))
            self.send_response(200)
            self.send_header("content-type", self.headers["content-type"])
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        pipe.send(server.server_address[1])
        while True:
            pipe.recv()
            taken = requests.copy()
            requests.clear()
            pipe.send(sum(_records(*request) for request in taken))


def _records(content_type: str, encoding: str, body: bytes) -> int:
    if encoding == "gzip":
        body = gzip.decompress(body)
    if content_type == "application/json":
        resources: list[dict[str, Any]] = json.loads(body)["resourceLogs"]
        return sum(len(scope["logRecords"]) for one in resources for scope in one["scopeLogs"])
    request = ExportLogsServiceRequest.FromString(body)
    return sum(len(scope.log_records) for one in request.resource_logs for scope in one.scope_logs)
