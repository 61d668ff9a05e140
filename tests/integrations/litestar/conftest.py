"""One request to a Litestar application, under each kind of telemetry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.integrations.checks import check_events, check_no_span, check_span
from tests.integrations.drivers import PATH, Answer, asgi_async
from tests.integrations.litestar.app import ROUTE, new
from tests.support import Trail, mint


@pytest.fixture(params=["none", "contrib", "builtin"])
def telemetry(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def served(telemetry: str, trail: Trail) -> Callable[..., Answer]:
    """Call it with handlers and what must be said of a token; it makes one request, or one handshake, and checks."""

    def serve(
        handlers: Any,
        *expected: dict[str, Any],
        status: int,
        path: str = PATH,
        route: str | None = ROUTE,
        kind: str = "http",
        around: Callable[[Any], Any] = lambda app: app,
        claims: dict[str, Any] = {},  # noqa: B006 - never changed
        **options: Any,
    ) -> Answer:
        token = mint(**claims)
        app = around(new(telemetry, *(handlers if isinstance(handlers, list) else [handlers]), **options))
        trail.clear()
        answer = asyncio.run(asgi_async(app, path, {"x-tokens": token}, kind=kind))
        assert answer.status == status, answer.error
        check_events(trail, expected, route=route, status=status)
        if telemetry == "none":
            check_no_span(trail)
        else:
            check_span(trail, -1)
        return answer

    return serve
