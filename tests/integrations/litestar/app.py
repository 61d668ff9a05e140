"""Litestar applications for the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from litestar import Litestar, Request, Response, get
from litestar.connection import ASGIConnection

from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from tests.integrations.runs import Run, finished

try:
    from litestar.plugins.opentelemetry import OpenTelemetryPlugin
except ImportError:  # older releases have it there
    from litestar.contrib.opentelemetry import OpenTelemetryPlugin

ROUTE = "/items/{item}"


def token_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    return connection.headers["x-tokens"]


def new(telemetry: str, *handlers: Any, **options: Any) -> Any:
    """An application; with its own plugin for telemetry, within OpenTelemetry's middleware, or without either."""
    plugins = [OpenTelemetryPlugin()] if telemetry == "builtin" else []
    app = Litestar(handlers, plugins=plugins, openapi_config=None, **options)
    return OpenTelemetryMiddleware(app) if telemetry == "contrib" else app


@contextmanager
def make(run: Run, kind: str, telemetry: str) -> Iterator[Any]:
    def tokens(request: Request[Any, Any, Any]) -> list[str]:
        return request.headers.get("x-tokens", "").split()

    @get("/items/{item:int}", sync_to_thread=True)
    def endpoint(request: Request[Any, Any, Any]) -> Response[None]:
        return Response(None, status_code=run(tokens(request)))

    @get("/items/{item:int}")
    async def async_endpoint(request: Request[Any, Any, Any]) -> Response[None]:
        return Response(None, status_code=await finished(run(tokens(request))))

    yield new(telemetry, async_endpoint if kind == "async" else endpoint)
