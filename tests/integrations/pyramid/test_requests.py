"""Pyramid: tweens, callbacks and exception views around the view, and policies of execution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jwt
import pytest
from pyramid.config import Configurator
from pyramid.events import NewRequest, NewResponse
from pyramid.httpexceptions import exception_response
from pyramid.request import Request
from pyramid.response import Response
from pyramid.tweens import EXCVIEW, INGRESS, MAIN

from opentelemetry.instrumentation.pyramid import PyramidInstrumentor
from tests.integrations.checks import check_events, token_attributes
from tests.integrations.drivers import wsgi
from tests.integrations.expectations import ALL, UP_TO_EXP, denied, negative, rejected, validated
from tests.integrations.pyramid.app import ROUTE
from tests.integrations.steps import verify
from tests.support import Trail, mint

EXPIRED = rejected("expired", UP_TO_EXP, **{"jwt.expires_in": negative})
STATUSES = pytest.mark.parametrize(
    ("status", "expected"), [(401, rejected("refused", ALL)), (403, denied()), (404, validated()), (500, validated())]
)


def tween(around: Callable[[Callable[[Request], Response], Request], Response]) -> Callable[..., Any]:
    """A factory of tweens that do this."""
    return lambda handler, registry: lambda request: around(handler, request)


def add_tween(config: Configurator, around: Any, monkeypatch: pytest.MonkeyPatch, **where: Any) -> None:
    """Pyramid wants a tween's name."""
    monkeypatch.setattr(f"{__name__}.named", tween(around), raising=False)
    config.add_tween(f"{__name__}.named", **where)


def test_everything_around_the_view_looks_at_the_same_token(
    config: Configurator, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = mint()

    def look(*args: Any) -> None:
        verify(token)

    def around(handler: Any, request: Request) -> Response:
        look()
        request.add_response_callback(look)
        request.add_finished_callback(look)
        response = handler(request)
        look()
        return response

    add_tween(config, around, monkeypatch)
    config.add_subscriber(look, NewRequest)
    config.add_subscriber(look, NewResponse)
    config.add_view(lambda request: look() or Response(), route_name="item")
    served(config, validated(), status=200)


def test_tween_that_refuses_before_anything_is_routed(
    config: Configurator, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands before contrib's tween, whose span is never begun."""
    token = mint()
    add_tween(config, lambda handler, request: verify(token) and Response(status=401), monkeypatch)
    config.add_view(lambda request: Response(), route_name="item")
    served(config, rejected("refused", ALL), status=401, route=None, traced=False)


@pytest.mark.parametrize("where", [{"under": EXCVIEW}, {"over": MAIN}])
def test_tween_within_has_the_last_word_on_the_status(
    where: Any, config: Configurator, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = mint()
    add_tween(config, lambda handler, request: handler(request) and Response(status=403), monkeypatch, **where)
    config.add_view(lambda request: verify(token) and Response(), route_name="item")
    served(config, denied(), status=403)


@pytest.mark.parametrize("how", ["tween", "callback"])
def test_what_comes_after_contribs_tween_has_the_last_word_on_the_status(
    how: str, telemetry: str, config: Configurator, trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event tells what the client saw; the span, which has ended by then, as much as its own status."""
    token = mint()

    def around(handler: Any, request: Request) -> Response:
        response = handler(request)
        if how == "tween":
            response.status_code = 200
        else:
            request.add_response_callback(lambda request, response: setattr(response, "status_code", 200))
        return response

    add_tween(config, around, monkeypatch, under=INGRESS)
    config.add_view(lambda request: verify(token) and Response(status=401), route_name="item")
    app = config.make_wsgi_app()
    trail.clear()
    assert wsgi(app).status == 200
    check_events(trail, [validated()], route=ROUTE, status=200)
    if telemetry == "contrib":
        (span,) = trail.server_spans
        assert token_attributes(span)["jwt.validation.reason"] == "refused"
        assert span.attributes["http.status_code"] == 401


@STATUSES
@pytest.mark.parametrize("how", ["raised", "returned"])
def test_view_that_answers_by_an_exception(
    how: str, status: int, expected: Any, config: Configurator, served: Any
) -> None:
    token = mint()

    def view(request: Request) -> Response:
        verify(token)
        error = exception_response(status)
        if how == "raised":
            raise error
        return error

    config.add_view(view, route_name="item")
    served(config, expected, status=status)


def test_exception_view_gives_the_status(config: Configurator, served: Any) -> None:
    token = mint(exp=1)
    config.add_view(lambda request: verify(token), route_name="item")
    config.add_exception_view(lambda error, request: Response(status=401), context=jwt.InvalidTokenError)
    served(config, EXPIRED, status=401)


def test_exception_that_is_let_through(config: Configurator, served: Any) -> None:
    token = mint()

    def view(request: Request) -> Response:
        verify(token)
        raise ArithmeticError

    config.add_view(view, route_name="item")
    assert isinstance(served(config, validated(), status=500).error, ArithmeticError)


def test_policy_that_executes_a_request_again(telemetry: str, config: Configurator, trail: Trail) -> None:
    """As those do that try again when the database has asked for it. contrib makes a span of each attempt."""
    token = mint()
    attempts: list[int] = []

    def policy(environ: Any, router: Any) -> Response:
        for last in (False, True):
            try:
                with router.request_context(environ) as request:
                    return router.invoke_request(request)
            except ArithmeticError:
                if last:
                    raise
        raise AssertionError("one of them was the last")

    def view(request: Request) -> Response:
        attempts.append(verify(token)["jti"])
        if len(attempts) == 1:
            raise ArithmeticError
        return Response(status=403)

    config.set_execution_policy(policy)
    config.add_view(view, route_name="item")
    app = config.make_wsgi_app()
    trail.clear()
    assert wsgi(app).status == 403
    assert len(attempts) == 2
    check_events(trail, [denied()], route=ROUTE, status=403)
    assert len(trail.server_spans) == (2 if telemetry == "contrib" else 0)


@pytest.mark.parametrize("tweens", ["", EXCVIEW])
def test_contrib_for_every_configuration(tweens: str, served: Any, telemetry: str) -> None:
    """Instrumented as the agent does it, with tweens listed in the settings or not."""
    token = mint()
    if telemetry == "contrib":
        PyramidInstrumentor().instrument()
    try:
        config = Configurator(settings={"pyramid.tweens": tweens})
    finally:
        if telemetry == "contrib":
            PyramidInstrumentor().uninstrument()
    config.add_route("item", ROUTE)
    config.add_view(lambda request: verify(token) and Response(status=403), route_name="item")
    served(config, denied(), status=403)
