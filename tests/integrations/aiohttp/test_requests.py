"""aiohttp: middlewares of both styles, exceptions that are responses, others' tasks and threads."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.integrations.aiohttp.app import ROUTE, Handler, never, routed, serving, verifying
from tests.integrations.checks import check_events
from tests.integrations.drivers import http
from tests.integrations.expectations import ALL, denied, rejected, validated
from tests.integrations.steps import verify
from tests.support import Trail, mint

# --- Answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        (web.HTTPUnauthorized, 401, rejected("refused", ALL)),
        (web.HTTPForbidden, 403, denied()),
        (web.HTTPNotFound, 404, validated()),
        (web.HTTPNoContent, 204, validated()),
        (web.HTTPInternalServerError, 500, validated()),
        (ArithmeticError, 500, validated()),
        (asyncio.TimeoutError, 504, validated()),
    ],
)
def test_handler_that_raises(error: type[Exception], status: int, expected: Any, served: Any) -> None:
    token = mint()

    async def endpoint(request: web.Request) -> web.Response:
        verify(token)
        raise error

    served(lambda: routed(endpoint), expected, status=status)


def test_request_that_is_cancelled_has_no_answer(served: Any) -> None:
    token = mint()

    async def endpoint(request: web.Request) -> web.Response:
        verify(token)
        task = asyncio.current_task()
        assert task is not None
        task.cancel()  # as the server does, if it is told to, when the client has gone
        await asyncio.sleep(0)
        raise AssertionError("it was cancelled before")

    served(lambda: routed(endpoint), validated(), status=0)


def test_class_based_view(served: Any) -> None:
    token = mint()

    class View(web.View):
        async def get(self) -> web.Response:
            verify(token)
            return web.Response(status=403)

    served(lambda: routed(View), denied(), status=403)


def test_signal_before_the_response_is_sent_is_of_the_request(telemetry: str, trail: Trail) -> None:
    """OpenTelemetry's span has ended by then."""
    token = mint()

    async def endpoint(request: web.Request) -> web.Response:
        return web.Response(status=403)

    async def prepare(request: web.Request, response: web.StreamResponse) -> None:
        verify(token)

    def make() -> web.Application:
        app = routed(endpoint)
        app.on_response_prepare.append(prepare)
        return app

    with serving(make, telemetry) as port:
        trail.clear()
        assert http(port).status == 403
    check_events(trail, [denied()], route=ROUTE, status=403)


def test_file(served: Any, tmp_path: Path) -> None:
    token = mint()
    (tmp_path / "page.txt").write_bytes(b"page")

    async def endpoint(request: web.Request) -> web.FileResponse:
        verify(token)
        return web.FileResponse(tmp_path / "page.txt")

    assert served(lambda: routed(endpoint), validated(), status=200).body == b"page"


# --- Middlewares --------------------------------------------------------------------------------------------------


def test_middleware_and_handler_look_at_the_same_token(served: Any) -> None:
    token = mint()

    async def endpoint(request: web.Request) -> web.Response:
        return web.Response(text=verify(token)["sub"])

    served(lambda: routed(endpoint, middlewares=[verifying(token)]), validated(), status=200)


@pytest.mark.parametrize(("status", "expected"), [(401, rejected("refused", ALL)), (403, denied())])
def test_middleware_that_refuses(status: int, expected: Any, served: Any) -> None:
    token = mint()
    served(lambda: routed(never, middlewares=[verifying(token, status)]), expected, status=status)


@pytest.mark.filterwarnings("ignore:old-style middleware:DeprecationWarning")
def test_old_style_middleware_that_refuses(served: Any) -> None:
    token = mint()

    async def factory(app: web.Application, handler: Handler) -> Handler:
        async def middleware(request: web.Request) -> web.Response:
            verify(token)
            raise web.HTTPForbidden

        return middleware

    served(lambda: routed(never, middlewares=[factory]), denied(), status=403)


def test_middleware_that_makes_an_answer_of_the_error(served: Any) -> None:
    token = mint()

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except ArithmeticError:
            return web.Response(status=401)

    async def endpoint(request: web.Request) -> web.Response:
        verify(token)
        raise ArithmeticError

    served(lambda: routed(endpoint, middlewares=[middleware]), rejected("refused", ALL), status=401)


# --- Elsewhere ----------------------------------------------------------------------------------------------------


def test_task_that_outlives_its_request_belongs_to_it(telemetry: str, trail: Trail) -> None:
    early, late = mint(), mint(jti="token-2")
    tasks: list[asyncio.Task[Any]] = []

    async def endpoint(request: web.Request) -> web.Response:
        async def work(answered: asyncio.Event) -> None:
            await answered.wait()
            verify(late)

        if tasks:  # the second request lets what the first began come to its end
            answered.set()
            await tasks[0]
            return web.Response()
        verify(early)
        tasks.append(asyncio.create_task(work(answered)))
        return web.Response(status=403)

    answered = asyncio.Event()
    with serving(lambda: routed(endpoint), telemetry) as port:
        trail.clear()
        assert [http(port).status, http(port).status] == [403, 200]
    check_events(trail, [denied(), validated(**{"jwt.jti": "token-2"})], route=ROUTE, status=403)


def test_executor_loses_the_request(telemetry: str, trail: Trail) -> None:
    """``run_in_executor`` takes no context along, ``to_thread`` does."""
    lost, kept = mint(), mint(jti="token-2")

    async def endpoint(request: web.Request) -> web.Response:
        await asyncio.get_running_loop().run_in_executor(None, verify, lost)
        await asyncio.to_thread(verify, kept)
        return web.Response(status=403)

    with serving(lambda: routed(endpoint), telemetry) as port:
        trail.clear()
        assert http(port).status == 403
    outside, inside = trail.events
    assert (outside["event"], outside["jwt.jti"], outside["trace_id"]) == ("jwt.validated", "token-1", 0)
    assert [name for name in outside if name.startswith(("http.", "client."))] == []
    assert (inside["event"], inside["jwt.jti"], inside["http.route"]) == ("jwt.denied", "token-2", ROUTE)
