"""What tests of Tornado share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tornado.web import Application

from tests.integrations.checks import check_events, check_no_span, check_span
from tests.integrations.drivers import PATH, Answer, http
from tests.integrations.tornado.app import ROUTE, RULE, serving
from tests.support import Trail


@pytest.fixture(params=["none", "contrib"])
def telemetry(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def served(telemetry: str, trail: Trail) -> Callable[..., Answer]:
    """Call it with a handler or an application, and with what must be said; it serves one request and checks."""

    def serve(
        app: Any,
        *expected: dict[str, Any],
        status: int,
        route: str | None = ROUTE,
        path: str = PATH,
        call: Callable[..., Answer] = http,
    ) -> Answer:
        with serving(Application([(RULE, app)]) if isinstance(app, type) else app, telemetry) as port:
            trail.clear()
            answer = call(port, path)
        assert answer.status == status, answer.error
        check_events(trail, expected, route=route, status=status)
        if telemetry == "none":
            check_no_span(trail)
        else:
            check_span(trail, -1)
        return answer

    return serve
