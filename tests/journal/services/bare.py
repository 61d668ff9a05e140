"""A service on the standard library's WSGI server: many threads in a process, two forks of it, and one spawned.

    python -m tests.journal.services.bare LISTENER ROLE

Args:
    LISTENER: descriptor of the socket that all of them listen on.
    ROLE: ``leader``, or of the spawned one ``worker``.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from opentelemetry.instrumentation.pyjwt import AuditWSGIMiddleware, PyJWTInstrumentor
from tests.journal.services import tokens


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    if environ["PATH_INFO"] == "/login":
        status, body = 200, tokens.login(environ["QUERY_STRING"])
    else:
        status, body = tokens.orders(environ["HTTP_AUTHORIZATION"])
    start_response(f"{status} {HTTPStatus(status).phrase}", [("content-length", str(len(body)))])
    return [body.encode()]


class Handler(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Not to the test's output."""


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, *args: Any) -> None:
        """Its clients hang up, as they should."""


def serve(listener: socket.socket) -> None:
    with Server(("127.0.0.1", 0), Handler, bind_and_activate=False) as server:
        server.socket.close()
        server.socket = listener
        server.server_name, server.server_port = "service", listener.getsockname()[1]
        server.setup_environ()
        server.set_app(AuditWSGIMiddleware(application))
        server.serve_forever()


def main() -> None:
    descriptor, role = sys.argv[1:]
    PyJWTInstrumentor().instrument()
    if role == "leader":
        if "USED_BEFORE" in os.environ:
            tokens.login(str(uuid.uuid4()))
        for _ in range(2):
            if os.fork() == 0:
                break
        else:
            command = [sys.executable, "-m", "tests.journal.services.bare", descriptor, "worker"]
            subprocess.Popen(command, pass_fds=[int(descriptor)])
    serve(socket.socket(fileno=int(descriptor)))


if __name__ == "__main__":
    main()
