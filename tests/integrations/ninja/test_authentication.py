"""django-ninja: what its authentication says of a token, whatever the API answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jwt
import ninja.errors
import pytest
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Router
from ninja.errors import AuthenticationError, HttpError
from ninja.security import APIKeyHeader, HttpBearer

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from tests.integrations.expectations import ALL, UP_TO_EXP, UP_TO_SIGNATURE, denied, negative, rejected, validated
from tests.integrations.ninja.app import mounted, new
from tests.integrations.steps import verify
from tests.support import OTHER_KEY, mint


def subject(token: str) -> str | None:
    """Of a token that is good, unless it is nobody's that is known here."""
    try:
        name: str = verify(token)["sub"]
    except jwt.PyJWTError:
        return None
    return name if name == "alice" else None


class Bearer(HttpBearer):
    def authenticate(self, request: HttpRequest, token: str) -> Any:
        return subject(token)


class AsyncBearer(HttpBearer):
    async def authenticate(self, request: HttpRequest, token: str) -> Any:
        return subject(token)


class Key(APIKeyHeader):
    param_name = "x-key"

    def authenticate(self, request: HttpRequest, key: str | None) -> Any:
        return key or None


def by_function(request: HttpRequest) -> Any:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return subject(token) if scheme == "Bearer" else None


# How the operation is written, and how its authentication.
KINDS = {
    "sync": ("sync", Bearer()),
    "sync_function": ("sync", by_function),
    "async": ("async", AsyncBearer()),
    "async_sync_authentication": ("async", Bearer()),
    "async_function": ("async", by_function),
}
kinds = pytest.mark.parametrize(("kind", "auth"), KINDS.values(), ids=KINDS)


def with_operation(api: Any, kind: str, answer: Callable[[HttpRequest], Any] = lambda request: "served") -> Any:
    """The API, or a router, with an operation that answers this."""
    if kind == "sync":

        @api.get("/{int:item}")
        def operation(request: HttpRequest, item: int) -> str:
            return answer(request)
    else:

        @api.get("/{int:item}")
        async def operation(request: HttpRequest, item: int) -> str:
            return answer(request)

    return api


def presenting(token: str | None, **headers: str) -> dict[str, str]:
    return headers if token is None else {"authorization": f"Bearer {token}", **headers}


@pytest.fixture
def asked(served: Any) -> Callable[..., None]:
    """Call it with an API and a token for one request."""

    def serve(api: NinjaAPI, token: str | None, *expected: Any, status: int, **options: Any) -> None:
        options = {"headers": presenting(token), "urls": lambda view: mounted(api), **options}
        served(None, *expected, status=status, **options)

    return serve


@kinds
def test_verdicts(kind: str, auth: Any, asked: Any) -> None:
    api = with_operation(new(auth=auth), kind)
    asked(api, mint(), validated(), status=200)
    bob = {"jwt.sub": "bob", "user.id": "bob"}
    asked(api, mint(sub="bob"), rejected("refused", ALL, **bob), status=401)
    asked(api, mint(exp=1), rejected("expired", UP_TO_EXP, **{"jwt.expires_in": negative}), status=401)
    asked(api, mint(OTHER_KEY), rejected("invalid_signature", UP_TO_SIGNATURE, verified=False), status=401)
    asked(api, None, status=401)


@kinds
def test_answers_of_the_applications_own(kind: str, auth: Any, asked: Any) -> None:
    """They tell nothing of why; the reason that PyJWT has is the better one."""
    api = with_operation(new(auth=auth), kind)

    @api.exception_handler(AuthenticationError)
    def hide(request: HttpRequest, exc: Exception) -> HttpResponse:
        return HttpResponse(status=404)

    bob = {"jwt.sub": "bob", "user.id": "bob"}
    asked(api, mint(sub="bob"), rejected("refused", ALL, **bob), status=404)
    asked(api, mint(exp=1), rejected("expired", UP_TO_EXP, **{"jwt.expires_in": negative}), status=404)
    asked(api, None, status=404)


@kinds
def test_the_next_authentication_accepts_the_request(kind: str, auth: Any, asked: Any) -> None:
    """By a key: then nobody has said no to the token."""
    api = with_operation(new(auth=[auth, Key()]), kind)
    token = mint(sub="bob")
    bob = {"jwt.sub": "bob", "user.id": "bob"}
    asked(api, token, validated(**bob), status=200, headers=presenting(token, **{"x-key": "key"}))
    asked(api, token, rejected("refused", ALL, **bob), status=401)


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        (HttpError(403, "no"), 403, denied()),
        (HttpError(409, "no"), 409, validated()),
        (AuthenticationError(), 401, rejected("refused", ALL)),
        (ArithmeticError(), 500, validated()),
    ],
    ids=["forbidden", "conflict", "unauthenticated", "unhandled"],
)
@pytest.mark.parametrize("where", ["authentication", "operation"])
def test_raised(where: str, error: Exception, status: int, expected: Any, kind: str, asked: Any) -> None:
    def fail(request: HttpRequest) -> Any:
        by_function(request)
        raise error

    api = with_operation(new(auth=fail), kind) if where == "authentication" else with_operation(new(), kind, fail)
    asked(api, mint(), expected, status=status)


if hasattr(ninja.errors, "AuthorizationError"):  # since 1.4

    @pytest.mark.parametrize("kind", ["sync", "async"])
    def test_not_authorized(kind: str, asked: Any) -> None:
        def fail(request: HttpRequest) -> Any:
            raise ninja.errors.AuthorizationError

        api = with_operation(new(auth=by_function), kind, fail)
        asked(api, mint(), denied(), status=403)
        api.add_exception_handler(ninja.errors.AuthorizationError, lambda request, exc: HttpResponse(status=404))
        asked(api, mint(), denied(), status=404)
        asked(api, None, status=401)


def test_routers_name_the_whole_route(asked: Any) -> None:
    api, router = new(auth=Bearer()), Router()
    api.add_router("/shop/", with_operation(router, "async"))
    where = {"route": "items/shop/<int:item>", "at": "/items/shop/7"}
    asked(api, mint(), validated(), status=200, **where)
    bob = {"jwt.sub": "bob", "user.id": "bob"}
    asked(api, mint(sub="bob"), rejected("refused", ALL, **bob), status=401, **where)


def test_it_is_as_it_was_when_switched_off(instrument: Any) -> None:
    before = vars(NinjaAPI)["on_exception"]
    instrument()
    assert vars(NinjaAPI)["on_exception"] is not before
    PyJWTInstrumentor().uninstrument()
    assert vars(NinjaAPI)["on_exception"] is before
