"""The plugin behind a proxy, and an application in Sanic's own server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sanic import Sanic

from tests.integrations.checks import check_events, check_no_span
from tests.integrations.sanic.app import application
from tests.integrations.sanic.server import ROUTE, client, sanic_server
from tests.support import Trail


@pytest.fixture(autouse=True)
def loopback_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def trail(instrument: Callable[..., Trail]) -> Trail:
    """The plugin switched on, which believes what the loopback interface says of clients."""
    return instrument(trusted_proxies="127.0.0.0/8")


@pytest.fixture
def app() -> Iterator[Sanic]:
    with application() as app:
        yield app


@pytest.fixture
def served(app: Sanic, trail: Trail) -> Callable[..., bytes]:
    """Call it with a handler and what it must say; it makes one request, and another that nothing is said of."""

    def serve(
        handler: Any, *expected: dict[str, Any], status: int, route: str | None = ROUTE, path: str = "/items/7"
    ) -> bytes:
        app.add_route(handler, ROUTE)
        with sanic_server(app) as port, client(port) as get:
            trail.clear()
            answer = get(path=path)
            check_events(trail, expected, route=route, status=status)
            get(path="/nowhere")
        assert answer.status == status
        check_events(trail, expected, route=route, status=status)
        check_no_span(trail)
        return answer.body

    return serve
