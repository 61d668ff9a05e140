"""Sanic's WebSockets: decided when the handshake is accepted or refused; what comes later is emitted at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sanic import Request, Sanic
from sanic.exceptions import Forbidden
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.integrations.checks import check_events, check_no_span, check_span
from tests.integrations.drivers import AGENT, CLIENT, PATH, asgi_async
from tests.integrations.expectations import ALL, denied, rejected, validated
from tests.integrations.sanic.app import instrumented
from tests.integrations.sanic.server import ROUTE, client, sanic_server
from tests.integrations.steps import verify
from tests.support import Trail, mint

Shake = Callable[[Sanic, Trail], int]


def by_its_own_server(app: Sanic, trail: Trail) -> int:
    """The status of the handshake; a message goes to and fro."""
    with sanic_server(app) as port:
        trail.clear()
        headers = {"x-forwarded-for": CLIENT}
        try:
            with connect(f"ws://127.0.0.1:{port}{PATH}", additional_headers=headers, user_agent_header=AGENT) as one:
                one.send("hello")
                assert one.recv() == "hello"
        except InvalidStatus as refused:
            return refused.response.status_code
    return 101


def by_asgi(app: Sanic, trail: Trail, telemetry: str = "none") -> int:
    with instrumented(app, telemetry) as served:
        trail.clear()
        return asyncio.run(asgi_async(served, PATH, kind="websocket")).status


def by_asgi_traced(app: Sanic, trail: Trail) -> int:
    return by_asgi(app, trail, "contrib")


@pytest.fixture(params=[by_its_own_server, by_asgi, by_asgi_traced])
def shake(request: pytest.FixtureRequest) -> Shake:
    return request.param


def check(trail: Trail, shake: Shake, *expected: dict[str, Any], status: int) -> None:
    check_events(trail, expected, route=ROUTE, status=status)
    if shake is by_asgi_traced:
        check_span(trail, 0)
    else:
        check_no_span(trail)


async def echo(websocket: Any) -> None:
    async for message in websocket:
        await websocket.send(message)


def test_accepted(shake: Shake, app: Sanic, trail: Trail) -> None:
    """Sanic has accepted it before the handler runs; middleware comes before that."""
    token = mint()

    @app.on_request
    async def authenticate(request: Request) -> None:
        verify(token)
        assert trail.names == []

    @app.websocket(ROUTE)
    async def endpoint(request: Request, websocket: Any, item: int) -> None:
        assert trail.names == ["jwt.validated"]
        verify(token)
        await echo(websocket)

    assert shake(app, trail) == 101
    check(trail, shake, validated(), status=101)


def test_token_looked_at_by_the_handler_is_judged_at_once(shake: Shake, app: Sanic, trail: Trail) -> None:
    token = mint()
    seen: list[list[str]] = []

    @app.websocket(ROUTE)
    async def endpoint(request: Request, websocket: Any, item: int) -> None:
        for _ in range(2):
            verify(token)
            seen.append(trail.names)
        await echo(websocket)

    assert shake(app, trail) == 101
    assert seen == [["jwt.validated"]] * 2
    check(trail, shake, validated(), status=101)


def test_exception_in_the_handler_changes_nothing(app: Sanic, trail: Trail) -> None:
    token = mint()

    @app.websocket(ROUTE)
    async def endpoint(request: Request, websocket: Any, item: int) -> None:
        verify(token)
        await websocket.send(await websocket.recv())
        raise ArithmeticError

    assert by_its_own_server(app, trail) == 101
    check(trail, by_its_own_server, validated(), status=101)


def test_refused_by_middleware(app: Sanic, trail: Trail) -> None:
    token = mint()

    @app.on_request
    async def authenticate(request: Request) -> None:
        verify(token)
        raise Forbidden

    @app.websocket(ROUTE)
    async def endpoint(request: Request, websocket: Any, item: int) -> None:
        raise AssertionError("it is refused")

    assert by_its_own_server(app, trail) == 403
    check(trail, by_its_own_server, denied(), status=403)


@pytest.mark.parametrize(("headers", "status"), [({}, 426), ({"upgrade": "websocket", "connection": "upgrade"}, 400)])
def test_request_that_is_no_handshake(headers: dict[str, str], status: int, app: Sanic, trail: Trail) -> None:
    token = mint()

    @app.on_request
    async def authenticate(request: Request) -> None:
        verify(token)

    @app.websocket(ROUTE)
    async def endpoint(request: Request, websocket: Any, item: int) -> None:
        raise AssertionError("there is no WebSocket")

    with sanic_server(app) as port, client(port) as get:
        trail.clear()
        assert get(headers=headers).status == status
    check(trail, by_its_own_server, validated(), status=status)


def test_requests_after_and_before_a_refused_handshake(app: Sanic, trail: Trail) -> None:
    """On one connection."""
    token = mint()

    @app.websocket(ROUTE)
    async def endpoint(request: Request, websocket: Any, item: int) -> None:
        raise AssertionError("there is no WebSocket")

    @app.exception(Exception)
    async def unauthorized(request: Request, error: Exception) -> Any:
        from sanic.response import empty

        if tokens := request.headers["x-tokens"]:
            verify(tokens)
        return empty(status=401)

    with sanic_server(app) as port, client(port) as get:
        trail.clear()
        assert [get(token).status, get().status, get(token).status] == [401] * 3
    check(trail, by_its_own_server, *[rejected("refused", ALL)] * 2, status=401)
