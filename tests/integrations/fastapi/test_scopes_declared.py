"""FastAPI: a route requires what is declared anywhere in its tree of dependencies, whoever verifies the token."""

from __future__ import annotations

from enum import Enum
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response, Security
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser, requires
from starlette.middleware.authentication import AuthenticationMiddleware

from tests.integrations.checks import check_events
from tests.integrations.drivers import asgi
from tests.integrations.expectations import denied, insufficient, sufficient, validated
from tests.integrations.fastapi.app import instrumented, new
from tests.integrations.fastapi.scopes import ROUTE, Bearer, careless_user, sync_user
from tests.integrations.steps import verify
from tests.support import Trail, mint


def test_below_other_dependencies(app: FastAPI, served: Any) -> None:
    """Each level requires its own; the innermost has the list of all above it, and of none beside it."""

    comparing_user = sync_user(403)

    def active_user(claims: Any = Security(comparing_user, scopes=["me"])) -> Any:
        return claims

    async def session(claims: Any = Depends(active_user)) -> Any:
        return claims

    @app.get(ROUTE)
    def endpoint(
        item: int,
        first: Any = Security(session, scopes=["items"]),
        second: Any = Security(careless_user, scopes=["other", "items"]),
    ) -> None: ...

    lacks = insufficient({"me", "items", "other"}, {"me", "items"}, {"other"})
    served(denied(**lacks), status=200, scope="me items")


def test_on_application_routers_and_their_inclusion(telemetry: str, trail: Trail) -> None:
    """Once for each of two routes, and the one has none of the other's."""
    app = new(telemetry, dependencies=[Security(careless_user, scopes=["app"])])
    inner = APIRouter(dependencies=[Security(careless_user, scopes=["inner"])])
    outer = APIRouter(prefix="/outer", dependencies=[Security(careless_user, scopes=["outer"])])

    @inner.get(ROUTE, dependencies=[Security(careless_user, scopes=["route"])])
    def endpoint(item: int) -> None: ...

    @outer.get("/other")
    def other() -> None: ...

    outer.include_router(inner, prefix="/inner", dependencies=[Security(careless_user, scopes=["included"])])
    app.include_router(outer)
    token = mint(scope="app outer")
    with instrumented(app, telemetry):
        trail.clear()
        assert asgi(app, "/outer/inner/items/7", {"x-tokens": token}).status == 200
        everything = {"app", "outer", "included", "inner", "route"}
        lacks = insufficient(everything, {"app", "outer"}, {"included", "inner", "route"})
        check_events(trail, [denied(**lacks)], route="/outer/inner/items/{item}", status=200)
        trail.clear()
        assert asgi(app, "/outer/other", {"x-tokens": token}).status == 200
        check_events(trail, [validated(**sufficient({"app", "outer"}))], route="/outer/other", status=200)


def test_mounted_application_requires_its_own(app: FastAPI, served: Any) -> None:
    inner = new("none")
    app.router.dependencies.append(Security(careless_user, scopes=["outer"]))  # a mount has none of these

    @inner.get(ROUTE, dependencies=[Security(careless_user, scopes=["inner"])])
    def endpoint(item: int) -> None: ...

    app.mount("/mounted", inner)
    served(
        validated(**sufficient({"inner"})),
        status=200,
        path="/mounted/items/7",
        route="/mounted/items/{item}",
        scope="inner",
    )


def test_members_of_an_enumeration(app: FastAPI, served: Any) -> None:
    class Scope(str, Enum):
        READ = "orders:read"
        WRITE = "orders:write"

    @app.get(ROUTE, dependencies=[Security(careless_user, scopes=[Scope.READ, Scope.WRITE])])
    def endpoint(item: int) -> None: ...

    lacks = insufficient({"orders:read", "orders:write"}, {"orders:read"}, {"orders:write"})
    served(denied(**lacks), status=200, scope="orders:read")


# --- Around the endpoint ------------------------------------------------------------------------------------------


def test_token_verified_by_a_middleware_already(app: FastAPI, served: Any) -> None:
    @app.middleware("http")
    async def check(request: Request, call_next: Any) -> Response:
        verify(request.headers["x-tokens"])
        return await call_next(request)

    @app.get(ROUTE, dependencies=[Security(sync_user(403), scopes=["orders:write"])])
    def endpoint(item: int) -> None: ...

    lacks = insufficient({"orders:write"}, {"orders:read"}, {"orders:write"})
    served(denied(**lacks), status=403, scope="orders:read")


def test_token_verified_in_the_endpoint_alone(app: FastAPI, served: Any) -> None:
    @app.get(ROUTE, dependencies=[Security(lambda: None, scopes=["orders:write"])])
    async def endpoint(item: int, token: str = Bearer) -> None:
        verify(token)

    served(validated(**sufficient({"orders:write"})), status=200, scope="orders:write")


def test_with_scopes_that_starlette_requires(app: FastAPI, served: Any) -> None:
    """What the one was told is granted does not hide what the other found in the token."""

    class Backend(AuthenticationBackend):
        async def authenticate(self, conn: Any) -> tuple[AuthCredentials, SimpleUser]:
            return AuthCredentials(["authenticated"]), SimpleUser(verify(conn.headers["x-tokens"])["sub"])

    app.add_middleware(AuthenticationMiddleware, backend=Backend())

    @app.get(ROUTE, dependencies=[Security(sync_user(403), scopes=["orders:read"])])
    @requires("authenticated")
    async def endpoint(request: Request, item: int) -> None: ...

    served(validated(**sufficient({"authenticated", "orders:read"})), status=200, scope="orders:read")
