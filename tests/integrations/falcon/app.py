"""Falcon applications for the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import falcon
import falcon.asgi

from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.falcon import FalconInstrumentor
from tests.integrations.runs import Run, finished

ROUTE = "/items/{item:int}"


@contextmanager
def wsgi_app(telemetry: str, **options: Any) -> Iterator[Any]:
    """A WSGI application, of contrib's making if that is the telemetry."""
    if telemetry != "contrib":
        yield falcon.App(**options)
        return
    FalconInstrumentor().instrument()
    try:
        yield falcon.App(**options)
    finally:
        FalconInstrumentor().uninstrument()


def traced(app: Any, telemetry: str) -> Any:
    """An ASGI application, for which contrib has its general middleware."""
    return OpenTelemetryMiddleware(app) if telemetry == "contrib" else app


def tokens(req: Any) -> list[str]:
    return (req.get_header("x-tokens") or "").split()


@contextmanager
def make_wsgi(run: Run, kind: str, telemetry: str) -> Iterator[Any]:
    class Items:
        def on_get(self, req: Any, resp: Any, item: int) -> None:
            resp.status = falcon.code_to_http_status(run(tokens(req)))

    with wsgi_app(telemetry) as app:
        app.add_route(ROUTE, Items())
        yield app


@contextmanager
def make_asgi(run: Run, kind: str, telemetry: str) -> Iterator[Any]:
    class Items:
        async def on_get(self, req: Any, resp: Any, item: int) -> None:
            resp.status = falcon.code_to_http_status(await finished(run(tokens(req))))

    app = falcon.asgi.App()
    app.add_route(ROUTE, Items())
    yield traced(app, telemetry)
