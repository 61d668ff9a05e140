"""WebSockets: decided when the handshake is accepted or refused; what comes later is emitted at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from opentelemetry.instrumentation.pyjwt import AuditASGIMiddleware
from tests.integrations.bare.app import OTelASGI, placed
from tests.integrations.checks import check_events, check_no_span, check_span
from tests.integrations.drivers import PATH, Answer, asgi_async
from tests.integrations.expectations import ALL, UP_TO_SIGNATURE, denied, rejected, validated
from tests.integrations.fastapi.app import instrumented as with_fastapi
from tests.integrations.fastapi.app import new
from tests.integrations.starlette.app import instrumented as with_starlette
from tests.integrations.steps import fails, verify
from tests.support import OTHER_KEY, Trail, mint

Endpoint = Callable[[WebSocket], Awaitable[None]]


@contextmanager
def starlette(endpoint: Endpoint, telemetry: str) -> Iterator[Any]:
    with with_starlette(Starlette(routes=[WebSocketRoute("/items/{item}", endpoint)]), telemetry) as app:
        yield app


@contextmanager
def fastapi(endpoint: Endpoint, telemetry: str) -> Iterator[Any]:
    app = new(telemetry)

    @app.websocket("/items/{item}")
    async def with_item(websocket: WebSocket, item: int) -> None:
        await endpoint(websocket)

    with with_fastapi(app, telemetry):
        yield app


@contextmanager
def bare(endpoint: Endpoint, telemetry: str) -> Iterator[Any]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await endpoint(WebSocket(scope, receive, send))

    yield placed(app, telemetry, OTelASGI, AuditASGIMiddleware)


TABLE = [
    *((starlette, telemetry, "/items/{item}") for telemetry in ("none", "contrib")),
    *((fastapi, telemetry, "/items/{item}") for telemetry in ("none", "contrib", "builtin")),
    *((bare, telemetry, None) for telemetry in ("none", "contrib_outside", "contrib_inside")),
]


@pytest.fixture(params=TABLE, ids=lambda row: f"{row[0].__name__}-{row[1]}")
def served(request: pytest.FixtureRequest, trail: Trail) -> Callable[..., Answer]:
    """Call it with an endpoint and what it must say; it makes one handshake and checks."""
    make, telemetry, route = request.param

    def serve(
        endpoint: Endpoint, *expected: dict[str, Any], status: int, answered: int | None = None, early: int = 1
    ) -> Answer:
        starts: list[int] = []
        with make(endpoint, telemetry) as app:
            trail.clear()
            watch = lambda message: starts.append(len(trail.events))  # noqa: E731
            answer = asyncio.run(asgi_async(app, PATH, kind="websocket", watch=watch))
        assert answer.status == (answered or status), answer.error
        assert not starts or starts[0] == early, "not decided when the handshake was"
        check_events(trail, expected, route=route, status=status)
        if telemetry == "none":
            check_no_span(trail)
        elif answer.error is None:
            check_span(trail, 0)
        return answer

    return serve


def test_accepted(served: Any) -> None:
    token = mint()

    async def endpoint(websocket: WebSocket) -> None:
        verify(token)
        await websocket.accept()
        for _ in range(3):
            verify(token)  # with each message, say

    served(endpoint, validated(), status=101)


def test_closed_before_it_was_accepted(served: Any) -> None:
    token = mint()

    async def endpoint(websocket: WebSocket) -> None:
        verify(token)
        await websocket.close()

    served(endpoint, denied(), status=403)


def test_closed_for_a_failure_of_the_application(served: Any) -> None:
    """The client's handshake is answered as if it were refused, but nobody has refused the token."""
    token = mint()

    async def endpoint(websocket: WebSocket) -> None:
        verify(token)
        await websocket.close(1011)

    served(endpoint, validated(), status=500, answered=403)


@pytest.mark.parametrize(("status", "expected"), [(401, rejected("refused", ALL)), (404, validated())])
def test_denied_with_a_response_of_its_own(status: int, expected: Any, served: Any) -> None:
    token = mint()

    async def endpoint(websocket: WebSocket) -> None:
        verify(token)
        await websocket.send_denial_response(Response(status_code=status))

    served(endpoint, expected, status=status)


def test_token_refused_and_the_handshake_with_it(served: Any) -> None:
    token = mint(OTHER_KEY)

    async def endpoint(websocket: WebSocket) -> None:
        fails(verify, token)
        await websocket.close()

    served(endpoint, rejected("invalid_signature", UP_TO_SIGNATURE, verified=False), status=403)


def test_exception_before_the_handshake_was_decided(served: Any) -> None:
    token = mint()

    async def endpoint(websocket: WebSocket) -> None:
        verify(token)
        raise ArithmeticError

    assert isinstance(served(endpoint, validated(), status=500).error, ArithmeticError)


def test_token_in_a_message_is_judged_at_once(served: Any, trail: Trail) -> None:
    token = mint()

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        verify(token)
        assert trail.names == ["jwt.validated"]

    served(endpoint, validated(), status=101, early=0)
