"""A Flask application that lives by Flask-JWT-Extended, and a client that keeps the tokens it was given."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask, Response, jsonify, request
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    decode_token,
    get_jwt,
    get_jwt_identity,
    jwt_required,
    set_access_cookies,
    set_refresh_cookies,
    verify_jwt_in_request,
)
from flask_jwt_extended.exceptions import WrongTokenError

from opentelemetry.instrumentation.pyjwt import record_revocation
from tests.integrations.flask.app import instrumented
from tests.support import KEY

HEADERS, COOKIES = "headers", "cookies"


@contextmanager
def make(location: str = HEADERS, telemetry: str = "none", *, blocklist: bool = True) -> Iterator[Flask]:
    """An application whose tokens travel in headers or cookies; with a blocklist, unless that is not wanted."""
    app = Flask(__name__)
    app.config.update(JWT_SECRET_KEY=KEY, JWT_TOKEN_LOCATION=[location], JWT_COOKIE_CSRF_PROTECT=location == COOKIES)
    with instrumented(app, telemetry):
        _write(app, location, blocklist)
        yield app


def _write(app: Flask, location: str, blocklist: bool) -> None:
    manager = JWTManager(app)
    revoked: set[str] = set()
    numbers = {"access": itertools.count(1), "refresh": itertools.count(1)}

    if blocklist:
        manager.token_in_blocklist_loader(lambda header, claims: claims["jti"] in revoked)
    manager.token_verification_loader(lambda header, claims: claims.get("tenant") != "closed")
    manager.user_lookup_loader(lambda header, claims: None if claims["sub"] == "nobody" else claims["sub"])
    # Not the library's 401: that a token is refused is not to be told from the status.
    manager.needs_fresh_token_loader(lambda header, claims: ({}, 403))
    manager.user_lookup_error_loader(lambda header, claims: ({}, 404))
    manager.revoked_token_loader(lambda header, claims: ({}, 410))

    def new(use: str, **options: Any) -> str:
        create = create_access_token if use == "access" else create_refresh_token
        identity = get_jwt_identity() if request.path != "/login" else "alice"
        return create(identity, additional_claims={"jti": f"{use}-{next(numbers[use])}"}, **options)

    def handed_out(**tokens: str) -> Response:
        if location == HEADERS:
            return jsonify(tokens)
        response = jsonify({})
        for use, put in (("access", set_access_cookies), ("refresh", set_refresh_cookies)):
            if use in tokens:
                put(response, tokens[use])
        return response

    def revoke(claims: dict[str, Any], reason: str) -> None:
        revoked.add(claims["jti"])
        record_revocation(claims["jti"], reason=reason, token_use=claims["type"])

    @app.post("/login")
    def login() -> Response:
        return handed_out(access=new("access", fresh=True), refresh=new("refresh"))

    @app.post("/items/<int:item>")
    @jwt_required()
    def items(item: int) -> dict[str, Any]:
        return {"sub": get_jwt_identity()}

    @app.post("/optional")
    @jwt_required(optional=True)
    def optional() -> dict[str, Any]:
        return {"sub": get_jwt_identity()}

    @app.post("/fresh")
    @jwt_required(fresh=True)
    def fresh() -> dict[str, Any]:
        return {}

    @app.post("/refresh")
    @jwt_required(refresh=True)
    def refresh() -> Response:
        return handed_out(access=new("access"))

    @app.post("/rotate")
    @jwt_required(refresh=True)
    def rotate() -> Response:
        revoke(get_jwt(), "rotated")
        return handed_out(access=new("access"), refresh=new("refresh"))

    @app.post("/logout")
    @jwt_required()
    def logout() -> dict[str, Any]:
        """Ends the session: of the token presented and, if one comes along, of its refresh token."""
        revoke(get_jwt(), "logout")
        if companion := (request.get_json(silent=True) or {}).get("companion"):
            revoke(decode_token(companion), "logout")
        return {}

    @app.post("/either")
    def either() -> dict[str, Any]:
        """Takes an access token or, failing that, a refresh token."""
        try:
            verify_jwt_in_request()
        except WrongTokenError:
            verify_jwt_in_request(refresh=True)
        return {}


class Holder:
    """A client that presents one of its tokens at a time, by its jti, as a browser or an API client would."""

    def __init__(self, app: Flask, location: str) -> None:
        self._client = app.test_client(use_cookies=location == COOKIES)
        self._location = location
        self.tokens: dict[str, str] = {}

    def keep(self, *tokens: str) -> None:
        self.tokens.update((claims_of(token)["jti"], token) for token in tokens)

    def post(
        self,
        path: str,
        jti: str | None,
        *,
        refresh: bool = False,
        csrf: str | None = None,
        companion: str | None = None,
    ) -> int:
        """POST to ``path`` and keep the tokens that come back; gives the status.

        Args:
            jti: the token to present.
            refresh: in the cookie of refresh tokens, not in that of access tokens.
            csrf: the value to send; unset, the right one; empty, none.
            companion: jti of a token to send in the body.
        """
        headers = {}
        token = None if jti is None else self.tokens[jti]
        if token is not None and self._location == HEADERS:
            headers["authorization"] = f"Bearer {token}"
        elif token is not None:
            self._client.set_cookie(_cookie(refresh), token)
            value = claims_of(token)["csrf"] if csrf is None else csrf
            headers.update({"x-csrf-token": value} if value else {})
        body = {"companion": self.tokens[companion]} if companion else {}
        answer = self._client.post(path, headers=headers, json=body)
        given = [value for value in (answer.get_json() or {}).values() if isinstance(value, str) and "." in value]
        for name in (_cookie(False), _cookie(True)):
            if self._location == COOKIES and (cookie := self._client.get_cookie(name)) is not None:
                given.append(cookie.value)
                self._client.delete_cookie(name)
        self.keep(*given)
        return answer.status_code


def _cookie(refresh: bool) -> str:
    return "refresh_token_cookie" if refresh else "access_token_cookie"


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
