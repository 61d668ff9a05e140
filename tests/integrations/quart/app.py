"""Quart applications for the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from quart import Quart, request

from tests.integrations.bare.app import OTelASGI
from tests.integrations.runs import Run, finished


@contextmanager
def instrumented(app: Quart, telemetry: str) -> Iterator[Quart]:
    """``app``, with contrib's ASGI middleware if that is the telemetry: Quart has no instrumentation of its own."""
    if telemetry == "contrib":
        app.asgi_app = OTelASGI(app.asgi_app)  # type: ignore[method-assign]
    yield app


@contextmanager
def make(run: Run, kind: str, telemetry: str) -> Iterator[Quart]:
    app = Quart(__name__)

    def tokens() -> list[str]:
        return request.headers.get("x-tokens", "").split()

    def endpoint(item: int) -> tuple[str, int]:
        return "", run(tokens())

    async def async_endpoint(item: int) -> tuple[str, int]:
        return "", await finished(run(tokens()))

    app.add_url_rule("/items/<int:item>", "item", async_endpoint if kind == "async" else endpoint)
    with instrumented(app, telemetry):
        yield app
