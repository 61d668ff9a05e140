"""Tornado applications for the tests, each on a server of its own."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from opentelemetry.instrumentation.tornado import TornadoInstrumentor
from tests.integrations.runs import Run, finished
from tests.integrations.servers import own_server
from tests.integrations.steps import verify

RULE, ROUTE = r"/items/([0-9]+)", "/items/{item}"


@contextmanager
def instrumented(telemetry: str) -> Iterator[None]:
    """Requests served within have contrib's instrumentation, if that is the telemetry."""
    if telemetry != "contrib":
        yield
        return
    TornadoInstrumentor().instrument()
    try:
        yield
    finally:
        TornadoInstrumentor().uninstrument()


@asynccontextmanager
async def _served(app: Any, listening: socket.socket) -> AsyncIterator[None]:
    server = HTTPServer(app)
    server.add_socket(listening)
    try:
        yield
    finally:
        server.stop()
        await server.close_all_connections()


@contextmanager
def serving(app: Any, telemetry: str) -> Iterator[int]:
    """Serve an application, or a router; gives the port."""
    with instrumented(telemetry), own_server(partial(_served, app)) as port:
        yield port


@contextmanager
def make(run: Run, kind: str, telemetry: str) -> Iterator[int]:
    class Handler(RequestHandler):
        def tokens(self) -> list[str]:
            return self.request.headers.get("x-tokens", "").split()

    class Item(Handler):
        def get(self, item: str) -> None:
            self.set_status(run(self.tokens()))

    class AsyncItem(Handler):
        async def get(self, item: str) -> None:
            self.set_status(await finished(run(self.tokens())))

    app = Application([(RULE, AsyncItem if kind == "async" else Item)])
    with serving(app, telemetry) as port:
        yield port


def verifying(token: str, **methods: Any) -> type[RequestHandler]:
    """A handler that looks at the token before its method is called, which may be given."""

    def prepare(self: RequestHandler) -> None:
        verify(token)

    def get(self: RequestHandler, *path: str, **named: str) -> None:
        """Served."""

    return type("Item", (RequestHandler,), {"prepare": prepare, "get": get, **methods})
