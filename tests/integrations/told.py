"""A session as a table: what each request is to tell, and what was told, with tokens by their names."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, NamedTuple

from fastapi import FastAPI
from fastapi.testclient import TestClient

from opentelemetry._logs import SeverityNumber
from tests.support import Trail


class Told(NamedTuple):
    """What an event tells, as far as it goes here."""

    body: str
    token: str
    use: str | None = "access"
    verified: bool | None = True  # None: not said of a revoked token
    parent: str | None = None
    asked: bool = False  # whether a revocation list was
    required: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    scope: str | None = None  # its outcome
    why: str | None = None  # it was revoked


class Step(NamedTuple):
    """One request, and all that is to be told of it."""

    path: str
    token: str | None
    status: int
    told: list[Told]
    more: dict[str, Any] = {}  # noqa: RUF012 - never changed


class Session:
    """A client that keeps the tokens it was given by name, and knows them again in events."""

    def __init__(self, trail: Trail, app: FastAPI) -> None:
        self.trail = trail
        self.client = TestClient(app, base_url="https://testserver", raise_server_exceptions=False)
        self.tokens: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def keep(self, **tokens: str) -> None:
        for name, token in tokens.items():
            self.tokens[name] = token
            self._names[identity(token)] = name

    def post(self, path: str, token: str | None = None, *, cookies: dict[str, str] | None = None, **more: Any) -> Any:
        """POST with a bearer token, or with cookies: what is in them, or the token of that name."""
        headers = dict(more.pop("headers", {}))
        if token is not None:
            headers["authorization"] = f"Bearer {self.tokens[token]}"
        if cookies:
            headers["cookie"] = "; ".join(f"{name}={self.tokens.get(it, it)}" for name, it in cookies.items())
        answer = self.client.post(path, headers=headers, **more)
        self.client.cookies.clear()
        return answer

    def check(self, *steps: Step) -> None:
        for step in steps:
            self.trail.clear()
            answer = self.post(step.path, step.token, **step.more)
            assert (step.path, answer.status_code, self.told()) == (step.path, step.status, step.told)
            for event in self.trail.events:
                assert event["http.response.status_code"] == step.status
                assert event["http.route"] == step.path
            for record in self.trail.records:
                severe = record.log_record.severity_number is SeverityNumber.ERROR
                assert severe is (record.log_record.body == "jwt.rejected: revoked")

    def told(self) -> list[Told]:
        return [
            Told(
                body,
                self._name(event.get("jwt.jti") or event["jwt.fingerprint"]) or "?",
                event.get("jwt.token_use"),
                event.get("jwt.verified"),
                self._name(event.get("jwt.parent.jti")),
                "revocation" in event.get("jwt.validation.checks", ()),
                event.get("jwt.scope.required", ()),
                event.get("jwt.scope.granted", ()),
                event.get("jwt.scope.missing", ()),
                event.get("jwt.scope.outcome"),
                event.get("jwt.revocation.reason"),
            )
            for body, event in zip(self.trail.names, self.trail.events, strict=True)
        ]

    def _name(self, it: str | None) -> str | None:
        return None if it is None else self._names.get(it, it)


def identity(token: str) -> str:
    """What events call a token: its jti or, without one, a hash of what is signed."""
    return str(claims_of(token).get("jti") or hashlib.sha256(token.rpartition(".")[0].encode()).hexdigest()[:32])


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
