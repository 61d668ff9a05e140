"""Quart: hooks around the view, error handlers, exceptions that are let through, middleware, and real servers."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import jwt
import pytest
from quart import Blueprint, Quart, Response, abort, request

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from tests.integrations.checks import check_events, check_no_span, check_span
from tests.integrations.drivers import AGENT, Answer, asgi
from tests.integrations.expectations import ALL, UP_TO_EXP, denied, negative, rejected, validated
from tests.integrations.quart.app import instrumented
from tests.integrations.servers import PATIENCE, connection, hypercorn_server, uvicorn_server, wait_until
from tests.integrations.steps import verify
from tests.support import Trail, mint

ROUTE = "/items/<int:item>"


@pytest.fixture(params=["none", "contrib"])
def telemetry(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def app(telemetry: str) -> Iterator[Quart]:
    with instrumented(Quart(__name__), telemetry) as app:
        yield app


@pytest.fixture
def served(telemetry: str, trail: Trail) -> Callable[..., Answer]:
    """Call it with an application and what it must say; it serves one request and checks."""

    def serve(
        app: Any, *expected: dict[str, Any], status: int, route: str | None = ROUTE, path: str = "/items/7"
    ) -> Answer:
        trail.clear()
        answer = asgi(app, path)
        assert answer.status == status, answer.error
        check_events(trail, expected, route=route, status=status)
        if telemetry == "none":
            check_no_span(trail)
        else:
            check_span(trail, -1)
        return answer

    return serve


def add_view(app: Any, token: str) -> None:
    app.add_url_rule(ROUTE, view_func=lambda item: {"sub": verify(token)["sub"]})


def test_hooks_around_the_view_look_at_the_same_token(app: Quart, served: Any) -> None:
    token = mint()
    app.before_request(lambda: verify(token) and None)
    app.after_request(lambda response: verify(token) and response)
    app.teardown_request(lambda error: verify(token))
    add_view(app, token)
    served(app, validated(), status=200)


def test_hook_that_refuses_before_the_view(app: Quart, served: Any) -> None:
    token = mint()
    app.before_request(lambda: Response("", 401) if verify(token) else None)
    app.add_url_rule(ROUTE, view_func=lambda item: "never")
    served(app, rejected("refused", ALL), status=401)


def test_hook_after_the_view_has_the_last_word_on_the_status(app: Quart, served: Any) -> None:
    app.after_request(lambda response: Response("", 403))
    add_view(app, mint())
    served(app, denied(), status=403)


@pytest.mark.parametrize(
    ("status", "expected"), [(401, rejected("refused", ALL)), (403, denied()), (404, validated()), (500, validated())]
)
def test_view_that_aborts(status: int, expected: Any, app: Quart, served: Any) -> None:
    token = mint()

    @app.get(ROUTE)
    async def view(item: int) -> None:
        verify(token)
        abort(status)

    served(app, expected, status=status)


def test_error_handler_gives_the_status(app: Quart, served: Any) -> None:
    token = mint(exp=1)
    app.register_error_handler(jwt.InvalidTokenError, lambda error: ("", 401))
    add_view(app, token)
    served(app, rejected("expired", UP_TO_EXP, **{"jwt.expires_in": negative}), status=401)


@pytest.mark.parametrize("config", [None, "TESTING", "DEBUG", "PROPAGATE_EXCEPTIONS"])
def test_exception_that_nobody_handles(config: str | None, app: Quart, served: Any) -> None:
    """Answered with a 500, maybe with a traceback in it, or let through to the server: that differs by version."""
    token = mint()
    if config is not None:
        app.config[config] = True

    @app.get(ROUTE)
    async def view(item: int) -> None:
        verify(token)
        raise ArithmeticError

    answer = served(app, validated(), status=500)
    assert answer.error is None or isinstance(answer.error, ArithmeticError)


def test_blueprints_name_the_whole_route(app: Quart, served: Any) -> None:
    blueprint = Blueprint("shop", __name__)
    add_view(blueprint, mint())
    app.register_blueprint(blueprint, url_prefix="/shop")
    served(app, validated(), status=200, route=f"/shop{ROUTE}", path="/shop/items/7")


def test_path_nobody_serves(app: Quart, served: Any) -> None:
    token = mint()
    app.before_request(lambda: verify(token) and None)
    served(app, validated(), status=404, route=None)


def test_application_in_a_middleware_of_its_own(app: Quart, served: Any) -> None:
    """It looks at the token before the application does, in a scope of its own."""
    token = mint()
    inner = app.asgi_app

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        verify(token)
        await inner({**scope, "extensions": {}}, receive, send)

    app.asgi_app = middleware  # type: ignore[method-assign]
    add_view(app, token)
    served(app, validated(), status=200)


def test_attribute_that_is_served_by_itself(served: Any, telemetry: str) -> None:
    with instrumented(Quart(__name__), telemetry) as app:
        add_view(app, mint())
        served(app.asgi_app, validated(), status=200)


def test_application_that_overrides_what_is_audited(served: Any, telemetry: str) -> None:
    class Own(Quart):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await super().__call__(scope, receive, send)

        async def handle_request(self, request: Any) -> Any:
            return await super().handle_request(request)

    with instrumented(Own(__name__), telemetry) as app:
        add_view(app, mint())
        served(app, validated(), status=200)


@pytest.fixture(params=[hypercorn_server, uvicorn_server])
def server(request: pytest.FixtureRequest) -> Callable[[Any], AbstractContextManager[int]]:
    return request.param


def test_requests_on_one_connection(app: Quart, server: Any, trail: Trail) -> None:
    """Each with its own token or none, and nothing left over."""

    @app.get(ROUTE)
    def view(item: int) -> tuple[str, int]:  # in a thread
        tokens = request.headers.get("x-tokens", "").split()
        return "", 403 if tokens and verify(tokens[0]) else 200

    tokens = [mint(jti=f"token-{number}") for number in range(5)]
    trail.clear()
    with server(app) as port, connection(port) as get:
        for token in tokens:
            assert (get(x_tokens=token, user_agent=AGENT), get()) == (403, 200)
    assert [
        (event["event"], event["jwt.jti"], event["http.route"], event["client.address"]) for event in trail.events
    ] == [("jwt.denied", f"token-{number}", ROUTE, "127.0.0.1") for number in range(5)]


def test_client_that_goes_away_before_the_response(app: Quart, server: Any, trail: Trail) -> None:
    token = mint()
    looked = threading.Event()

    @app.get(ROUTE)
    async def view(item: int) -> None:
        verify(token)
        looked.set()
        await asyncio.Event().wait()

    trail.clear()
    with server(app) as port:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            client.sendall(b"GET /items/7 HTTP/1.1\r\nHost: testserver\r\n\r\n")
            assert looked.wait(PATIENCE)
        wait_until(lambda: trail.names == ["jwt.validated"])
    assert "http.response.status_code" not in trail.events[0]
    assert trail.events[0]["http.route"] == ROUTE


def test_quart_is_as_it_was_when_switched_off(instrument: Any) -> None:
    names = ("__call__", "asgi_app", "handle_request", "handle_websocket")
    before = [vars(Quart)[name] for name in names]
    instrument()
    assert all(vars(Quart)[name] is not one for name, one in zip(names, before, strict=True))
    PyJWTInstrumentor().uninstrument()
    assert [vars(Quart)[name] for name in names] == before
