"""Flask: hooks around the view, error handlers, blueprints, and exceptions that are let through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from flask import Blueprint, Flask, Response, abort
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from tests.integrations.checks import check_events, check_no_span, check_span
from tests.integrations.drivers import Answer, wsgi
from tests.integrations.expectations import ALL, UP_TO_EXP, denied, negative, rejected, validated
from tests.integrations.flask.app import instrumented
from tests.integrations.steps import verify
from tests.support import Trail, mint

ROUTE = "/items/<int:item>"


@pytest.fixture(params=["none", "contrib"])
def telemetry(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def app(telemetry: str) -> Iterator[Flask]:
    """An application, instrumented before it has hooks, as is usual."""
    with instrumented(Flask(__name__), telemetry) as app:
        yield app


@pytest.fixture
def served(telemetry: str, trail: Trail) -> Callable[..., Answer]:
    """Call it with an application and what it must say; it serves one request and checks."""

    def serve(
        app: Flask,
        *expected: dict[str, Any],
        status: int,
        route: str | None = ROUTE,
        path: str = "/items/7",
        around: Callable[[Flask], Any] = lambda app: app,
    ) -> Answer:
        trail.clear()
        answer = wsgi(around(app), path)
        assert answer.status == status, answer.error
        check_events(trail, expected, route=route, status=status)
        if telemetry == "none":
            check_no_span(trail)
        else:
            check_span(trail, -1)
        return answer

    return serve


def test_hooks_around_the_view_look_at_the_same_token(app: Flask, served: Any) -> None:
    token = mint()
    app.before_request(lambda: verify(token) and None)
    app.after_request(lambda response: verify(token) and response)
    app.teardown_request(lambda error: verify(token))
    app.add_url_rule(ROUTE, view_func=lambda item: {"sub": verify(token)["sub"]})
    served(app, validated(), status=200)


def test_hook_that_refuses_before_the_view(app: Flask, served: Any) -> None:
    token = mint()
    app.before_request(lambda: Response(status=401) if verify(token) else None)
    app.add_url_rule(ROUTE, view_func=lambda item: "never")
    served(app, rejected("refused", ALL), status=401)


def test_hook_after_the_view_has_the_last_word_on_the_status(app: Flask, served: Any) -> None:
    token = mint()
    app.after_request(lambda response: Response(status=403))
    app.add_url_rule(ROUTE, view_func=lambda item: {"sub": verify(token)["sub"]})
    served(app, denied(), status=403)


@pytest.mark.parametrize(
    ("status", "expected"), [(401, rejected("refused", ALL)), (403, denied()), (404, validated()), (500, validated())]
)
def test_view_that_aborts(status: int, expected: Any, app: Flask, served: Any) -> None:
    token = mint()

    @app.get(ROUTE)
    def view(item: int) -> None:
        verify(token)
        abort(status)

    served(app, expected, status=status)


def test_error_handler_gives_the_status(app: Flask, served: Any) -> None:
    token = mint(exp=1)
    app.register_error_handler(jwt.InvalidTokenError, lambda error: ("", 401))
    app.add_url_rule(ROUTE, view_func=lambda item: verify(token))
    served(app, rejected("expired", UP_TO_EXP, **{"jwt.expires_in": negative}), status=401)


@pytest.mark.parametrize("config", ["TESTING", "DEBUG", "PROPAGATE_EXCEPTIONS"])
def test_exception_that_is_let_through(config: str, app: Flask, served: Any) -> None:
    token = mint()
    app.config[config] = True

    @app.get(ROUTE)
    def view(item: int) -> None:
        verify(token)
        raise ArithmeticError

    answer = served(app, validated(), status=500)
    assert isinstance(answer.error, ArithmeticError)


def test_blueprints_name_the_whole_route(app: Flask, served: Any) -> None:
    token = mint()
    blueprint = Blueprint("shop", __name__)
    blueprint.add_url_rule(ROUTE, view_func=lambda item: {"sub": verify(token)["sub"]})
    app.register_blueprint(blueprint, url_prefix="/shop")
    served(app, validated(), status=200, route=f"/shop{ROUTE}", path="/shop/items/7")


def test_path_nobody_serves(app: Flask, served: Any) -> None:
    token = mint()
    app.before_request(lambda: verify(token) and None)
    served(app, validated(), status=404, route=None)


def test_application_below_a_dispatcher(app: Flask, served: Any) -> None:
    """Flask does not know where it is mounted; its route is what it says it is."""
    token = mint()
    app.add_url_rule(ROUTE, view_func=lambda item: {"sub": verify(token)["sub"]})

    def mounted(app: Flask) -> DispatcherMiddleware:
        return DispatcherMiddleware(Flask(__name__), {"/inner": app})

    served(app, validated(), status=200, path="/inner/items/7", around=mounted)


def test_application_in_a_middleware_of_its_own(app: Flask, served: Any) -> None:
    token = mint()
    app.add_url_rule(ROUTE, view_func=lambda item: {"sub": verify(token)["sub"]})
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    served(app, validated(), status=200)
