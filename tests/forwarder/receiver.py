"""A receiver of OTLP over HTTP on the loopback, which behaves as a test tells it to."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from google.protobuf.json_format import MessageToDict

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest


class Reply(NamedTuple):
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = {}  # noqa: RUF012  # never changed

    def send(self, handler: BaseHTTPRequestHandler) -> None:
        headers = {"content-type": "application/json", "content-length": str(len(self.body)), **self.headers}
        handler.send_response(self.status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(self.body)


class Raw(NamedTuple):
    """These bytes, and then the connection is closed, or reset."""

    data: bytes
    reset: bool = False
    status: int = 0

    def send(self, handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(self.data)
        handler.wfile.flush()
        if self.reset:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.close_connection = True


class Hang(NamedTuple):
    """Nothing for as long as the receiver lives, but for one byte of ``drip`` now and then."""

    gone: threading.Event
    drip: bytes = b""
    status: int = 0

    def send(self, handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        try:
            while not self.gone.wait(0.05):
                if self.drip:
                    handler.wfile.write(self.drip)
        except OSError:
            pass  # the other side has given up


class Request(NamedTuple):
    ids: list[str]
    size: int
    headers: dict[str, str]
    path: str
    message: Any


Behave = Callable[[Request], Any]


class Receiver:
    """What was sent to it, and the ids of the records it acknowledged, in order, with repeats."""

    def __init__(self, behave: Behave) -> None:
        self.behave = behave
        self.requests: list[Request] = []
        self.acknowledged: list[str] = []
        self.gone = threading.Event()
        self.lock = threading.Lock()
        self.server: ThreadingHTTPServer

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/logs"

    def times(self) -> Counter[str]:
        return Counter(self.acknowledged)


def request_of(handler: BaseHTTPRequestHandler) -> Request:
    raw = handler.rfile.read(int(handler.headers["content-length"]))
    coding = handler.headers.get("content-encoding")
    body = {"gzip": gzip.decompress, "deflate": zlib.decompress}.get(coding or "", bytes)(raw)
    if handler.headers["content-type"] == "application/x-protobuf":
        message = MessageToDict(ExportLogsServiceRequest.FromString(body))
    else:
        message = json.loads(body)
    headers = {name.lower(): value for name, value in handler.headers.items()}
    return Request(ids_of(message), len(body), headers, handler.path, message)


def records_of(message: Any) -> list[Any]:
    return [
        record
        for resource in message["resourceLogs"]
        for scope in resource["scopeLogs"]
        for record in scope["logRecords"]
    ]


def ids_of(message: Any) -> list[str]:
    return [
        attribute["value"]["stringValue"]
        for record in records_of(message)
        for attribute in record["attributes"]
        if attribute["key"] == "audit.record.id"
    ]


@contextmanager
def serving(behave: Behave | None = None, *, port: int = 0, tls: Any = None) -> Iterator[Receiver]:
    """A receiver; without instructions it accepts everything."""
    receiver = Receiver(behave or (lambda request: Reply()))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections are kept alive
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            request = request_of(self)
            with receiver.lock:
                receiver.requests.append(request)
            reply = receiver.behave(request)
            if reply.status == 200:
                with receiver.lock:
                    receiver.acknowledged += request.ids
            reply.send(self)

        def log_message(self, *args: Any) -> None:
            """Not to the test's output."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: Any) -> None:
            """Its clients hang up, as they should."""

    with Server(("127.0.0.1", port), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        receiver.server = server
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.gone.set()
            server.shutdown()
            thread.join()
