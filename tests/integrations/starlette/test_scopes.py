"""Starlette: ``@requires`` and ``has_required_scope`` say what is required, granted and allowed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import starlette.authentication
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser, has_required_scope, requires
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from tests.integrations.checks import check_events, check_no_span, check_span
from tests.integrations.drivers import PATH, Answer, asgi_async
from tests.integrations.expectations import ALL, denied, rejected, validated
from tests.integrations.starlette.app import instrumented
from tests.integrations.steps import verify
from tests.support import Trail, mint

ROUTE = "/items/{item}"
GRANTED = {"jwt.scope.granted": {"authenticated", "read"}, "jwt.scope.missing": None}
LACKING = {
    "jwt.scope.required": {"write"},
    "jwt.scope.granted": {"authenticated", "read"},
    "jwt.scope.missing": {"write"},
    "jwt.scope.outcome": "insufficient",
}


class Backend(AuthenticationBackend):
    """Grants what the token does, and ``authenticated``."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser] | None:
        token = conn.headers.get("x-tokens")
        if token is None:
            return None
        claims = verify(token)
        return AuthCredentials(["authenticated", *claims.get("scope", "").split()]), SimpleUser(claims["sub"])


def never(request: Request) -> Response:
    raise AssertionError("the scope is not granted")


def view(kind: str, answer: Callable[[Request], Response], *required: Any, **options: Any) -> Any:
    """A view that requires these scopes."""
    if kind == "sync":

        @requires(*required, **options)
        def endpoint(request: Request) -> Response:
            return answer(request)
    else:

        @requires(*required, **options)
        async def endpoint(request: Request) -> Response:
            return answer(request)

    return endpoint


kinds = pytest.mark.parametrize("kind", ["sync", "async"])


@pytest.fixture(params=["none", "contrib"])
def served(request: pytest.FixtureRequest, trail: Trail) -> Callable[..., Answer]:
    """Call it with an endpoint and what must be said of a token; it makes one request, or one handshake, and checks."""

    def serve(
        endpoint: Any, *expected: dict[str, Any], status: int, kind: str = "http", present: bool = True, **claims: Any
    ) -> Answer:
        route = Route(ROUTE, endpoint, name="items") if kind == "http" else WebSocketRoute(ROUTE, endpoint)
        login = Route("/login", never, name="login")
        headers = {"x-tokens": mint(scope="read", **claims)} if present else {}
        app = Starlette(routes=[route, login], middleware=[Middleware(AuthenticationMiddleware, backend=Backend())])
        with instrumented(app, request.param):
            trail.clear()
            answer = asyncio.run(asgi_async(app, PATH, headers, kind=kind))
        assert answer.status == status, answer.error
        check_events(trail, expected, route=ROUTE, status=status)
        if request.param == "none":
            check_no_span(trail)
        else:
            check_span(trail, -1)
        return answer

    return serve


@kinds
@pytest.mark.parametrize("required", ["read", ["read", "authenticated"]])
@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, validated), (404, validated), (403, denied), (401, lambda **more: rejected("refused", ALL, **more))],
)
def test_granted(kind: str, required: Any, status: int, expected: Any, served: Any) -> None:
    names = {required} if isinstance(required, str) else set(required)
    more = {**GRANTED, "jwt.scope.required": names, "jwt.scope.outcome": "sufficient"}
    served(view(kind, lambda request: Response(status_code=status), required), expected(**more), status=status)


@kinds
@pytest.mark.parametrize("status", [403, 401, 404])
def test_not_granted_and_refused(kind: str, status: int, served: Any) -> None:
    options = {} if status == 403 else {"status_code": status}
    served(view(kind, never, "write", **options), denied(**LACKING), status=status)


@kinds
def test_not_granted_and_sent_elsewhere(kind: str, served: Any) -> None:
    served(view(kind, never, "write", redirect="login"), denied(**LACKING), status=303)


@kinds
def test_one_of_two_is_not_granted(kind: str, served: Any) -> None:
    lacking = {**LACKING, "jwt.scope.required": {"read", "write"}}
    served(view(kind, never, ["read", "write"]), denied(**lacking), status=403)


@pytest.mark.parametrize("ask", [has_required_scope, lambda *args: starlette.authentication.has_required_scope(*args)])
def test_not_granted_and_yet_served(ask: Any, served: Any) -> None:
    """Asked by the application itself, by a name it imported before or by the module's."""

    def endpoint(request: Request) -> Response:
        return Response(str(ask(request, ["write"])))

    assert served(endpoint, denied(**LACKING), status=200).body == b"False"


def test_asked_twice(served: Any) -> None:
    def endpoint(request: Request) -> Response:
        assert has_required_scope(request, ["authenticated"])
        assert has_required_scope(request, scopes=("read",))
        return Response()

    more = {**GRANTED, "jwt.scope.required": {"authenticated", "read"}, "jwt.scope.outcome": "sufficient"}
    served(endpoint, validated(**more), status=200)


@kinds
def test_nothing_required(kind: str, served: Any) -> None:
    nothing = {"jwt.scope.required": None, "jwt.scope.outcome": None, "jwt.scope.granted": {"read"}}
    served(view(kind, lambda request: Response(), []), validated(**nothing), status=200)


@kinds
def test_no_token(kind: str, served: Any) -> None:
    served(view(kind, never, "authenticated"), status=403, present=False)


def test_websocket_that_is_accepted(served: Any) -> None:
    @requires("read")
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()

    more = {**GRANTED, "jwt.scope.required": {"read"}, "jwt.scope.outcome": "sufficient"}
    served(endpoint, validated(**more), status=101, kind="websocket")


def test_websocket_that_is_refused(served: Any) -> None:
    @requires("write")
    async def endpoint(websocket: WebSocket) -> None:
        raise AssertionError("the scope is not granted")

    served(endpoint, denied(**LACKING), status=403, kind="websocket")


def test_credentials_that_decide_for_themselves(served: Any) -> None:
    """What Starlette allows is not missing, whatever the list says."""

    class Everything(list[str]):
        def __contains__(self, scope: object) -> bool:
            return True

    @requires("write")
    def endpoint(request: Request) -> Response:
        return Response()

    def with_everything(request: Request) -> Any:
        request.auth.scopes = Everything(["*"])
        return endpoint(request)

    more = {"jwt.scope.granted": {"*"}, "jwt.scope.required": {"write"}, "jwt.scope.missing": None}
    served(with_everything, validated(**more, **{"jwt.scope.outcome": "sufficient"}), status=200)


def test_a_check_that_fails_decides_nothing(served: Any) -> None:
    def endpoint(request: Request) -> Response:
        del request.scope["auth"]
        with pytest.raises(AssertionError, match="AuthenticationMiddleware must be installed"):
            has_required_scope(request, ["write"])
        return Response()

    served(endpoint, validated(), status=200)


def test_starlette_is_as_it_was_when_switched_off(instrument: Any) -> None:
    before = has_required_scope.__code__
    instrument()
    assert has_required_scope.__code__ is not before
    PyJWTInstrumentor().uninstrument()
    assert has_required_scope.__code__ is before
