"""A service with django-allauth's headless API and its JWT strategy, and a resource to protect."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import jwt
from allauth.headless.contrib.rest_framework.authentication import JWTTokenAuthentication
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings
from django.urls import include, path
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView
from werkzeug.test import Client, TestResponse

from tests.integrations.django.app import serving

API = "/_allauth/app/v1"
MIDDLEWARE = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
)


class Item(APIView):
    authentication_classes = (JWTTokenAuthentication,)
    permission_classes = (IsAuthenticated,)

    def get(self, request: Any) -> Response:
        return Response({"user": str(request.user)})


class Service:
    """The service and a client of it. Keeps what was answered, tokens by the names of their jti."""

    def __init__(self, app: Any) -> None:
        self._client = Client(app, use_cookies=False)
        self.names: dict[str, str] = {}  # jti to name
        self.answers: list[tuple[int, Any]] = []

    def login(self, number: int = 1) -> tuple[str, str]:
        """Alice's pair of tokens, access and refresh, named with this number."""
        body = {"username": "alice", "password": "wonderland"}
        pair = self._answered(self._client.post(f"{API}/auth/login", json=body)).get_json()["meta"]
        return self.called(f"access-{number}", pair["access_token"]), self.called(
            f"refresh-{number}", pair["refresh_token"]
        )

    def refresh(self, token: str, number: int = 2) -> tuple[str, str | None]:
        """What is given for a refresh token: an access token and, if these are rotated, a refresh token."""
        answer = self._answered(self._client.post(f"{API}/tokens/refresh", json={"refresh_token": token}))
        new = (answer.get_json() or {}).get("data") or {}
        for use in ("access", "refresh"):
            if f"{use}_token" in new:
                self.called(f"{use}-{number}", new[f"{use}_token"])
        return new.get("access_token", ""), new.get("refresh_token")

    def logout(self, access: str) -> TestResponse:
        return self._answered(self._client.delete(f"{API}/auth/session", headers=_bearer(access)))

    def logout_by_session(self, key: str) -> TestResponse:
        return self._answered(self._client.delete(f"{API}/auth/session", headers={"X-Session-Token": key}))

    def get(self, access: str) -> TestResponse:
        return self._answered(self._client.get("/item", headers=_bearer(access)))

    def called(self, name: str, token: str) -> str:
        """Give ``token`` a name; decoded by hand, for that is not recorded."""
        self.names[claims_of(token)["jti"]] = name
        return token

    def _answered(self, response: TestResponse) -> TestResponse:
        body = response.get_json(silent=True) or {}
        self.answers.append((response.status_code, sorted(body)))
        return response


@contextmanager
def service(telemetry: str, **settings: Any) -> Iterator[Service]:
    """The service with these settings of the library's."""
    urls = [path("_allauth/", include("allauth.headless.urls")), path("item", Item.as_view())]
    own = {
        "ACCOUNT_EMAIL_VERIFICATION": "none",
        "ACCOUNT_RATE_LIMITS": False,
        "HEADLESS_JWT_PRIVATE_KEY": private_key(),
        "HEADLESS_ONLY": True,
        "HEADLESS_TOKEN_STRATEGY": "allauth.headless.tokens.strategies.jwt.JWTTokenStrategy",
        **settings,
    }
    with override_settings(**own), serving(WSGIHandler, urls, telemetry, MIDDLEWARE) as app:
        yield Service(app)


@cache
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def signed(claims: dict[str, Any], key: str | None = None) -> str:
    return jwt.encode(claims, key or private_key(), "RS256")


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
