"""FastAPI applications for the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from fastapi import APIRouter, FastAPI, Header, Response

from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from tests.integrations.runs import Run, finished

# FastAPI has telemetry of its own since 0.165.
TELEMETRY = ("none", "contrib", "builtin") if find_spec("fastapi.telemetry") else ("none", "contrib")
SILENT = {"tracing": False, "metrics": False, "logs": False}


def new(telemetry: str, **options: Any) -> FastAPI:
    """An application; with contrib's instrumentation the built-in telemetry steps aside by itself."""
    return FastAPI(openapi_url=None, telemetry=SILENT if telemetry == "none" else None, **options)


@contextmanager
def instrumented(app: FastAPI, telemetry: str) -> Iterator[FastAPI]:
    """``app``, with contrib's instrumentation if that is the telemetry."""
    if telemetry != "contrib":
        yield app
        return
    FastAPIInstrumentor.instrument_app(app)
    try:
        yield app
    finally:
        FastAPIInstrumentor.uninstrument_app(app)


@contextmanager
def make(run: Run, kind: str, telemetry: str) -> Iterator[FastAPI]:
    app, router = new(telemetry), APIRouter()

    def endpoint(item: int, x_tokens: str = Header(default="")) -> Response:
        return Response(status_code=run(x_tokens.split()))

    async def async_endpoint(item: int, x_tokens: str = Header(default="")) -> Response:
        return Response(status_code=await finished(run(x_tokens.split())))

    router.add_api_route("/{item}", async_endpoint if kind == "async" else endpoint)
    app.include_router(router, prefix="/items")
    with instrumented(app, telemetry):
        yield app
