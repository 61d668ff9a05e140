"""Quart's WebSockets: decided when the handshake is accepted or refused; what comes later is emitted at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from quart import Quart, Response, websocket

from tests.integrations.checks import check_events, check_no_span, check_span
from tests.integrations.drivers import PATH, Answer, asgi_async
from tests.integrations.expectations import ALL, denied, rejected, validated
from tests.integrations.quart.app import instrumented
from tests.integrations.steps import verify
from tests.support import Trail, mint

ROUTE = "/items/<int:item>"


@pytest.fixture(params=["none", "contrib"])
def served(request: pytest.FixtureRequest, trail: Trail) -> Callable[..., Answer]:
    """Call it with an endpoint and what it must say; it makes one handshake and checks."""

    def serve(endpoint: Any, *expected: dict[str, Any], status: int, early: int = 1) -> Answer:
        starts: list[int] = []
        with instrumented(Quart(__name__), request.param) as app:
            app.add_websocket(ROUTE, view_func=endpoint)
            trail.clear()
            watch = lambda message: starts.append(len(trail.events))  # noqa: E731
            answer = asyncio.run(asgi_async(app, PATH, kind="websocket", watch=watch))
        assert answer.status == status, answer.error
        assert not starts or starts[0] == early, "not decided when the handshake was"
        check_events(trail, expected, route=ROUTE, status=status)
        if request.param == "none":
            check_no_span(trail)
        elif answer.error is None:
            check_span(trail, 0)
        return answer

    return serve


def test_accepted(served: Any) -> None:
    token = mint()

    async def endpoint(item: int) -> None:
        verify(token)
        await websocket.accept()
        for _ in range(3):
            verify(token)  # with each message, say

    served(endpoint, validated(), status=101)


def test_accepted_by_its_first_message(served: Any) -> None:
    token = mint()

    async def endpoint(item: int) -> None:
        verify(token)
        await websocket.send("hello")

    served(endpoint, validated(), status=101)


def test_closed_before_it_was_accepted(served: Any) -> None:
    token = mint()

    async def endpoint(item: int) -> None:
        verify(token)
        await websocket.close(1008)

    served(endpoint, denied(), status=403)


@pytest.mark.parametrize(("status", "expected"), [(401, rejected("refused", ALL)), (404, validated())])
def test_denied_with_a_response_of_its_own(status: int, expected: Any, served: Any) -> None:
    token = mint()

    async def endpoint(item: int) -> Response:
        verify(token)
        return Response("", status)

    served(endpoint, expected, status=status)


def test_exception_before_the_handshake_was_decided(served: Any) -> None:
    token = mint()

    async def endpoint(item: int) -> None:
        verify(token)
        raise ArithmeticError

    served(endpoint, validated(), status=500)


def test_token_in_a_message_is_judged_at_once(served: Any, trail: Trail) -> None:
    token = mint()

    async def endpoint(item: int) -> None:
        await websocket.accept()
        verify(token)
        assert trail.names == ["jwt.validated"]

    served(endpoint, validated(), status=101, early=0)
