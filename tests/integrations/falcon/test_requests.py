"""Falcon: middleware, hooks and error handlers around the responder, in WSGI and in ASGI applications."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from pathlib import Path
from typing import Any

import falcon
import falcon.asgi
import jwt
import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from tests.integrations.checks import check_events, check_no_span, check_span
from tests.integrations.drivers import Answer, asgi, wsgi
from tests.integrations.expectations import ALL, UP_TO_EXP, denied, negative, rejected, validated
from tests.integrations.falcon.app import ROUTE, traced, wsgi_app
from tests.integrations.steps import verify
from tests.support import Trail, mint

EXPIRED = rejected("expired", UP_TO_EXP, **{"jwt.expires_in": negative})
STATUSES = pytest.mark.parametrize(
    ("status", "expected"), [(401, rejected("refused", ALL)), (403, denied()), (404, validated()), (500, validated())]
)


class World:
    """Falcon of one kind, with one kind of telemetry around it."""

    def __init__(self, kind: str, telemetry: str, trail: Trail) -> None:
        self.kind, self.telemetry, self.trail = kind, telemetry, trail

    def function(self, act: Callable[..., Any]) -> Callable[..., Any]:
        """``act`` as this kind of application wants it: a coroutine function, or itself."""
        if self.kind == "wsgi":
            return act

        @wraps(act)
        async def act_async(*args: Any, **kwargs: Any) -> Any:
            return act(*args, **kwargs)

        return act_async

    def object(self, **methods: Callable[..., Any]) -> Any:
        """A resource, or a middleware."""

        def method(act: Callable[..., Any]) -> Callable[..., Any]:
            return self.function(lambda self, *args, **kwargs: act(*args, **kwargs))

        return type("Something", (), {name: method(act) for name, act in methods.items()})()

    def serve(
        self,
        *expected: dict[str, Any],
        status: int = 200,
        route: str | None = ROUTE,
        path: str = "/items/7",
        get: Callable[..., Any] | None = None,
        prepare: Callable[[Any], Any] = lambda app: None,
        around: Callable[[Any], Any] = lambda app: app,
        **options: Any,
    ) -> Answer:
        """One request to an application with one resource, and what must be said of it."""
        wanted = wsgi_app(self.telemetry, **options) if self.kind == "wsgi" else nullcontext(falcon.asgi.App(**options))
        with wanted as app:
            if get is not None:
                app.add_route(ROUTE, self.object(on_get=get))
            prepare(app)
            self.trail.clear()
            app = around(app)
            answer = wsgi(app, path) if self.kind == "wsgi" else asgi(traced(app, self.telemetry), path)
        assert answer.status == status, answer.error
        check_events(self.trail, expected, route=route, status=status)
        if self.telemetry == "none":
            check_no_span(self.trail)
        else:
            check_span(self.trail, -1)
        return answer


@pytest.fixture(params=["wsgi-none", "wsgi-contrib", "asgi-none", "asgi-contrib"])
def world(request: pytest.FixtureRequest, trail: Trail) -> World:
    return World(*request.param.split("-"), trail)


def error(status: int) -> falcon.HTTPError:
    return falcon.HTTPError(falcon.code_to_http_status(status))


def test_middleware_around_the_responder_looks_at_the_same_token(world: World) -> None:
    token = mint()

    def look(*args: Any) -> None:
        verify(token)

    middleware = world.object(process_request=look, process_resource=look, process_response=look)
    world.serve(validated(), get=lambda req, resp, item: look(), middleware=[middleware])


def test_middleware_that_refuses_before_anything_is_routed(world: World) -> None:
    token = mint()

    def refuse(req: Any, resp: Any) -> None:
        verify(token)
        raise error(401)

    never = world.object(process_request=refuse)
    world.serve(rejected("refused", ALL), get=print, status=401, route=None, middleware=[never])


def test_middleware_that_completes_the_response(world: World) -> None:
    token = mint()

    def complete(req: Any, resp: Any) -> None:
        verify(token)
        resp.status, resp.complete = falcon.HTTP_403, True

    world.serve(denied(), get=print, status=403, route=None, middleware=[world.object(process_request=complete)])


def test_middleware_that_refuses_once_the_route_is_known(world: World) -> None:
    token = mint()

    def refuse(req: Any, resp: Any, resource: Any, params: Any) -> None:
        verify(token)
        raise error(403)

    world.serve(denied(), get=print, status=403, middleware=[world.object(process_resource=refuse)])


def test_middleware_after_the_responder_has_the_last_word_on_the_status(world: World) -> None:
    token = mint()

    def forbid(req: Any, resp: Any, resource: Any, req_succeeded: bool) -> None:
        resp.status = falcon.HTTP_403

    def get(req: Any, resp: Any, item: int) -> None:
        verify(token)

    # contrib's own middleware comes before, and so the SERVER span's status code is not the response's.
    world.serve(denied(), get=get, status=403, middleware=[world.object(process_response=forbid)])


@STATUSES
def test_hook_before_the_responder(status: int, expected: Any, world: World) -> None:
    token = mint()

    def refuse(req: Any, resp: Any, resource: Any, params: Any) -> None:
        verify(token)
        raise error(status)

    def get(self: Any, req: Any, resp: Any, item: int) -> None:
        raise AssertionError("the hook refuses")

    responder = falcon.before(world.function(refuse))(world.function(get))
    items = type("Items", (), {"on_get": responder})()
    world.serve(expected, status=status, prepare=lambda app: app.add_route(ROUTE, items))


@STATUSES
def test_responder_that_raises(status: int, expected: Any, world: World) -> None:
    token = mint()

    def get(req: Any, resp: Any, item: int) -> None:
        verify(token)
        raise error(status)

    world.serve(expected, get=get, status=status)


def test_responder_that_raises_a_status(world: World) -> None:
    token = mint()

    def get(req: Any, resp: Any, item: int) -> None:
        verify(token)
        raise falcon.HTTPStatus(falcon.HTTP_403)

    world.serve(denied(), get=get, status=403)


def test_error_handler_gives_the_status(world: World) -> None:
    token = mint(exp=1)

    def handle(req: Any, resp: Any, error: Any, params: Any) -> None:
        resp.status = falcon.HTTP_401

    def prepare(app: Any) -> None:
        app.add_error_handler(jwt.InvalidTokenError, world.function(handle))

    world.serve(EXPIRED, get=lambda req, resp, item: verify(token), status=401, prepare=prepare)


def test_error_handler_that_lets_the_exception_out(world: World) -> None:
    token = mint()

    def get(req: Any, resp: Any, item: int) -> None:
        verify(token)
        raise ArithmeticError

    def handle(req: Any, resp: Any, error: Any, params: Any) -> None:
        raise error

    answer = world.serve(
        validated(),
        get=get,
        status=500,
        prepare=lambda app: app.add_error_handler(ArithmeticError, world.function(handle)),
    )
    assert isinstance(answer.error, ArithmeticError)


def verifying(world: World, token: str) -> list[Any]:
    return [world.object(process_request=lambda req, resp: verify(token))]


def test_path_nobody_serves(world: World) -> None:
    token = mint()
    world.serve(validated(), status=404, route=None, path="/nowhere", middleware=verifying(world, token))


def test_method_that_is_not_served(world: World) -> None:
    token = mint()
    post = world.object(on_post=print)
    world.serve(
        validated(), status=405, prepare=lambda app: app.add_route(ROUTE, post), middleware=verifying(world, token)
    )


def test_static_file(world: World, tmp_path: Path) -> None:
    token = mint()
    tmp_path.joinpath("7").write_bytes(b"seven")
    answer = world.serve(
        validated(),
        route=None,
        prepare=lambda app: app.add_static_route("/items", str(tmp_path)),
        middleware=verifying(world, token),
    )
    assert answer.body == b"seven"


def test_sink(world: World) -> None:
    token = mint()

    def sink(req: Any, resp: Any) -> None:
        verify(token)
        resp.status = falcon.HTTP_403

    world.serve(
        denied(), status=403, route=None, prepare=lambda app: app.add_sink(world.function(sink), prefix="/items")
    )


@pytest.mark.parametrize("base", [falcon.App, falcon.asgi.App])
def test_subclass_that_finds_responders_in_its_own_way(base: Any, trail: Trail) -> None:
    """It asks Falcon's, and takes another one; the route is Falcon's."""
    token = mint()
    world = World("wsgi" if base is falcon.App else "asgi", "none", trail)

    class Own(base):
        def _get_responder(self, req: Any) -> Any:
            _, *rest = super()._get_responder(req)
            return world.function(lambda req, resp, item: verify(token)), *rest

    app = Own()
    app.add_route(ROUTE, world.object(on_get=print))
    trail.clear()
    assert (wsgi if base is falcon.App else asgi)(app).status == 200
    check_events(trail, [validated()], route=ROUTE, status=200)


@pytest.mark.parametrize("telemetry", ["none", "contrib"])
def test_application_below_a_dispatcher(telemetry: str, trail: Trail) -> None:
    """Falcon does not know where it is mounted; its route is what it says it is."""
    token = mint()
    World("wsgi", telemetry, trail).serve(
        denied(),
        get=lambda req, resp, item: verify(token) and setattr(resp, "status", falcon.HTTP_403),
        status=403,
        path="/inner/items/7",
        around=lambda app: DispatcherMiddleware(falcon.App(), {"/inner": app}),
    )
