"""Real servers on the loopback interface, for as long as a test needs them."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from contextvars import Context
from http.client import HTTPConnection
from typing import Any

import hypercorn.asyncio
import uvicorn
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.integrations.drivers import PATIENCE

BACKLOG = 256  # so many clients may come at once


@contextmanager
def uvicorn_server(app: Any) -> Iterator[int]:
    """Serve an ASGI application; gives the port."""
    # asyncio sends at once what it sends, if it is told that this is TCP.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, interface="asgi3", lifespan="off", log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            wait_until(lambda: server.started)
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive()


@contextmanager
def server_in_a_loop(
    serve: Callable[[socket.socket, Callable[[], None], asyncio.Event], Any], context: Context | None = None
) -> Iterator[int]:
    """Run ``serve`` in an event loop and a thread of their own; gives the port.

    Args:
        serve: given the socket to listen on, what to call once it does, and an event that tells it to end.
        context: to run it in; unset, an empty one.
    """
    ready = threading.Event()
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        running.append((asyncio.get_running_loop(), asyncio.Event()))
        await serve(listening, ready.set, running[0][1])

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        thread = threading.Thread(target=(context or Context()).run, args=(asyncio.run, main()))
        thread.start()
        try:
            assert ready.wait(PATIENCE)
            yield port
        finally:
            loop, stop = running[0]
            loop.call_soon_threadsafe(stop.set)
            thread.join(PATIENCE)
            assert not thread.is_alive()


@contextmanager
def hypercorn_server(app: Any) -> Iterator[int]:
    """Serve an ASGI application with Hypercorn; gives the port."""

    async def serve(listening: socket.socket, ready: Callable[[], None], stop: asyncio.Event) -> None:
        config = hypercorn.Config()
        config.bind = [f"fd://{os.dup(listening.fileno())}"]
        config.errorlog = None
        listening.listen()
        ready()
        await hypercorn.asyncio.serve(app, config, shutdown_trigger=stop.wait)

    with server_in_a_loop(serve) as port:
        yield port


class _KeepAlive(WSGIRequestHandler):
    """One thread a connection, with as many requests in it as the client likes."""

    protocol_version = "HTTP/1.1"

    def log(self, *args: object) -> None:
        """Quiet."""


@contextmanager
def werkzeug_server(app: Any) -> Iterator[int]:
    """Serve a WSGI application, a thread for each connection; gives the port."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_KeepAlive)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join(PATIENCE)
        server.server_close()
        assert not thread.is_alive()


@contextmanager
def own_server(serving: Callable[[socket.socket], AbstractAsyncContextManager[Any]]) -> Iterator[int]:
    """Run a framework's own server in an event loop of its own; gives the port.

    Args:
        serving: serves on a socket that listens, while the context it gives lasts.
    """
    started: Future[Callable[[], object]] = Future()

    async def serve() -> None:
        stop = asyncio.Event()
        try:
            async with serving(listening):
                loop = asyncio.get_running_loop()
                started.set_result(lambda: loop.call_soon_threadsafe(stop.set))
                await stop.wait()
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(BACKLOG)
        listening.setblocking(False)
        thread = threading.Thread(target=asyncio.run, args=(serve(),))
        thread.start()
        stop = started.result(PATIENCE)
        try:
            yield listening.getsockname()[1]
        finally:
            stop()
            thread.join(PATIENCE)
            assert not thread.is_alive()


SERVERS: dict[str, Callable[[Any], Any]] = {"asgi": uvicorn_server, "wsgi": werkzeug_server}


@contextmanager
def connection(port: int) -> Iterator[Callable[..., int]]:
    """One connection, kept alive; call it with headers for the status of a GET."""
    client = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def get(**headers: str) -> int:
        client.request("GET", "/items/7", headers={name.replace("_", "-"): value for name, value in headers.items()})
        with client.getresponse() as response:
            response.read()
            return response.status

    try:
        yield get
    finally:
        client.close()


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.005)
