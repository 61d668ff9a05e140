"""A service with Django REST framework and drf-jwt: the library's views, and one to protect."""

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
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_jwt import views
from rest_framework_jwt.authentication import JSONWebTokenAuthentication
from rest_framework_jwt.blacklist.permissions import IsNotBlacklisted
from rest_framework_jwt.blacklist.views import BlacklistView
from rest_framework_jwt.settings import api_settings
from werkzeug.test import Client, TestResponse

from opentelemetry.instrumentation.pyjwt.token import TokenReader
from tests.integrations.django.app import serving

AUTHENTICATION = (JSONWebTokenAuthentication,)


class Item(APIView):
    authentication_classes = AUTHENTICATION
    permission_classes = (IsAuthenticated,)

    def get(self, request: Any) -> Response:
        return Response({"user": str(request.user)})


class SessionItem(Item):
    """Where sessions come first, the framework answers 403 to whatever is not authenticated."""

    authentication_classes = (SessionAuthentication, *AUTHENTICATION)


class ListedItem(Item):
    """Asks the blacklist, and no more than that."""

    authentication_classes = ()
    permission_classes = (IsNotBlacklisted,)


URLS = [
    path("token", views.obtain_jwt_token),
    path("refresh", views.refresh_jwt_token),
    path("verify", views.verify_jwt_token),
    path("impersonate", views.ImpersonateJSONWebTokenView.as_view(authentication_classes=AUTHENTICATION)),
    path("blacklist", BlacklistView.as_view({"post": "create"}, authentication_classes=AUTHENTICATION)),
    path("item", Item.as_view()),
    path("session", SessionItem.as_view()),
    path("listed", ListedItem.as_view()),
]


class Service:
    """The service and a client of it. Keeps what was answered, tokens by the names of their jti or fingerprint."""

    def __init__(self, app: Any) -> None:
        self._client = Client(app, use_cookies=False)
        self.names: dict[str, str] = {}
        self.answers: list[tuple[int, Any]] = []

    def obtain(self, name: str, username: str = "alice") -> str:
        answer = self.post("/token", username=username, password="wonderland")
        return self.called(name, answer.get_json()["token"])

    def refresh(self, token: str, name: str = "none") -> str:
        new: str = (self.post("/refresh", token=token).get_json() or {}).get("token", "")
        return self.called(name, new) if "." in new else ""

    def get(self, bearer: str, at: str = "/item") -> TestResponse:
        return self._answered(self._client.get(at, headers={"Authorization": f"Bearer {bearer}"}))

    def post(self, at: str, bearer: str = "", /, **body: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        return self._answered(self._client.post(at, json=body, headers=headers))

    def called(self, name: str, token: str) -> str:
        """Give ``token`` a name; read by hand, for that is not recorded."""
        facts = TokenReader().read_raw(token)
        self.names[facts.jti or facts.fingerprint] = name
        return token

    def _answered(self, response: TestResponse) -> TestResponse:
        body = response.get_json(silent=True)
        if isinstance(body, dict):
            body = {name: value for name, value in body.items() if name not in ("token", "pk")}
        self.answers.append((response.status_code, body))
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
