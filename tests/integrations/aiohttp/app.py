"""aiohttp applications for the tests, each on a server of its own."""

from __future__ import annotations

import socket
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

from aiohttp import web

from opentelemetry.instrumentation.aiohttp_server import AioHttpServerInstrumentor
from tests.integrations.runs import Run, finished
from tests.integrations.servers import BACKLOG, own_server
from tests.integrations.steps import verify

ROUTE = "/items/{item}"
Handler = Callable[[web.Request], Any]


@contextmanager
def instrumented(telemetry: str) -> Iterator[None]:
    """Applications made within have contrib's instrumentation, if that is the telemetry."""
    if telemetry != "contrib":
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it derives a class from Application
        AioHttpServerInstrumentor().instrument()
    try:
        yield
    finally:
        AioHttpServerInstrumentor().uninstrument()


@asynccontextmanager
async def _served(make: Callable[[], Any], listening: socket.socket) -> AsyncIterator[None]:
    made = make()
    runner = web.AppRunner(made, access_log=None) if isinstance(made, web.Application) else web.ServerRunner(made)
    await runner.setup()
    await web.SockSite(runner, listening, backlog=BACKLOG).start()
    try:
        yield
    finally:
        await runner.cleanup()


@contextmanager
def serving(make: Callable[[], Any], telemetry: str) -> Iterator[int]:
    """Serve the application, or the low-level server, that ``make`` makes in the event loop; gives the port."""
    with instrumented(telemetry), own_server(partial(_served, make)) as port:
        yield port


def routed(endpoint: Handler, **options: Any) -> web.Application:
    """An application of one endpoint."""
    app = web.Application(**options)
    app.router.add_get(ROUTE, endpoint)
    return app


async def never(request: web.Request) -> web.Response:
    """An endpoint behind what refuses."""
    raise AssertionError("it was refused before")


def verifying(token: str, status: int = 0) -> Any:
    """A middleware that looks at the token on the way in and on the way out, and may refuse."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        verify(token)
        if status:
            return web.Response(status=status)
        try:
            return await handler(request)
        finally:
            verify(token)

    return middleware


@contextmanager
def make(run: Run, kind: str, telemetry: str) -> Iterator[int]:
    async def endpoint(request: web.Request) -> web.Response:
        return web.Response(status=await finished(run(request.headers.get("x-tokens", "").split())))

    with serving(lambda: routed(endpoint), telemetry) as port:
        yield port
