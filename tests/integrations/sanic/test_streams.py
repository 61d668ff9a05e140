"""Streams in Sanic's own server, and what goes on after the response."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from sanic import Request, Sanic
from sanic.response import HTTPResponse, ResponseStream, empty

from tests.integrations.checks import check_events
from tests.integrations.expectations import denied, validated
from tests.integrations.sanic.server import ROUTE, client, sanic_server
from tests.integrations.servers import PATIENCE
from tests.integrations.steps import verify
from tests.support import Trail, mint


def test_stream(served: Any, trail: Trail) -> None:
    early, late = mint(), mint(jti="token-2")

    async def handler(request: Request, item: int) -> None:
        verify(early)
        response = await request.respond(status=202)
        assert trail.names == []
        await response.send("first")
        assert trail.names == ["jwt.validated"]
        verify(early)
        verify(late)
        assert trail.names == ["jwt.validated"] * 2
        await response.send("last")

    assert served(handler, validated(), validated(**{"jwt.jti": "token-2"}), status=202) == b"firstlast"


def test_stream_by_a_function(served: Any) -> None:
    token = mint()

    async def handler(request: Request, item: int) -> ResponseStream:
        async def stream(response: Any) -> None:
            verify(token)
            await response.write("all")

        return ResponseStream(stream, status=403)

    assert served(handler, denied(), status=403) == b"all"


def test_stream_sent_from_elsewhere(app: Sanic, served: Any) -> None:
    """By a task that was there before the request: its context knows nothing of it."""
    token = mint()

    @app.after_server_start
    async def start(app: Sanic) -> None:
        app.ctx.queue = asyncio.Queue()
        app.ctx.task = asyncio.create_task(broadcast(app.ctx.queue))

    async def broadcast(queue: Any) -> None:
        response, sent = await queue.get()
        await response.send("news")
        sent.set()

    async def handler(request: Request, item: int) -> None:
        verify(token)
        response, sent = await request.respond(status=403), asyncio.Event()
        await app.ctx.queue.put((response, sent))
        await sent.wait()
        await response.eof()

    assert served(handler, denied(), status=403) == b"news"


def test_exception_in_a_stream_changes_nothing(served: Any) -> None:
    token = mint()

    async def handler(request: Request, item: int) -> None:
        verify(token)
        response = await request.respond()
        await response.send("first")
        await response.eof()
        raise ArithmeticError

    assert served(handler, validated(), status=200) == b"first"


def test_task_that_goes_on(app: Sanic, trail: Trail) -> None:
    early, late = mint(), mint(jti="token-2")
    answered, done = threading.Event(), threading.Event()

    async def task() -> None:
        await asyncio.to_thread(answered.wait, PATIENCE)
        verify(early)
        verify(late)
        done.set()

    async def handler(request: Request, item: int) -> HTTPResponse:
        verify(early)
        request.app.ctx.task = asyncio.create_task(task())
        return empty()

    app.add_route(handler, ROUTE)
    trail.clear()
    with sanic_server(app) as port, client(port) as get:
        assert get().status == 204
        assert get(path="/nowhere").status == 404
        answered.set()
        assert done.wait(PATIENCE)
    check_events(trail, [validated(), validated(**{"jwt.jti": "token-2"})], route=ROUTE, status=204)
