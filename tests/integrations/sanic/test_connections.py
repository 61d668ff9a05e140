"""Sanic's own server: where a request begins and ends, when all of a connection run in one task."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextvars import copy_context

import pytest
from sanic import Request, Sanic
from sanic.response import HTTPResponse, empty

from opentelemetry.instrumentation.pyjwt import action
from opentelemetry.instrumentation.pyjwt.ledger import current_ledger
from tests.integrations.sanic.server import ROUTE, client, looking, sanic_server
from tests.integrations.servers import PATIENCE, wait_until
from tests.integrations.steps import fails, verify
from tests.support import OTHER_KEY, Trail, mint


def request_line(token: str, path: str = "/items/7", more: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: testserver\r\nX-Tokens: {token}\r\n{more}\r\n".encode()


@pytest.mark.parametrize("started", [False, True])
def test_client_that_goes_away(started: bool, app: Sanic, trail: Trail) -> None:
    """In the middle of its response, or before: then Sanic answers with a 500 that nobody gets."""
    looked, gone = threading.Event(), threading.Event()

    async def handler(request: Request, item: int) -> None:
        verify(request.headers["x-tokens"])
        response = await request.respond(status=403) if started else None
        if response is not None:
            await response.send("first")
        looked.set()
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()

    app.add_route(handler, ROUTE)
    token = mint()
    trail.clear()
    with sanic_server(app) as port:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as one:
            one.sendall(request_line(token))
            assert looked.wait(PATIENCE)
            assert trail.names == (["jwt.denied"] if started else [])
        assert gone.wait(PATIENCE)
        wait_until(lambda: len(trail.names) == 1)
        with client(port) as get:
            assert get(path="/nowhere").status == 404
    (event,) = trail.events
    assert event["event"] == ("jwt.denied" if started else "jwt.validated")
    assert event["http.route"] == ROUTE
    assert event["http.response.status_code"] == (403 if started else 500)


def test_many_requests_on_one_connection(app: Sanic, trail: Trail) -> None:
    """With and without a token in turn: each has its own, and nothing is left when it is over."""
    between: list[object] = []

    async def handler(request: Request, item: int) -> HTTPResponse:
        for token in request.headers["x-tokens"].split():
            fails(verify, token, OTHER_KEY)
            verify(token)
        return empty(status=403 if request.headers["x-tokens"] else 200)

    @app.signal("http.lifecycle.read_head")
    async def read(head: bytes) -> None:
        between.append(current_ledger())

    app.add_route(handler, ROUTE)
    tokens = [mint(jti=f"token-{number}") for number in range(20)]
    trail.clear()
    with sanic_server(app) as port, client(port) as one, client(port) as other:
        for number, token in enumerate(tokens):
            assert (one(token).status, other().status, one().status) == (403, 200, 200)
            assert other(path="/nowhere").status == 404
            assert len(trail.names) == number + 1
    assert [(event["event"], event["jwt.jti"]) for event in trail.events] == [
        ("jwt.denied", f"token-{number}") for number in range(20)
    ]
    assert between == [None] * 80


def test_requests_sent_before_the_first_is_answered(app: Sanic, trail: Trail) -> None:
    async def handler(request: Request, item: int) -> HTTPResponse:
        verify(request.headers["x-tokens"])
        return empty(status=403 if item == 1 else 200)

    app.add_route(handler, ROUTE)
    tokens = [mint(jti=f"token-{number}") for number in range(3)]
    trail.clear()
    with sanic_server(app) as port, socket.create_connection(("127.0.0.1", port), PATIENCE) as one:
        requests = [request_line(token, f"/items/{number}") for number, token in enumerate(tokens[:2])]
        one.sendall(b"".join(requests) + request_line(tokens[2], "/items/2", "Connection: close\r\n"))
        while one.recv(4096):
            pass
    assert [(event["event"], event["jwt.jti"]) for event in trail.events] == [
        ("jwt.validated", "token-0"),
        ("jwt.denied", "token-1"),
        ("jwt.validated", "token-2"),
    ]


def test_request_that_cannot_be_read(app: Sanic, trail: Trail) -> None:
    """Sanic runs its middleware all the same, before there is a request: what is looked at there is told at once."""
    token = mint()

    @app.on_request
    async def authenticate(request: Request) -> None:
        verify(token)

    trail.clear()
    with sanic_server(app) as port, socket.create_connection(("127.0.0.1", port), PATIENCE) as one:
        one.sendall(b"nonsense\r\n\r\n")
        assert one.recv(4096).startswith(b"HTTP/1.1 400 ")
    assert trail.names == ["jwt.validated"]


def test_events_are_out_before_the_first_byte(app: Sanic, trail: Trail) -> None:
    sent: list[list[str]] = []

    @app.signal("http.lifecycle.send")
    async def sending(data: bytes) -> None:
        sent.append(trail.names)

    app.add_route(looking(mint()), ROUTE)
    trail.clear()
    with sanic_server(app) as port, client(port) as get:
        get()
    assert sent == [["jwt.validated"]]


def test_server_started_in_a_piece_of_work_of_its_own(app: Sanic, trail: Trail) -> None:
    """Its requests are not part of that."""
    verified = mint(jti="token-2")

    @app.before_server_start
    async def begin(app: Sanic) -> None:
        verify(verified)

    @app.signal("http.lifecycle.read_head")
    async def read(head: bytes) -> None:
        ledgers.append(current_ledger())

    ledgers: list[object] = []
    app.add_route(looking(mint()), ROUTE)
    trail.clear()
    with action("serve"), sanic_server(app, copy_context()) as port, client(port) as get:
        assert get().status == 200
        assert trail.names == ["jwt.validated"]
    assert ledgers == [None]
    assert [event.get("jwt.action") for event in trail.events] == [None, "serve"]
