"""FastAPI: dependencies, routers and mounts, under contrib's instrumentation, the built-in telemetry, and neither."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.applications import Starlette
from starlette.routing import Route

from tests.integrations.checks import check_events, check_no_span, check_span
from tests.integrations.drivers import Answer, asgi
from tests.integrations.expectations import ALL, UP_TO_EXP, denied, negative, rejected, validated
from tests.integrations.fastapi.app import TELEMETRY, instrumented, new
from tests.integrations.steps import verify
from tests.support import Trail, mint

bearer = HTTPBearer()


def sync_claims(credentials: HTTPAuthorizationCredentials = Security(bearer)) -> Any:
    return verify(credentials.credentials)


async def async_claims(credentials: HTTPAuthorizationCredentials = Security(bearer)) -> Any:
    return verify(credentials.credentials)


def yielding_claims(credentials: HTTPAuthorizationCredentials = Security(bearer)) -> Iterator[Any]:
    yield verify(credentials.credentials)
    verify(credentials.credentials)  # after the response: nothing new


dependencies = pytest.mark.parametrize("dependency", [sync_claims, async_claims, yielding_claims])


@pytest.fixture(params=TELEMETRY)
def served(request: pytest.FixtureRequest, trail: Trail) -> Iterator[Callable[..., None]]:
    """Call it with an application and what it must say; it serves one request and checks."""

    def serve(
        app: FastAPI, *expected: dict[str, Any], route: str | None, status: int, path: str = "/items/7", **claims: Any
    ) -> Answer:
        token = mint(**claims)
        with instrumented(app, request.param):
            trail.clear()
            answer = asgi(app, path, {"authorization": f"Bearer {token}"})
        assert answer.status == status, answer.error
        check_events(trail, expected, route=route, status=status)
        if request.param == "none":
            check_no_span(trail)
        else:
            check_span(trail, -1)
        return answer

    return serve


@pytest.fixture
def app(request: pytest.FixtureRequest) -> FastAPI:
    """A fresh application with the telemetry that ``served`` asks for."""
    return new(request.node.callspec.params["served"])


@dependencies
def test_token_verified_in_a_dependency(dependency: Any, app: FastAPI, served: Any) -> None:
    @app.get("/items/{item}")
    def endpoint(item: int, claims: Any = Depends(dependency)) -> str:
        return claims["sub"]

    assert served(app, validated(), route="/items/{item}", status=200).body == b'"alice"'


@dependencies
def test_token_verified_in_a_dependency_and_again_in_the_endpoint(dependency: Any, app: FastAPI, served: Any) -> None:
    @app.get("/items/{item}")
    async def endpoint(item: int, request: Request, claims: Any = Depends(dependency)) -> None:
        verify(request.headers["authorization"].partition(" ")[2])

    served(app, validated(), route="/items/{item}", status=200)


@dependencies
@pytest.mark.parametrize(("status", "expected"), [(401, rejected("refused", ALL)), (403, denied()), (404, validated())])
def test_endpoint_that_raises_after_its_dependency(
    dependency: Any, status: int, expected: Any, app: FastAPI, served: Any
) -> None:
    @app.get("/items/{item}", dependencies=[Depends(dependency)])
    def endpoint(item: int) -> None:
        raise HTTPException(status)

    served(app, expected, route="/items/{item}", status=status)


@pytest.mark.parametrize("dependency", [sync_claims, async_claims])
def test_expired_token_turned_into_a_401(dependency: Any, app: FastAPI, served: Any) -> None:
    @app.exception_handler(jwt.InvalidTokenError)
    def unauthorized(request: Request, error: Exception) -> Response:
        return Response(status_code=401)

    @app.get("/items/{item}", dependencies=[Depends(dependency)])
    def endpoint(item: int) -> None:
        raise AssertionError("the token has expired")

    expected = rejected("expired", UP_TO_EXP, **{"jwt.expires_in": negative})
    served(app, expected, route="/items/{item}", status=401, exp=1)


def test_request_that_is_invalid_for_other_reasons(app: FastAPI, served: Any) -> None:
    @app.get("/items/{item}", dependencies=[Depends(sync_claims)])
    def endpoint(item: bool) -> None:
        raise AssertionError("7 is no bool")

    served(app, validated(), route="/items/{item}", status=422)


def test_routers_name_the_whole_route(app: FastAPI, served: Any) -> None:
    inner, outer = APIRouter(), APIRouter(prefix="/v1")

    @inner.get("/items/{item}", dependencies=[Depends(sync_claims)])
    def endpoint(item: int) -> None: ...

    outer.include_router(inner, prefix="/shop")
    app.include_router(outer, prefix="/api")
    served(app, validated(), route="/api/v1/shop/items/{item}", status=200, path="/api/v1/shop/items/7")


def test_mounted_fastapi_names_the_whole_route(app: FastAPI, served: Any) -> None:
    inner, router = new("none"), APIRouter()  # or it would make a SERVER span of its own below contrib's

    @router.get("/items/{item}", dependencies=[Depends(sync_claims)])
    def endpoint(item: int) -> None: ...

    inner.include_router(router, prefix="/v1")
    app.mount("/inner", inner)
    served(app, validated(), route="/inner/v1/items/{item}", status=200, path="/inner/v1/items/7")


def test_mounted_starlette_names_the_whole_route(app: FastAPI, served: Any) -> None:
    def endpoint(request: Any) -> Response:
        verify(request.headers["authorization"].partition(" ")[2])
        return Response(status_code=403)

    app.mount("/inner", Starlette(routes=[Route("/items/{item}", endpoint)]))
    served(app, denied(), route="/inner/items/{item}", status=403, path="/inner/items/7")


def test_root_path_is_not_part_of_the_route(served: Any, request: pytest.FixtureRequest) -> None:
    app = new(request.node.callspec.params["served"])
    app.root_path = "/behind-a-proxy"

    @app.get("/items/{item}", dependencies=[Depends(sync_claims)])
    def endpoint(item: int) -> None: ...

    served(app, validated(), route="/items/{item}", status=200)


def test_http_middleware_that_verifies_too(app: FastAPI, served: Any) -> None:
    @app.middleware("http")
    async def check(request: Request, call_next: Any) -> Response:
        verify(request.headers["authorization"].partition(" ")[2])
        return await call_next(request)

    @app.get("/items/{item}", dependencies=[Depends(sync_claims)])
    def endpoint(item: int) -> None: ...

    served(app, validated(), route="/items/{item}", status=200)
