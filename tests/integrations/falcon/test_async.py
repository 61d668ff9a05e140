"""Falcon's ASGI applications: threads, server-sent events and WebSockets."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

import falcon
import falcon.asgi
import pytest
from falcon import sync_to_async, wrap_sync_to_async

from tests.integrations.checks import check_events, check_no_span, check_span
from tests.integrations.drivers import PATH, Answer, asgi, asgi_async
from tests.integrations.expectations import ALL, UP_TO_SIGNATURE, denied, rejected, validated
from tests.integrations.falcon.app import ROUTE, traced
from tests.integrations.steps import fails, verify
from tests.support import OTHER_KEY, Trail, mint


@pytest.fixture(params=["none", "contrib"])
def served(request: pytest.FixtureRequest, trail: Trail) -> Callable[..., Answer]:
    """Call it with a resource and what must be said; it makes one request, or one handshake, and checks."""

    def serve(
        resource: object,
        *expected: dict[str, Any],
        status: int,
        answered: int | None = None,
        route: str | None = ROUTE,
        on_span: int = -1,
        **options: Any,
    ) -> Answer:
        app = falcon.asgi.App(**options)
        if resource is not None:
            app.add_route(ROUTE, resource)
        trail.clear()
        kind = "websocket" if hasattr(resource, "on_websocket") else "http"
        answer = asyncio.run(asgi_async(traced(app, request.param), PATH, kind=kind))
        assert answer.status == (answered or status), answer.error
        check_events(trail, expected, route=route, status=status)
        if request.param == "none":
            check_no_span(trail)
        else:
            check_span(trail, on_span)
        return answer

    return serve


def test_servers_still_see_a_coroutine_function(trail: Trail) -> None:
    """Some take an application for one of ASGI 2 otherwise."""
    assert inspect.iscoroutinefunction(falcon.asgi.App().__call__)


@pytest.mark.parametrize("threadsafe", [None, True, False])
def test_token_verified_in_a_thread_of_falcons(threadsafe: bool | None, served: Any) -> None:
    token = mint()

    class Items:
        async def on_get(self, req: Any, resp: Any, item: int) -> None:
            claims = await wrap_sync_to_async(verify, threadsafe)(token, leeway=5)
            assert claims == await sync_to_async(verify, token)
            resp.status = falcon.HTTP_403

    served(Items(), denied(), status=403)


def test_helpers_outside_a_request_are_what_they_were(trail: Trail) -> None:
    token = mint()
    trail.clear()
    assert asyncio.run(sync_to_async(verify, token))["jti"] == "token-1"  # type: ignore[index]
    assert trail.names == ["jwt.validated"]


def test_callback_named_by_keyword(trail: Trail) -> None:
    token = mint()

    class Items:
        async def on_get(self, req: Any, resp: Any, item: int) -> None:
            resp.schedule_sync(callback=lambda: verify(token))

    app = falcon.asgi.App()
    app.add_route(ROUTE, Items())
    trail.clear()
    assert asgi(app).status == 200
    check_events(trail, [validated()], route=ROUTE, status=200)


def test_server_sent_events(served: Any, trail: Trail) -> None:
    early, late = mint(), mint(jti="token-2")

    async def events() -> AsyncIterator[falcon.asgi.SSEvent]:
        assert trail.names == ["jwt.validated"]
        yield falcon.asgi.SSEvent(text="first")
        verify(early)
        verify(late)
        assert trail.names == ["jwt.validated", "jwt.validated"]
        yield falcon.asgi.SSEvent(text="last")

    class Items:
        async def on_get(self, req: Any, resp: Any, item: int) -> None:
            verify(early)
            resp.sse = events()

    answer = served(Items(), validated(), validated(**{"jwt.jti": "token-2"}), status=200)
    assert b"last" in answer.body


def websocket(act: Callable[[falcon.asgi.WebSocket], Any]) -> Any:
    class Items:
        async def on_websocket(self, req: Any, ws: falcon.asgi.WebSocket, item: int) -> None:
            await act(ws)

    return Items()


def test_websocket_that_is_accepted(served: Any) -> None:
    token, in_a_message = mint(), mint(OTHER_KEY, jti="token-2")

    async def act(ws: falcon.asgi.WebSocket) -> None:
        verify(token)
        await ws.accept()
        verify(token)
        fails(verify, in_a_message)

    forged = rejected("invalid_signature", UP_TO_SIGNATURE, verified=False, **{"jwt.jti": "token-2"})
    served(websocket(act), validated(), forged, status=101)


@pytest.mark.parametrize("closing", ["close", "error"])
def test_websocket_that_is_refused(closing: str, served: Any) -> None:
    """Whatever code it is closed with, the client's handshake is answered by 403."""
    token = mint()

    async def act(ws: falcon.asgi.WebSocket) -> None:
        verify(token)
        if closing == "error":
            raise falcon.HTTPUnauthorized
        await ws.close()

    served(websocket(act), denied(), status=403)


def test_websocket_refused_by_middleware(served: Any) -> None:
    token = mint(OTHER_KEY)

    class Middleware:
        async def process_request_ws(self, req: Any, ws: Any) -> None:
            fails(verify, token)
            raise falcon.HTTPForbidden

    async def act(ws: falcon.asgi.WebSocket) -> None:
        raise AssertionError("the middleware refuses")

    forged = rejected("invalid_signature", UP_TO_SIGNATURE, verified=False)
    served(websocket(act), forged, status=403, route=None, middleware=[Middleware()])


def test_exception_before_the_handshake_was_decided(served: Any) -> None:
    """Falcon closes with an internal error: nobody has refused the token."""
    token = mint()

    async def act(ws: falcon.asgi.WebSocket) -> None:
        verify(token)
        raise ArithmeticError

    served(websocket(act), validated(ALL), status=500, answered=403)
