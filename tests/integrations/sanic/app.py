"""Sanic applications for the tests, as ASGI applications."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sanic import Request, Sanic
from sanic.response import HTTPResponse, empty

from tests.integrations.bare.app import OTelASGI
from tests.integrations.runs import Run, finished


@contextmanager
def application(name: str = "audited") -> Iterator[Sanic]:
    """A new application, forgotten afterwards by Sanic's registry."""
    Sanic.test_mode = True  # what Sanic compiles anew for an application, it can compile for the next
    app = Sanic(name, configure_logging=False)
    try:
        yield app
    finally:
        Sanic.unregister_app(app)
        Sanic.test_mode = False


@contextmanager
def instrumented(app: Sanic, telemetry: str) -> Iterator[Any]:
    """``app``, started, in contrib's ASGI middleware if that is the telemetry."""
    asyncio.run(_start(app))
    yield OTelASGI(app) if telemetry == "contrib" else app


@contextmanager
def make(run: Run, kind: str, telemetry: str) -> Iterator[Any]:
    def tokens(request: Request) -> list[str]:
        return request.headers.get("x-tokens", "").split()

    def endpoint(request: Request, item: int) -> HTTPResponse:
        return empty(status=run(tokens(request)))

    async def async_endpoint(request: Request, item: int) -> HTTPResponse:
        return empty(status=await finished(run(tokens(request))))

    with application() as app:
        app.add_route(async_endpoint if kind == "async" else endpoint, "/items/<item:int>")
        with instrumented(app, telemetry) as served:
            yield served


async def _start(app: Sanic) -> None:
    """As a server would by ASGI's lifespan, of which the applications in these tests need the first half."""
    started: list[str] = []

    async def receive() -> dict[str, str]:
        if started:
            raise EOFError
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        started.append(message["type"])

    with suppress(EOFError):
        await app({"type": "lifespan"}, receive, send)
    assert started == ["lifespan.startup.complete"]
