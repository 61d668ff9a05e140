"""Starlette applications for the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opentelemetry.instrumentation.starlette import StarletteInstrumentor
from tests.integrations.runs import Run, finished


@contextmanager
def instrumented(app: Starlette, telemetry: str) -> Iterator[Starlette]:
    """``app``, with contrib's instrumentation if that is the telemetry."""
    if telemetry != "contrib":
        yield app
        return
    StarletteInstrumentor.instrument_app(app)
    try:
        yield app
    finally:
        StarletteInstrumentor.uninstrument_app(app)


@contextmanager
def make(run: Run, kind: str, telemetry: str) -> Iterator[Starlette]:
    def tokens(request: Request) -> list[str]:
        return request.headers.get("x-tokens", "").split()

    def endpoint(request: Request) -> Response:
        return Response(status_code=run(tokens(request)))

    async def async_endpoint(request: Request) -> Response:
        return Response(status_code=await finished(run(tokens(request))))

    route = Route("/items/{item}", async_endpoint if kind == "async" else endpoint)
    with instrumented(Starlette(routes=[route]), telemetry) as app:
        yield app
