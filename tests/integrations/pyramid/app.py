"""Pyramid applications for the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response

from opentelemetry.instrumentation.pyramid import PyramidInstrumentor
from tests.integrations.runs import Run

ROUTE = "/items/{item}"


def configured(telemetry: str, **options: Any) -> Configurator:
    """A configuration, with contrib's tween if that is the telemetry, and the route to the item."""
    config = Configurator(**options)
    if telemetry == "contrib":
        PyramidInstrumentor.instrument_config(config)
    config.add_route("item", ROUTE)
    return config


@contextmanager
def make(run: Run, kind: str, telemetry: str) -> Iterator[Any]:
    def endpoint(request: Request) -> Response:
        return Response(status=run(request.headers.get("x-tokens", "").split()))

    config = configured(telemetry)
    config.add_view(endpoint, route_name="item")
    yield config.make_wsgi_app()
