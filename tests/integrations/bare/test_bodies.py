"""WSGI bodies (PEP 3333): what the server gets is what the application gave, or behaves like it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest
from werkzeug.test import create_environ

from opentelemetry.instrumentation.pyjwt import AuditWSGIMiddleware
from tests.integrations.checks import check_events
from tests.integrations.drivers import AGENT, CLIENT, PATH
from tests.integrations.expectations import denied, validated
from tests.integrations.steps import verify
from tests.support import Trail, mint


def environ(**more: Any) -> dict[str, Any]:
    return create_environ(path=PATH, headers={"user-agent": AGENT}, environ_overrides={"REMOTE_ADDR": CLIENT, **more})


def start_response(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], object]:
    return lambda data: None


def verifying(token: str, body: Callable[[Any], Any]) -> AuditWSGIMiddleware:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        verify(token)
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return body(environ)

    return AuditWSGIMiddleware(app)


@pytest.mark.parametrize(
    "body",
    [[b"one", b"two"], (b"one", b"two"), FileWrapper(io.BytesIO(b"file"))],
    ids=["list", "tuple", "file"],
)
def test_body_the_server_may_treat_in_its_own_way_is_left_as_it_is(body: Any, trail: Trail) -> None:
    token = mint()
    trail.clear()
    given = environ(**{"wsgi.file_wrapper": FileWrapper})
    assert verifying(token, lambda environ: body)(given, start_response) is body
    check_events(trail, [denied()], route=None, status=403)


def test_body_is_closed_once_and_its_closing_belongs_to_the_request(trail: Trail) -> None:
    token, at_the_end = mint(), mint(jti="token-2")
    trail.clear()
    closed: list[bool] = []

    class Body:
        extra = "of the application"

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"one", b"two"])

        def close(self) -> None:
            verify(at_the_end)
            closed.append(True)

    body: Any = verifying(token, lambda environ: Body())(environ(), start_response)
    assert body.extra == "of the application"
    assert next(iter(body)) == b"one"  # and then the client has gone
    body.close()
    assert closed == [True]
    check_events(trail, [denied(), validated(**{"jwt.jti": "token-2"})], route=None, status=403)


def test_response_that_never_started(trail: Trail) -> None:
    """The application broke its contract with the server; the token was verified all the same."""
    token = mint()
    trail.clear()

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        verify(token)
        yield b""

    body: Any = AuditWSGIMiddleware(app)(environ(), start_response)
    assert list(body) == [b""]
    check_events(trail, [validated()], route=None, status=None)


def test_generator_that_fails_before_it_has_started_a_response(trail: Trail) -> None:
    token = mint()
    trail.clear()

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        verify(token)
        raise ArithmeticError
        yield

    with pytest.raises(ArithmeticError):
        list(AuditWSGIMiddleware(app)(environ(), start_response))
    check_events(trail, [validated()], route=None, status=500)


def test_status_that_started_first_stands(trail: Trail) -> None:
    """An application may start again with ``exc_info``, but what it decided it has decided."""
    token = mint()
    trail.clear()
    started: list[str] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        verify(token)
        start_response("403 Forbidden", [])
        start_response("500 Internal Server Error", [], (ArithmeticError, ArithmeticError(), None))
        return []

    AuditWSGIMiddleware(app)(environ(), lambda status, headers, exc_info=None: started.append(status))
    assert started == ["403 Forbidden", "500 Internal Server Error"]
    check_events(trail, [denied()], route=None, status=403)


def test_contract_with_the_server_is_kept(trail: Trail) -> None:
    """The standard library's own validator stands on both sides of the middleware."""
    token = mint()
    trail.clear()

    def stream(environ: Any) -> Iterator[bytes]:
        yield b"one"
        yield b"two"

    app = validator(AuditWSGIMiddleware(validator(verifying(token, stream))))
    body: Any = app(environ(SCRIPT_NAME=""), start_response)
    assert list(body) == [b"one", b"two"]
    body.close()
    check_events(trail, [denied()], route=None, status=403)
