"""A service with Django REST framework and djangorestframework-simplejwt: the library's views, and one to protect."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.urls import path
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt import views
from rest_framework_simplejwt.authentication import JWTAuthentication, JWTStatelessUserAuthentication
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import RefreshToken
from werkzeug.test import Client, TestResponse

from tests.integrations.django.app import serving
from tests.integrations.rows import issued


class Authenticated(BasePermission):
    """A user was found."""

    def has_permission(self, request: Any, view: Any) -> bool:
        return request.user is not None


class Item(APIView):
    authentication_classes = (JWTAuthentication,)
    permission_classes = (Authenticated,)

    def get(self, request: Any) -> Response:
        return Response({"user": str(request.user)})


class StatelessItem(Item):
    authentication_classes = (JWTStatelessUserAuthentication,)


class SessionItem(Item):
    """Where sessions come first, the framework answers 403 to whatever is not authenticated."""

    authentication_classes = (SessionAuthentication, JWTAuthentication)


class SessionStatelessItem(Item):
    authentication_classes = (SessionAuthentication, JWTStatelessUserAuthentication)


class Revoke(Item):
    """An administrator's: revokes the tokens of another user, one by ``blacklist()``, the others by their rows."""

    def post(self, request: Any) -> Response:
        RefreshToken(request.data["refresh"]).blacklist()
        for token in OutstandingToken.objects.filter(blacklistedtoken=None, user_id=request.data["user"]):
            BlacklistedToken.objects.get_or_create(token=token)
            BlacklistedToken.objects.get_or_create(token=token)
        return Response()


class Unverified(APIView):
    """Revokes a token whose signature it never checked."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def post(self, request: Any) -> Response:
        RefreshToken(request.data["refresh"], verify=False).blacklist()
        return Response()


# What it is to obtain the first pair.
OBTAINED = (issued("refresh-1", "refresh"), issued("access-1", "access"))
PASSWORD = {"username": "alice", "password": "wonderland"}
URLS = [
    path("token", views.TokenObtainPairView.as_view()),
    path("refresh", views.TokenRefreshView.as_view()),
    path("verify", views.TokenVerifyView.as_view()),
    path("logout", views.TokenBlacklistView.as_view()),
    path("sliding", views.TokenObtainSlidingView.as_view()),
    path("sliding/refresh", views.TokenRefreshSlidingView.as_view()),
    path("item", Item.as_view()),
    path("stateless", StatelessItem.as_view()),
    path("session", SessionItem.as_view()),
    path("session/stateless", SessionStatelessItem.as_view()),
    path("revoke", Revoke.as_view()),
    path("unverified", Unverified.as_view()),
]


class Service:
    """The service and a client of it. Keeps what was answered, tokens by the names of their jti."""

    def __init__(self, app: Any) -> None:
        self._client = Client(app)
        self.names: dict[str, str] = {}  # jti to name
        self.answers: list[tuple[int, Any]] = []

    def post(self, at: str, /, **body: str) -> TestResponse:
        return self._answered(self._client.post(at, json=body))

    def post_as(self, bearer: str, at: str, /, **body: str) -> TestResponse:
        return self._answered(self._client.post(at, json=body, headers={"Authorization": f"Bearer {bearer}"}))

    def obtain(self, number: int = 1) -> tuple[str, str]:
        """Alice's pair of tokens, access and refresh, named with this number."""
        pair = self.post("/token", **PASSWORD).get_json()
        return self.called(f"access-{number}", pair["access"]), self.called(f"refresh-{number}", pair["refresh"])

    def get(self, at: str, bearer: str) -> TestResponse:
        return self._answered(self._client.get(at, headers={"Authorization": f"Bearer {bearer}"}))

    def called(self, name: str, token: str) -> str:
        """Give ``token`` a name; decoded by hand, for that is not recorded."""
        self.names[claims_of(token)["jti"]] = name
        return token

    def _answered(self, response: TestResponse) -> TestResponse:
        body = response.get_json(silent=True) or {}
        kept = {name: value for name, value in body.items() if name not in ("access", "refresh", "token")}
        self.answers.append((response.status_code, kept or sorted(body)))
        return response


@contextmanager
def service(telemetry: str, **settings: Any) -> Iterator[Service]:
    """The service with these settings of the library's."""
    with pytest.MonkeyPatch.context() as changes, serving(WSGIHandler, URLS, telemetry) as app:
        for name, value in settings.items():
            changes.setattr(api_settings, name, value)
        yield Service(app)


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims
