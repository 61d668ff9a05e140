"""FastAPI: scopes declared with ``Security`` count, whether anybody compares them or not."""

from __future__ import annotations

from typing import Any

import fastapi.routing
import pytest
from fastapi import Depends, FastAPI, HTTPException, Response, Security, WebSocket, WebSocketException
from fastapi.security import SecurityScopes

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from tests.integrations.expectations import (
    ALL,
    NOTHING_REQUIRED,
    UP_TO_EXP,
    denied,
    insufficient,
    negative,
    rejected,
    sufficient,
    validated,
)
from tests.integrations.fastapi.scopes import (
    ROUTE,
    Bearer,
    async_user,
    async_yielding_user,
    careless_user,
    sync_user,
    sync_yielding_user,
)
from tests.integrations.steps import fails, verify

users = pytest.mark.parametrize("user", [sync_user, async_user, sync_yielding_user, async_yielding_user])


@users
def test_granted(user: Any, app: FastAPI, served: Any) -> None:
    @app.get(ROUTE, dependencies=[Security(user(403), scopes=["orders:write"])])
    def endpoint(item: int) -> None: ...

    both = {"orders:read", "orders:write"}
    served(validated(**sufficient({"orders:write"}, both)), status=200, scope="orders:read orders:write")


@users
@pytest.mark.parametrize("status", [403, 401, 404])
def test_not_granted_and_refused_by_the_dependency(user: Any, status: int, app: FastAPI, served: Any) -> None:
    dependency = user(status)

    @app.get(ROUTE)
    def endpoint(item: int, claims: Any = Security(dependency, scopes=["orders:write"])) -> None:
        raise AssertionError("the scope is not granted")

    lacks = insufficient({"orders:write"}, {"orders:read"}, {"orders:write"})
    served(denied(**lacks), status=status, scope="orders:read")


@users
def test_not_granted_and_yet_served(user: Any, app: FastAPI, served: Any) -> None:
    dependency = user(None)

    @app.get(ROUTE)
    async def endpoint(item: int, claims: Any = Security(dependency, scopes=["orders:write"])) -> None: ...

    lacks = insufficient({"orders:write"}, {"orders:read"}, {"orders:write"})
    served(denied(**lacks), status=200, scope="orders:read")


@pytest.mark.parametrize("status", [200, 401, 403, 500])
def test_not_granted_and_nobody_asks(status: int, app: FastAPI, served: Any) -> None:
    @app.get(ROUTE, dependencies=[Security(careless_user, scopes=["orders:write", "orders:read"])])
    def endpoint(item: int) -> Response:
        return Response(status_code=status)

    lacks = insufficient({"orders:write", "orders:read"}, {"orders:read"}, {"orders:write"})
    served(denied(**lacks), status=status, scope="orders:read")


def test_token_that_grants_nothing(app: FastAPI, served: Any) -> None:
    @app.get(ROUTE, dependencies=[Security(sync_user(403), scopes=["admin"])])
    def endpoint(item: int) -> None: ...

    served(denied(**insufficient({"admin"}, None, {"admin"})), status=403)


@pytest.mark.parametrize(
    ("status", "expected"), [(403, denied), (401, lambda **more: rejected("refused", ALL, **more))]
)
def test_granted_but_refused_for_other_reasons(status: int, expected: Any, app: FastAPI, served: Any) -> None:
    @app.get(ROUTE, dependencies=[Security(async_user(403), scopes=["orders:read"])])
    def endpoint(item: int) -> None:
        raise HTTPException(status)

    served(expected(**sufficient({"orders:read"})), status=status, scope="orders:read")


def test_token_that_is_not_accepted_has_no_outcome(app: FastAPI, served: Any) -> None:
    def user(token: str = Bearer) -> None:
        fails(verify, token)
        raise HTTPException(401)

    @app.get(ROUTE, dependencies=[Security(user, scopes=["orders:read"])])
    def endpoint(item: int) -> None: ...

    more = {"jwt.expires_in": negative, **NOTHING_REQUIRED}
    served(rejected("expired", UP_TO_EXP, **more), status=401, exp=1, scope="orders:write")


def test_nothing_required(app: FastAPI, served: Any) -> None:
    @app.get(ROUTE, dependencies=[Security(sync_user(403)), Depends(lambda: None)])
    def endpoint(item: int) -> None: ...

    served(validated(**NOTHING_REQUIRED), status=200, scope="orders:read")


@pytest.mark.parametrize("accepts", ["first", "last"])
def test_websocket_that_is_accepted(accepts: str, app: FastAPI, served: Any) -> None:
    """Also where the handshake is accepted before the token is looked at: denied then, and not validated before."""

    async def user(websocket: WebSocket) -> None:
        if accepts == "first":
            await websocket.accept()
        verify(websocket.headers["x-tokens"])

    @app.websocket(ROUTE)
    async def endpoint(websocket: WebSocket, item: int, claims: Any = Security(user, scopes=["orders:write"])) -> None:
        if accepts == "last":
            await websocket.accept()

    lacks = insufficient({"orders:write"}, {"orders:read"}, {"orders:write"})
    served(denied(**lacks), status=101, kind="websocket", scope="orders:read")


def test_websocket_that_is_refused(app: FastAPI, served: Any) -> None:
    async def user(required: SecurityScopes, token: str = Bearer) -> None:
        if not set(required.scopes) <= set(verify(token)["scope"].split()):
            raise WebSocketException(1008)

    @app.websocket(ROUTE)
    async def endpoint(websocket: WebSocket, item: int, claims: Any = Security(user, scopes=["orders:write"])) -> None:
        raise AssertionError("the scope is not granted")

    lacks = insufficient({"orders:write"}, {"orders:read"}, {"orders:write"})
    served(denied(**lacks), status=403, kind="websocket", scope="orders:read")


def test_fastapi_is_as_it_was_when_switched_off(instrument: Any) -> None:
    before = fastapi.routing.solve_dependencies
    instrument()
    assert fastapi.routing.solve_dependencies is not before
    PyJWTInstrumentor().uninstrument()
    assert fastapi.routing.solve_dependencies is before
