"""Litestar: hooks, middleware, exception handlers, mounts and WebSockets around the endpoint."""

from __future__ import annotations

from typing import Any

import pytest
from litestar import Controller, Request, Response, Router, WebSocket, asgi, get, post, websocket
from litestar.exceptions import NotAuthorizedException
from starlette.applications import Starlette
from starlette.routing import Mount

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from tests.integrations.drivers import Answer
from tests.integrations.expectations import ALL, UP_TO_EXP, denied, negative, rejected, validated
from tests.integrations.litestar.app import token_of
from tests.integrations.steps import verify
from tests.support import Trail

ITEM = "/items/{item:int}"
AnyRequest = Request[Any, Any, Any]


@get(ITEM)
async def endpoint(request: AnyRequest) -> None:
    verify(token_of(request))


@get(ITEM)
async def never() -> None:
    raise AssertionError("this was meant not to be reached")


def verifying(app: Any) -> Any:
    """Middleware that verifies the token, on its way in and on its way out."""

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        token = dict(scope["headers"])[b"x-tokens"].decode()

        async def send_verified(message: Any) -> None:
            verify(token)
            await send(message)

        verify(token)
        await app(scope, receive, send_verified)

    return middleware


def test_decoded_in_middleware_hook_and_endpoint_is_one_event(served: Any, trail: Trail) -> None:
    def before(request: AnyRequest) -> None:
        verify(token_of(request))
        assert trail.names == []

    served(endpoint, validated(), status=200, middleware=[verifying], before_request=before)


def test_hook_that_answers_by_itself(served: Any) -> None:
    def before(request: AnyRequest) -> Response[None]:
        verify(token_of(request))
        return Response(None, status_code=401)

    served(never, rejected("refused", ALL), status=401, before_request=before)


@pytest.mark.parametrize(
    ("method", "path", "status"), [(get, "/nowhere", 404), (get, "/items/seven", 404), (post, "/items/7", 405)]
)
def test_request_that_reaches_no_handler(method: Any, path: str, status: int, served: Any) -> None:
    """No middleware of Litestar's runs, but its hooks and exception handlers do."""

    @method(ITEM)
    async def other() -> None: ...

    async def before_send(message: Any, scope: Any) -> None:
        verify(dict(scope["headers"])[b"x-tokens"].decode())

    served(other, validated(), status=status, path=path, route=None, before_send=[before_send])


def test_unhandled_exception(served: Any) -> None:
    @get(ITEM)
    async def broken(request: AnyRequest) -> None:
        verify(token_of(request))
        raise ArithmeticError

    served(broken, validated(), status=500)


@pytest.mark.parametrize(("status", "expected"), [(403, denied()), (401, rejected("refused", ALL)), (418, validated())])
def test_exception_handler_gives_the_status(status: int, expected: Any, served: Any) -> None:
    @get(ITEM)
    async def broken(request: AnyRequest) -> None:
        verify(token_of(request))
        raise ArithmeticError

    def handle(request: AnyRequest, error: Exception) -> Response[None]:
        return Response(None, status_code=status)

    served(broken, expected, status=status, exception_handlers={ArithmeticError: handle})


def test_token_refused_and_the_request_with_it(served: Any) -> None:
    async def handle(request: AnyRequest) -> None:
        try:
            verify(token_of(request))
        except Exception as error:
            raise NotAuthorizedException from error

    expected = rejected("expired", UP_TO_EXP, **{"jwt.expires_in": negative})
    served(never, expected, status=401, before_request=handle, claims={"exp": 1})


def test_exception_in_a_hook_after_the_response(served: Any) -> None:
    """The response is out; that of the exception is Litestar's own."""

    def after(request: AnyRequest) -> None:
        raise ArithmeticError

    answer: Answer = served(endpoint, validated(), status=200, after_response=after)
    assert answer.error is not None


def test_routers_and_controllers_name_the_whole_route(served: Any) -> None:
    class Items(Controller):
        path = "/items"

        @get("/{item:int}")
        async def endpoint(self, request: AnyRequest) -> None:
            verify(token_of(request))

    router = Router("/api/{version:str}", route_handlers=[Items])
    served(router, validated(), status=200, path="/api/v1/items/7", route="/api/{version}/items/{item}")


def test_application_mounted_on_starlette_names_the_whole_route(served: Any) -> None:
    def around(app: Any) -> Any:
        return Starlette(routes=[Mount("/inner", app=app)])

    served(endpoint, validated(), status=200, path="/inner/items/7", route="/inner/items/{item}", around=around)


@pytest.mark.parametrize("path", ["/inner", "/inner/items/7"])
def test_bare_application_mounted_on_litestar_has_no_route(path: str, served: Any) -> None:
    @asgi("/inner", is_mount=True, copy_scope=True)
    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        verify(dict(scope["headers"])[b"x-tokens"].decode())
        await send({"type": "http.response.start", "status": 403, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    @get("/")
    async def root() -> None: ...

    served([mounted, root], denied(), status=403, path=path, route=None)


# --- WebSockets: whatever goes wrong before one is accepted, Litestar closes it, and the client has a 403 -------------


def test_websocket_that_is_accepted(served: Any, trail: Trail) -> None:
    @websocket(ITEM)
    async def talk(socket: WebSocket[Any, Any, Any]) -> None:
        verify(token_of(socket))
        assert trail.names == []
        await socket.accept()
        assert trail.names == ["jwt.validated"]
        verify(token_of(socket))

    served(talk, validated(), status=101, kind="websocket")


def test_token_first_seen_in_a_websocket_that_is_open(served: Any, trail: Trail) -> None:
    @websocket(ITEM)
    async def talk(socket: WebSocket[Any, Any, Any]) -> None:
        await socket.accept()
        verify(token_of(socket))
        assert trail.names == ["jwt.validated"]

    served(talk, validated(), status=101, kind="websocket")


def test_websocket_that_is_closed_before_it_was_accepted(served: Any) -> None:
    @websocket(ITEM)
    async def talk(socket: WebSocket[Any, Any, Any]) -> None:
        verify(token_of(socket))
        await socket.close()

    served(talk, denied(), status=403, kind="websocket")


def test_exception_before_the_websocket_was_accepted(served: Any) -> None:
    @websocket(ITEM)
    async def talk(socket: WebSocket[Any, Any, Any]) -> None:
        verify(token_of(socket))
        raise NotAuthorizedException

    served(talk, denied(), status=403, kind="websocket")


def test_litestar_is_as_it_was_when_switched_off(instrument: Any) -> None:
    from litestar import Litestar
    from litestar.handlers.base import BaseRouteHandler

    before = Litestar.__dict__["__call__"], BaseRouteHandler.__dict__["authorize_connection"]
    instrument()
    assert Litestar.__dict__["__call__"] is not before[0]
    PyJWTInstrumentor().uninstrument()
    assert (Litestar.__dict__["__call__"], BaseRouteHandler.__dict__["authorize_connection"]) == before
