"""One request to a FastAPI application, under each kind of telemetry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from tests.integrations.checks import check_events, check_no_span, check_span
from tests.integrations.drivers import PATH, asgi_async
from tests.integrations.fastapi.app import TELEMETRY, instrumented, new
from tests.integrations.fastapi.scopes import ROUTE
from tests.support import Trail, mint


@pytest.fixture(params=TELEMETRY)
def telemetry(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def app(telemetry: str) -> FastAPI:
    return new(telemetry)


@pytest.fixture
def served(app: FastAPI, telemetry: str, trail: Trail) -> Callable[..., None]:
    """Call it with what the application must say of a token; it makes one request, or one handshake, and checks."""

    def serve(
        *expected: dict[str, Any],
        status: int,
        path: str = PATH,
        route: str = ROUTE,
        kind: str = "http",
        **claims: Any,
    ) -> None:
        token = mint(**claims)
        with instrumented(app, telemetry):
            trail.clear()
            answer = asyncio.run(asgi_async(app, path, {"x-tokens": token}, kind=kind))
        assert answer.status == status, answer.error
        check_events(trail, expected, route=route, status=status)
        if telemetry == "none":
            check_no_span(trail)
        else:
            check_span(trail, -1)

    return serve
