"""Configurations of Pyramid without telemetry and with contrib's, and how one is served."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pyramid.config import Configurator

from tests.integrations.checks import check_events, check_no_span, check_span
from tests.integrations.drivers import Answer, wsgi
from tests.integrations.pyramid.app import ROUTE, configured
from tests.support import Trail


@pytest.fixture(params=["none", "contrib"])
def telemetry(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def config(telemetry: str, trail: Trail) -> Configurator:
    """Instrumented before there are tweens of the application's, as is usual."""
    return configured(telemetry)


@pytest.fixture
def served(telemetry: str, trail: Trail) -> Callable[..., Answer]:
    """Call it with a configuration and what it must say; it serves one request and checks."""

    def serve(
        config: Configurator,
        *expected: dict[str, Any],
        status: int,
        route: str | None = ROUTE,
        path: str = "/items/7",
        traced: bool = True,
    ) -> Answer:
        app = config.make_wsgi_app()
        trail.clear()
        answer = wsgi(app, path)
        assert answer.status == status, answer.error
        check_events(trail, expected, route=route, status=status)
        if telemetry == "none" or not traced:
            check_no_span(trail)
        else:
            check_span(trail, -1)
            assert trail.server_spans[0].attributes.get("http.route") == route
        return answer

    return serve
