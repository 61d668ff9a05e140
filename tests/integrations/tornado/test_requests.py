"""Tornado: what runs before the handler's method, errors of all kinds."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tornado import gen
from tornado.web import Application, Finish, HTTPError, RequestHandler, authenticated

from tests.integrations.checks import check_events
from tests.integrations.drivers import http
from tests.integrations.expectations import ALL, denied, rejected, validated
from tests.integrations.steps import verify
from tests.integrations.tornado.app import ROUTE, RULE, serving
from tests.support import Trail, mint

# --- Before the method --------------------------------------------------------------------------------------------


def test_all_that_runs_looks_at_the_same_token(served: Any) -> None:
    token = mint()

    class Item(RequestHandler):
        async def prepare(self) -> None:
            verify(token)

        def get_current_user(self) -> str:
            return verify(token)["sub"]

        @authenticated
        @gen.coroutine
        def get(self, item: str) -> Any:
            yield asyncio.sleep(0)
            self.set_status(403)
            self.write(verify(token)["sub"])

        def on_finish(self) -> None:
            verify(token)

    served(Item, denied(), status=403)


@pytest.mark.parametrize(("status", "expected"), [(401, rejected("refused", ALL)), (403, denied())])
def test_prepare_that_answers(status: int, expected: Any, served: Any) -> None:
    token = mint()

    class Item(RequestHandler):
        def prepare(self) -> None:
            verify(token)
            self.set_status(status)
            self.finish()

        def get(self, item: str) -> None:
            raise AssertionError("it was refused before")

    served(Item, expected, status=status)


@pytest.mark.parametrize(("status", "expected"), [(401, rejected("refused", ALL)), (403, denied())])
def test_prepare_that_raises(status: int, expected: Any, served: Any) -> None:
    token = mint()

    class Item(RequestHandler):
        async def prepare(self) -> None:
            await asyncio.sleep(0)
            verify(token)
            raise HTTPError(status)

        def get(self, item: str) -> None:
            raise AssertionError("it was refused before")

    served(Item, expected, status=status)


def test_user_that_is_sent_to_log_in(served: Any) -> None:
    token = mint()

    class Item(RequestHandler):
        def get_current_user(self) -> None:
            verify(token)

        @authenticated
        def get(self, item: str) -> None:
            raise AssertionError("it was refused before")

    served(Application([(RULE, Item)], login_url="/login"), validated(), status=302)


# --- Errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        (HTTPError(401), 401, rejected("refused", ALL)),
        (HTTPError(403), 403, denied()),
        (HTTPError(404), 404, validated()),
        (HTTPError(500), 500, validated()),
        (ArithmeticError(), 500, validated()),
    ],
)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_method_that_raises(asynchronous: bool, error: Exception, status: int, expected: Any, served: Any) -> None:
    token = mint()

    class Item(RequestHandler):
        def get(self, item: str) -> None:
            verify(token)
            raise error

    class AsyncItem(RequestHandler):
        async def get(self, item: str) -> None:
            await asyncio.sleep(0)
            verify(token)
            raise error

    served(AsyncItem if asynchronous else Item, expected, status=status)


def test_method_that_sends_an_error(served: Any) -> None:
    token = mint()

    class Item(RequestHandler):
        def get(self, item: str) -> None:
            verify(token)
            self.send_error(403)

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.finish(verify(token)["sub"])

    assert served(Item, denied(), status=403).body == b"alice"


def test_method_that_finishes_early(served: Any) -> None:
    token = mint()

    class Item(RequestHandler):
        def get(self, item: str) -> None:
            verify(token)
            self.set_status(401)
            raise Finish

    served(Item, rejected("refused", ALL), status=401)


def test_error_page_has_the_last_word_on_the_status(telemetry: str, trail: Trail) -> None:
    """OpenTelemetry's span has ended with the error by then."""
    token = mint()

    class Item(RequestHandler):
        def get(self, item: str) -> None:
            verify(token)
            raise HTTPError(404)

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.set_status(403)
            self.finish()

    with serving(Application([(RULE, Item)]), telemetry) as port:
        trail.clear()
        assert http(port).status == 403
    check_events(trail, [denied()], route=ROUTE, status=403)


def test_exception_once_the_response_has_started(served: Any) -> None:
    token = mint()

    class Item(RequestHandler):
        async def get(self, item: str) -> None:
            verify(token)
            self.write("part")
            await self.flush()
            raise HTTPError(403)

    served(Item, validated(), status=200)
