"""Sanic's own server on the loopback interface, with an application that is thrown away afterwards."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context
from http.client import HTTPConnection
from typing import Any

from sanic import Request, Sanic
from sanic.response import HTTPResponse, empty

from tests.integrations.drivers import AGENT, CLIENT, PATH, Answer
from tests.integrations.servers import PATIENCE, server_in_a_loop
from tests.integrations.steps import verify

ROUTE = "/items/<item:int>"


@contextmanager
def sanic_server(app: Sanic, context: Context | None = None) -> Iterator[int]:
    """Serve ``app`` as Sanic does in a single process, in this context; gives the port."""

    async def serve(listening: socket.socket, ready: Callable[[], None], stop: asyncio.Event) -> None:
        server = await app.create_server(sock=listening, access_log=False)
        await server.startup()
        await server.before_start()
        await server.after_start()
        ready()
        await stop.wait()
        await server.before_stop()
        for open_connection in tuple(server.connections):
            open_connection.abort()
        await server.close()
        await server.after_stop()

    with server_in_a_loop(serve, context) as port:
        yield port


@contextmanager
def client(port: int) -> Iterator[Callable[..., Answer]]:
    """One connection, kept alive; call it with tokens for the answer to a GET. It came by a proxy from ``CLIENT``."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def get(*tokens: str, path: str = PATH, headers: Mapping[str, str] | None = None) -> Answer:
        given = {"x-tokens": " ".join(tokens), "user-agent": AGENT, "x-forwarded-for": CLIENT, **(headers or {})}
        connection.request("GET", path, headers=given)
        with connection.getresponse() as response:
            return Answer(response.status, response.read())

    try:
        yield get
    finally:
        connection.close()


def looking(token: str, status: int = 200) -> Any:
    """A handler that verifies a token of its own."""

    async def handler(request: Request, item: int) -> HTTPResponse:
        verify(token)
        return empty(status=status)

    return handler
