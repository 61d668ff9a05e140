"""A service with graphene-django and django-graphql-jwt."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import graphene
import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings
from django.urls import path
from graphene_django.views import GraphQLView
from graphql_jwt.middleware import JSONWebTokenMiddleware
from graphql_jwt.settings import jwt_settings
from werkzeug.test import Client

from opentelemetry.instrumentation.pyjwt.token import TokenReader
from tests.integrations.django.app import serving
from tests.integrations.graphql_jwt import schema as schemas

MIDDLEWARE = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
)
BACKENDS = ["graphql_jwt.backends.JSONWebTokenBackend", "django.contrib.auth.backends.ModelBackend"]


class Service:
    """The service and a client of it. Keeps what was answered, tokens by the names of their fingerprint."""

    def __init__(self, app: Any) -> None:
        self._client = Client(app, use_cookies=False)
        self.names: dict[str, str] = {}
        self.answers: list[Any] = []

    def obtain(self, name: str, fields: str = "token") -> dict[str, Any]:
        answer = self.ask(f'mutation {{ obtain(username: "alice", password: "wonderland") {{ {fields} }} }}')
        got: dict[str, Any] = answer["data"]["obtain"]
        self.called(name, got["token"])
        return got

    def refresh(self, token: str, name: str = "none", *, argument: str = "token", fields: str = "token") -> Any:
        answer = self.ask(f'mutation {{ refresh({argument}: "{token}") {{ {fields} }} }}')
        if (got := answer["data"]["refresh"]) is not None:
            self.called(name, got["token"])
        return got

    def ask(self, query: str, bearer: str | None = None) -> Any:
        headers = {} if bearer is None else {"Authorization": f"JWT {bearer}"}
        response = self._client.post("/graphql", json={"query": query}, headers=headers)
        assert response.status_code == 200
        answer = response.get_json()
        self.answers.append([error["message"] for error in answer.get("errors", ())])
        return answer

    def called(self, name: str, token: str) -> str:
        """Give ``token`` a name; read by hand, for that is not recorded."""
        self.names[TokenReader().read_raw(token).fingerprint] = name
        return token


@contextmanager
def service(telemetry: str, schema: graphene.Schema | None = None, **settings: Any) -> Iterator[Service]:
    """The service with these settings of the library's, and a schema made with them."""
    with pytest.MonkeyPatch.context() as changes, override_settings(AUTHENTICATION_BACKENDS=BACKENDS):
        for name, value in settings.items():
            changes.setattr(jwt_settings, name, value)
        made = schema or schemas.make(long_running=jwt_settings.JWT_LONG_RUNNING_REFRESH_TOKEN)
        view = GraphQLView.as_view(schema=made, middleware=[JSONWebTokenMiddleware()])
        with serving(WSGIHandler, [path("graphql", view)], telemetry, MIDDLEWARE) as app:
            yield Service(app)


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims
