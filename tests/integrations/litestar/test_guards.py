"""Litestar: what guards decide, and what an application tells of scopes in them."""

from __future__ import annotations

from typing import Any

import pytest
from litestar import Controller, Request, Response, Router, WebSocket, get, websocket
from litestar.exceptions import HTTPException, NotAuthorizedException, PermissionDeniedException

from opentelemetry.instrumentation.pyjwt import record_scope_check
from tests.integrations.expectations import ALL, UP_TO_EXP, denied, negative, rejected, validated
from tests.integrations.litestar.app import ROUTE, token_of
from tests.integrations.steps import verify

ITEM = "/items/{item:int}"
READER = {"scope": "read"}
SUFFICIENT = {
    "jwt.scope.required": {"read"},
    "jwt.scope.granted": {"read"},
    "jwt.scope.missing": None,
    "jwt.scope.outcome": "sufficient",
}
LACKING = {
    "jwt.scope.required": {"write"},
    "jwt.scope.granted": {"read"},
    "jwt.scope.missing": {"write"},
    "jwt.scope.outcome": "insufficient",
}
UNNAMED = {"jwt.scope.required": None, "jwt.scope.missing": None, "jwt.scope.outcome": None}
REFUSALS = [
    pytest.param(PermissionDeniedException, 403, id="403"),
    pytest.param(NotAuthorizedException, 401, id="401"),
    pytest.param(lambda: HTTPException(status_code=403), 403, id="own403"),
]


class Guard:
    """Verifies the token and then answers as it is told."""

    def __init__(self, refusal: Any = None, required: str | None = None) -> None:
        self.refusal = refusal
        self.required = required

    def __call__(self, connection: Any, handler: Any) -> None:
        verify(token_of(connection))
        if self.required is not None:
            record_scope_check(self.required)
        if self.refusal is not None:
            raise self.refusal()


@get(ITEM)
async def endpoint() -> None: ...


@get(ITEM)
async def never() -> None:
    raise AssertionError("the guard said no")


def test_guard_that_lets_through_says_nothing_of_scopes(served: Any) -> None:
    served(endpoint, validated(**UNNAMED), status=200, guards=[Guard()], claims=READER)


@pytest.mark.parametrize(("refusal", "status"), REFUSALS)
@pytest.mark.parametrize("layer", ["application", "router", "controller", "handler"])
def test_guard_that_refuses(layer: str, refusal: Any, status: int, served: Any) -> None:
    at = {layer: [Guard(refusal)]}

    class Items(Controller):
        path = "/"
        guards = at.get("controller")

        @get(ITEM, guards=at.get("handler"))
        async def endpoint(self) -> None:
            raise AssertionError("the guard said no")

    router = Router("/", route_handlers=[Items], guards=at.get("router"))
    served(router, denied(**UNNAMED), status=status, guards=at.get("application"))


@pytest.mark.parametrize(("refusal", "status"), REFUSALS)
@pytest.mark.parametrize("answer", [404, 401, 200])
def test_guard_that_refuses_and_an_exception_handler_that_answers(
    answer: int, refusal: Any, status: int, served: Any
) -> None:
    def handle(request: Request[Any, Any, Any], error: Exception) -> Response[None]:
        return Response(None, status_code=answer)

    served(never, denied(**UNNAMED), status=answer, guards=[Guard(refusal)], exception_handlers={HTTPException: handle})


@pytest.mark.parametrize(("error", "status"), [(ArithmeticError, 500), (lambda: HTTPException(status_code=404), 404)])
def test_guard_that_fails_otherwise_denies_nothing(error: Any, status: int, served: Any) -> None:
    served(never, validated(), status=status, guards=[Guard(error)])


def test_guard_that_refuses_a_token_which_it_could_not_verify(served: Any) -> None:
    def guard(connection: Any, handler: Any) -> None:
        try:
            verify(token_of(connection))
        except Exception as error:
            raise PermissionDeniedException from error

    expected = rejected("expired", UP_TO_EXP, **{"jwt.expires_in": negative})
    served(never, expected, status=403, guards=[guard], claims={"exp": 1})


def test_guard_that_refuses_a_websocket(served: Any) -> None:
    @websocket(ITEM)
    async def talk(socket: WebSocket[Any, Any, Any]) -> None:
        raise AssertionError("the guard said no")

    served(talk, denied(**UNNAMED), status=403, kind="websocket", guards=[Guard(NotAuthorizedException)])


# --- Scopes that the application tells of --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "expected"), [(200, validated), (401, lambda **more: rejected("refused", ALL, **more)), (403, denied)]
)
def test_sufficient(status: int, expected: Any, served: Any) -> None:
    @get(ITEM)
    async def answer() -> Response[None]:
        return Response(None, status_code=status)

    served(answer, expected(**SUFFICIENT), status=status, guards=[Guard(required="read")], claims=READER)


@pytest.mark.parametrize(("refusal", "status"), REFUSALS)
def test_insufficient_and_refused(refusal: Any, status: int, served: Any) -> None:
    served(never, denied(**LACKING), status=status, guards=[Guard(refusal, "write")], claims=READER)


def test_insufficient_and_yet_served(served: Any) -> None:
    served(endpoint, denied(**LACKING), status=200, guards=[Guard(required="write")], claims=READER)


def test_sufficient_and_refused_by_another_guard(served: Any) -> None:
    guards = [Guard(required="read"), Guard(NotAuthorizedException)]
    served(never, denied(**SUFFICIENT), status=401, guards=guards, claims=READER, route=ROUTE)
