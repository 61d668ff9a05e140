"""Starlette: middleware, mounts and scopes around the endpoint."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.authentication import AuthenticationBackend, AuthenticationError
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from tests.integrations.checks import check_events, check_no_span, check_span
from tests.integrations.drivers import asgi
from tests.integrations.expectations import ALL, denied, rejected, validated
from tests.integrations.starlette.app import instrumented
from tests.integrations.steps import fails, verify
from tests.support import Trail, mint

either = pytest.mark.parametrize("telemetry", ["none", "contrib"])


def check(trail: Trail, telemetry: str, *expected: dict[str, Any], route: str | None, status: int) -> None:
    check_events(trail, expected, route=route, status=status)
    if telemetry == "none":
        check_no_span(trail)
    else:
        check_span(trail, -1)


@either
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_decoded_in_middleware_and_in_the_endpoint_is_one_event(kind: str, telemetry: str, trail: Trail) -> None:
    token = mint()
    trail.clear()

    async def dispatch(request: Request, call_next: Any) -> Response:
        verify(token)
        response = await call_next(request)
        verify(token)  # the endpoint has answered, the response has not started
        assert trail.names == []
        return response

    def endpoint(request: Request) -> Response:
        verify(token)
        return Response(status_code=404)

    async def async_endpoint(request: Request) -> Response:
        return endpoint(request)

    route = Route("/items/{item}", async_endpoint if kind == "async" else endpoint)
    app = Starlette(routes=[route], middleware=[Middleware(BaseHTTPMiddleware, dispatch=dispatch)])
    with instrumented(app, telemetry):
        assert asgi(app).status == 404
    check(trail, telemetry, validated(), route="/items/{item}", status=404)


@either
def test_middleware_that_refuses_is_heard(telemetry: str, trail: Trail) -> None:
    """It answers before anything is routed, so there is no route."""
    token = mint()
    trail.clear()

    async def dispatch(request: Request, call_next: Any) -> Response:
        verify(token)
        return Response(status_code=401)

    app = Starlette(middleware=[Middleware(BaseHTTPMiddleware, dispatch=dispatch)])
    with instrumented(app, telemetry):
        assert asgi(app).status == 401
    check(trail, telemetry, rejected("refused", ALL), route=None, status=401)


@either
def test_exception_handler_gives_the_status(telemetry: str, trail: Trail) -> None:
    token = mint()
    trail.clear()

    def endpoint(request: Request) -> Response:
        verify(token)
        raise PermissionError

    def forbidden(request: Request, error: Exception) -> Response:
        return Response(status_code=403)

    app = Starlette(routes=[Route("/items/{item}", endpoint)], exception_handlers={PermissionError: forbidden})
    with instrumented(app, telemetry):
        assert asgi(app).status == 403
    check(trail, telemetry, denied(), route="/items/{item}", status=403)


@either
def test_authentication_backend_that_fails(telemetry: str, trail: Trail) -> None:
    token = mint(exp=1)
    trail.clear()

    class Backend(AuthenticationBackend):
        async def authenticate(self, conn: Any) -> None:
            fails(verify, token)
            raise AuthenticationError

    app = Starlette(middleware=[Middleware(AuthenticationMiddleware, backend=Backend())])
    with instrumented(app, telemetry):
        assert asgi(app).status == 400
    expected = rejected("expired", {"signature", "iat", "exp"}, **{"jwt.expires_in": lambda left: left < -1e9})
    check(trail, telemetry, expected, route=None, status=400)


@either
def test_mounted_routes_and_applications_name_the_whole_route(telemetry: str, trail: Trail) -> None:
    token = mint()
    trail.clear()

    def endpoint(request: Request) -> Response:
        verify(token)
        return Response()

    routes = [Route("/items/{item}", endpoint)]
    app = Starlette(routes=[Mount("/inner", app=Starlette(routes=routes)), Mount("/plain", routes=routes)])
    with instrumented(app, telemetry):
        assert asgi(app, "/inner/items/7").status == 200
        check(trail, telemetry, validated(), route="/inner/items/{item}", status=200)
        trail.clear()
        assert asgi(app, "/plain/items/7").status == 200
        check(trail, telemetry, validated(), route="/plain/items/{item}", status=200)


@either
def test_path_nobody_serves(telemetry: str, trail: Trail) -> None:
    token = mint()
    trail.clear()

    async def dispatch(request: Request, call_next: Any) -> Response:
        verify(token)
        return await call_next(request)

    app = Starlette(middleware=[Middleware(BaseHTTPMiddleware, dispatch=dispatch)])
    with instrumented(app, telemetry):
        assert asgi(app, "/nowhere").status == 404
    check(trail, telemetry, validated(), route=None, status=404)
