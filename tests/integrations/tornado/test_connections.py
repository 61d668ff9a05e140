"""Tornado: connections that are kept, shared, taken over or no network's; and executors."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_unix_socket
from tornado.web import Application, RequestHandler, stream_request_body

from tests.integrations.checks import check_events
from tests.integrations.drivers import PATIENCE, http
from tests.integrations.expectations import denied, validated
from tests.integrations.servers import connection, own_server
from tests.integrations.steps import verify
from tests.integrations.tornado.app import ROUTE, RULE, serving, verifying
from tests.support import Trail, mint


def test_connection_that_is_taken_over_has_no_answer(trail: Trail) -> None:
    token = mint()

    class Item(RequestHandler):
        def get(self, item: str) -> None:
            verify(token)
            self.detach().close()

    with serving(Application([(RULE, Item)]), "none") as port:
        trail.clear()
        assert http(port).status == 0
    check_events(trail, [validated()], route=ROUTE, status=None)


def test_response_that_another_request_begins(telemetry: str, trail: Trail) -> None:
    """As in a chat: who speaks writes to all who listen. Each event has the status of its own request."""
    listens, speaks = mint(), mint(jti="token-2")
    listening: list[Item] = []

    class Item(RequestHandler):
        async def get(self, item: str) -> None:
            if not listening:
                verify(listens)
                listening.append(self)
                self.spoken = asyncio.Event()
                here.set()
                await self.spoken.wait()
                return
            verify(speaks)
            listening[0].set_status(401)
            listening[0].write("word")
            listening[0].flush()
            listening[0].spoken.set()
            self.set_status(403)

    here = threading.Event()
    with serving(Application([(RULE, Item)]), telemetry) as port, ThreadPoolExecutor(1) as other:
        trail.clear()
        first = other.submit(http, port)
        assert here.wait(PATIENCE)
        assert http(port).status == 403
        assert first.result(PATIENCE).status == 401
    told = [(event["event"], event["jwt.jti"], event["http.response.status_code"]) for event in trail.events]
    assert told == [("jwt.rejected", "token-1", 401), ("jwt.denied", "token-2", 403)]


def test_body_that_is_streamed(served: Any) -> None:
    token = mint()

    @stream_request_body
    class Item(RequestHandler):
        def prepare(self) -> None:
            verify(token)

        def data_received(self, chunk: bytes) -> None:
            """There is none."""

        def get(self, item: str) -> None:
            verify(token)
            self.set_status(403)

    served(Item, denied(), status=403)


def test_connection_that_is_kept_is_of_no_request(telemetry: str, trail: Trail) -> None:
    """A handler is made in the task of its connection, before its request begins."""
    inside, outside = mint(), mint(jti="outside")

    class Item(RequestHandler):
        def initialize(self) -> None:
            verify(outside)

        def get(self, item: str) -> None:
            verify(inside)
            self.set_status(403)

    with serving(Application([(RULE, Item)]), telemetry) as port, connection(port) as get:
        trail.clear()
        assert [get(), get()] == [403, 403]
    told = [(event["event"], event["jwt.jti"], event.get("http.route")) for event in trail.events]
    assert told == [("jwt.validated", "outside", None), ("jwt.denied", "token-1", ROUTE)] * 2


def test_executor_loses_the_request(telemetry: str, trail: Trail) -> None:
    """Tornado's ``run_in_executor`` takes no context along, ``to_thread`` does."""
    lost, kept = mint(), mint(jti="token-2")

    class Item(RequestHandler):
        async def get(self, item: str) -> None:
            await IOLoop.current().run_in_executor(None, verify, lost)
            await asyncio.to_thread(verify, kept)
            self.set_status(403)

    with serving(Application([(RULE, Item)]), telemetry) as port:
        trail.clear()
        assert http(port).status == 403
    outside, inside = trail.events
    assert (outside["event"], outside["jwt.jti"], outside["trace_id"]) == ("jwt.validated", "token-1", 0)
    assert [name for name in outside if name.startswith(("http.", "client."))] == []
    assert (inside["event"], inside["jwt.jti"], inside["http.route"]) == ("jwt.denied", "token-2", ROUTE)


def test_client_at_a_unix_socket_has_no_address(trail: Trail, tmp_path: Path) -> None:
    token, path = mint(), str(tmp_path / "socket")
    app = Application([(RULE, verifying(token))])

    @asynccontextmanager
    async def served(unused: socket.socket) -> AsyncIterator[None]:
        server = HTTPServer(app)
        server.add_socket(bind_unix_socket(path))
        yield
        server.stop()

    with own_server(served), socket.socket(socket.AF_UNIX) as client:
        trail.clear()
        client.connect(path)
        client.sendall(b"GET /items/7 HTTP/1.1\r\nHost: unix\r\nConnection: close\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 200"
    assert [event.get("client.address") for event in trail.events] == [None]
