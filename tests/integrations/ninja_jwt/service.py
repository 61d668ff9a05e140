"""A service with django-ninja-jwt: the library's routers and controllers, sync and async, and something to protect."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx
import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from ninja_extra import ControllerBase, NinjaExtraAPI, api_controller
from ninja_jwt import controller
from ninja_jwt.authentication import (
    AsyncJWTAuth,
    AsyncJWTTokenUserAuth,
    JWTAuth,
    JWTStatelessUserAuthentication,
)
from ninja_jwt.exceptions import AuthenticationFailed
from ninja_jwt.routers.blacklist import blacklist_router
from ninja_jwt.routers.obtain import obtain_pair_router, sliding_router
from ninja_jwt.routers.verify import verify_router
from ninja_jwt.settings import api_settings
from ninja_jwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from ninja_jwt.tokens import RefreshToken
from werkzeug.test import Client

from tests.integrations.rows import Table, issued
from tests.support import ISSUER, Trail


@api_controller("/token", auth=None)
class Pairs(
    controller.TokenObtainPairController,
    controller.TokenVerificationController,
    controller.TokenBlackListController,
    ControllerBase,
):
    pass


@api_controller("/token", auth=None)
class Slides(controller.TokenObtainSlidingController, ControllerBase):
    pass


@api_controller("/token", auth=None)
class AsyncPairs(
    controller.AsyncTokenObtainPairController,
    controller.AsyncTokenVerificationController,
    controller.AsyncTokenBlackListController,
    ControllerBase,
):
    pass


@api_controller("/token", auth=None)
class AsyncSlides(controller.AsyncTokenObtainSlidingController, ControllerBase):
    pass


KINDS = ("routers", "controllers", "async")
HIDING = "hiding"
APIS = {name: NinjaExtraAPI(urls_namespace=name) for name in (*KINDS, HIDING)}
routers, controllers, asynchronous, hiding = APIS.values()
for router in (obtain_pair_router, sliding_router, verify_router, blacklist_router):
    routers.add_router("/token", router)
controllers.register_controllers(Pairs, Slides)
asynchronous.register_controllers(AsyncPairs, AsyncSlides)

for api in (routers, controllers, hiding):

    @api.get("/item", auth=JWTAuth())
    def item(request: HttpRequest) -> str:
        return str(request.user)

    @api.get("/stateless", auth=JWTStatelessUserAuthentication())
    def stateless(request: HttpRequest) -> str:
        return str(request.user)


@asynchronous.get("/item", auth=AsyncJWTAuth())
async def async_item(request: HttpRequest) -> str:
    return str(request.user)


@asynchronous.get("/stateless", auth=AsyncJWTTokenUserAuth())
async def async_stateless(request: HttpRequest) -> str:
    return str(request.user)


@controllers.post("/revoke", auth=JWTAuth())
def revoke(request: HttpRequest) -> str:
    """An administrator's: revokes the tokens of another user, one by ``blacklist()``, the others by their rows."""
    body = json.loads(request.body)
    RefreshToken(body["refresh"]).blacklist()
    for token in OutstandingToken.objects.filter(blacklistedtoken=None, user_id=body["user"]):
        BlacklistedToken.objects.get_or_create(token=token)
        BlacklistedToken.objects.get_or_create(token=token)
    return ""


@controllers.post("/unverified", auth=None)
def unverified(request: HttpRequest) -> str:
    """Revokes a token whose signature it never checked."""
    RefreshToken(json.loads(request.body)["refresh"], verify=False).blacklist()
    return ""


@hiding.exception_handler(AuthenticationFailed)
def hide(request: HttpRequest, exc: Exception) -> HttpResponse:
    return JsonResponse({}, status=404)


urlpatterns = [path(f"{name}/", api.urls) for name, api in APIS.items()]
# What it is to obtain the first pair.
OBTAINED = (issued("refresh-1", "refresh"), issued("access-1", "access"))
PASSWORD = {"username": "alice", "password": "wonderland"}


class Answer(NamedTuple):
    status: int
    body: Any


class Service:
    """A client of one of the APIs. Keeps what was answered, and tokens by the names of their jti."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self.names: dict[str, str] = {}  # jti to name
        self.answers: list[tuple[int, Any]] = []

    def post(self, at: str, /, bearer: str | None = None, **body: str) -> Any:
        return self._ask("POST", at, bearer, body)

    def get(self, at: str, bearer: str) -> Any:
        return self._ask("GET", at, bearer, None)

    def obtain(self, number: int = 1) -> tuple[str, str]:
        """Alice's pair of tokens, access and refresh, named with this number."""
        pair = self.post("/token/pair", **PASSWORD)
        return self.called(f"access-{number}", pair["access"]), self.called(f"refresh-{number}", pair["refresh"])

    def called(self, name: str, token: str) -> str:
        """Give ``token`` a name; decoded by hand, for that is not recorded."""
        self.names[claims_of(token)["jti"]] = name
        return token

    def _ask(self, method: str, at: str, bearer: str | None, body: Any) -> Any:
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        ask = _over_asgi if self._kind == "async" else _over_wsgi
        status, answer = ask(method, f"/{self._kind}{at}", headers=headers, json=body)
        kept = answer
        if isinstance(answer, dict):
            kept = {name: it for name, it in answer.items() if name not in ("access", "refresh", "token")}
        self.answers.append((status, kept or sorted(answer or ())))
        return answer


def _over_wsgi(method: str, at: str, **more: Any) -> Answer:
    response = Client(WSGIHandler()).open(at, method=method, **more)
    return Answer(response.status_code, response.get_json())


@async_to_sync  # so that Django keeps to this thread, where the database is
async def _over_asgi(method: str, at: str, **more: Any) -> Answer:
    transport = httpx.ASGITransport(app=ASGIHandler())
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        response = await client.request(method, at, **more)
    return Answer(response.status_code, response.json())


class Scene(NamedTuple):
    served: Service
    rows: Table
    alice: User
    admin: User


@contextmanager
def scene(trail: Trail, kind: str = "controllers", **settings: Any) -> Iterator[Scene]:
    """Users, the service with these settings of the library's, and the table of its audit."""
    alice, admin = (User.objects.create_user(name, password="wonderland") for name in ("alice", "admin"))
    served = Service(kind)
    table = Table(trail, served.names, {str(alice.id): "alice", str(admin.id): "admin"}, ISSUER)
    trail.clear()
    with pytest.MonkeyPatch.context() as changes:
        for name, value in settings.items():
            changes.setattr(api_settings, name, value)
        yield Scene(served, table, alice, admin)
    OutstandingToken.objects.all().delete()
    User.objects.all().delete()


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims
