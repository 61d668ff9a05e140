"""Flask applications for the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask, request

from opentelemetry.instrumentation.flask import FlaskInstrumentor
from tests.integrations.runs import Run, finished


@contextmanager
def instrumented(app: Flask, telemetry: str) -> Iterator[Flask]:
    """``app``, with contrib's instrumentation if that is the telemetry."""
    if telemetry != "contrib":
        yield app
        return
    FlaskInstrumentor.instrument_app(app)
    try:
        yield app
    finally:
        FlaskInstrumentor.uninstrument_app(app)


@contextmanager
def make(run: Run, kind: str, telemetry: str) -> Iterator[Flask]:
    app = Flask(__name__)

    def tokens() -> list[str]:
        return request.headers.get("x-tokens", "").split()

    def endpoint(item: int) -> tuple[str, int]:
        return "", run(tokens())

    async def async_endpoint(item: int) -> tuple[str, int]:
        return "", await finished(run(tokens()))

    app.add_url_rule("/items/<int:item>", "item", async_endpoint if kind == "async" else endpoint)
    with instrumented(app, telemetry):
        yield app
