"""What tests of aiohttp share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.integrations.aiohttp.app import ROUTE, serving
from tests.integrations.checks import check_events, check_no_span, check_span
from tests.integrations.drivers import PATH, Answer, http
from tests.support import Trail


@pytest.fixture(params=["none", "contrib"])
def telemetry(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def served(telemetry: str, trail: Trail) -> Callable[..., Answer]:
    """Call it with what makes an application, and with what must be said; it serves one request and checks."""

    def serve(
        make: Callable[[], Any],
        *expected: dict[str, Any],
        status: int,
        route: str | None = ROUTE,
        path: str = PATH,
        call: Callable[..., Answer] = http,
        traced: bool = True,
    ) -> Answer:
        with serving(make, telemetry) as port:
            trail.clear()
            answer = call(port, path)
        assert answer.status == status, answer.error
        check_events(trail, expected, route=route, status=status or None)
        if telemetry == "none" or not traced:
            check_no_span(trail)
        else:
            check_span(trail, -1 if expected else None)
        return answer

    return serve
