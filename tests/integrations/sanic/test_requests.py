"""Requests in Sanic's own server: handlers, middleware, error handlers, and what the server answers by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import jwt
import pytest
from sanic import Blueprint, Request, Sanic
from sanic.exceptions import Forbidden, Unauthorized
from sanic.response import HTTPResponse, empty

from opentelemetry.instrumentation.pyjwt import AuditASGIMiddleware
from tests.integrations.checks import check_events
from tests.integrations.drivers import asgi
from tests.integrations.expectations import ALL, UP_TO_EXP, denied, negative, rejected, validated
from tests.integrations.sanic.app import instrumented
from tests.integrations.sanic.server import ROUTE, looking
from tests.integrations.steps import fails, verify
from tests.support import Trail, mint

EXPIRED = rejected("expired", UP_TO_EXP, **{"jwt.expires_in": negative})


def raising(token: str, error: Exception) -> Any:
    async def handler(request: Request, item: int) -> HTTPResponse:
        verify(token)
        raise error

    return handler


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        (ArithmeticError(), 500, validated()),
        (Forbidden(), 403, denied()),
        (Unauthorized(), 401, rejected("refused", ALL)),
    ],
    ids=["unhandled", "forbidden", "unauthorized"],
)
def test_exception_in_the_handler(error: Exception, status: int, expected: Any, served: Any) -> None:
    served(raising(mint(), error), expected, status=status)


def test_error_handler_gives_the_status_and_looks_again(app: Sanic, served: Any) -> None:
    token = mint(exp=1)

    @app.exception(jwt.ExpiredSignatureError)
    async def expired(request: Request, error: Exception) -> HTTPResponse:
        fails(verify, token)
        return empty(status=401)

    served(looking(token), EXPIRED, status=401)


def test_error_handler_that_fails(app: Sanic, served: Any) -> None:
    @app.exception(ArithmeticError)
    async def failing(request: Request, error: Exception) -> HTTPResponse:
        raise LookupError

    served(raising(mint(), ArithmeticError()), validated(), status=500)


def test_handler_that_answers_nothing_a_response_can_be_made_of(served: Any) -> None:
    token = mint()

    async def handler(request: Request, item: int) -> Any:
        verify(token)
        return {"no": "response"}

    served(handler, validated(), status=500)


def test_response_that_comes_too_late(app: Sanic, served: Any) -> None:
    """The server cancels the request and answers by itself."""
    app.config.RESPONSE_TIMEOUT = 0.05
    token = mint()

    async def handler(request: Request, item: int) -> None:
        verify(token)
        await asyncio.Event().wait()

    served(handler, validated(), status=503)


def test_path_nobody_serves(app: Sanic, served: Any) -> None:
    token = mint()
    tokens = [token]

    @app.on_request
    async def authenticate(request: Request) -> None:
        if tokens:
            verify(tokens.pop())

    served(looking(token), validated(), status=404, route=None, path="/items")


def test_middleware_around_the_handler_looks_at_the_same_token(app: Sanic, served: Any) -> None:
    token = mint()

    @app.on_request
    async def before(request: Request) -> None:
        if request.path != "/nowhere":
            verify(token)

    @app.on_response
    async def after(request: Request, response: HTTPResponse) -> None:
        if request.path != "/nowhere":
            verify(token)

    served(looking(token), validated(), status=200)


def test_application_that_sanic_does_not_compile_anew(app: Sanic, served: Any) -> None:
    app.config.TOUCHUP = False
    served(looking(mint(), 403), denied(), status=403)


@pytest.mark.parametrize("replaced", [False, True])
def test_middleware_after_the_handler_has_the_last_word_on_the_status(replaced: bool, app: Sanic, served: Any) -> None:
    @app.on_response
    async def after(request: Request, response: HTTPResponse) -> HTTPResponse | None:
        if replaced:
            return empty(status=403)
        response.status = 403
        return None

    served(looking(mint()), denied(), status=403)


def test_middleware_that_refuses_before_the_handler(app: Sanic, served: Any) -> None:
    tokens = [mint()]

    @app.on_request
    async def before(request: Request) -> HTTPResponse | None:
        return empty(status=401) if tokens and verify(tokens.pop()) else None

    served(looking("never"), rejected("refused", ALL), status=401)


def test_blueprints_and_versions_name_the_whole_route(app: Sanic, served: Any) -> None:
    blueprint = Blueprint("shop", url_prefix="/shop", version=2)
    blueprint.add_route(looking(mint(), 404), ROUTE)
    app.blueprint(blueprint)
    served(looking("never"), validated(), status=404, route=f"/v2/shop{ROUTE}", path="/v2/shop/items/7")


def test_below_another_server_what_is_around_it_has_the_last_word(app: Sanic, trail: Trail) -> None:
    async def forbidding(scope: Any, receive: Any, send: Any) -> None:
        async def forbid(message: Any) -> None:
            await send({**message, "status": 403} if message["type"] == "http.response.start" else message)

        await served(scope, receive, forbid)

    app.add_route(looking(mint()), ROUTE)
    with instrumented(app, "none") as served:
        trail.clear()
        assert asgi(AuditASGIMiddleware(forbidding)).status == 403
    check_events(trail, [denied()], route=ROUTE, status=403)
