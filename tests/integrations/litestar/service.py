"""A Litestar application that lives by its JWT backends, and a client that keeps the tokens it was given."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable
from typing import Any

from litestar import Request, Response, get
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.security.jwt import JWTAuth, JWTCookieAuth, OAuth2PasswordBearerAuth, Token

from opentelemetry.instrumentation.pyjwt import record_revocation
from tests.integrations import drivers
from tests.integrations.litestar.app import new
from tests.support import ISSUER, KEY

HEADER, COOKIE, OAUTH2 = "header", "cookie", "oauth2"
BACKENDS: dict[str, Callable[..., Any]] = {
    HEADER: JWTAuth[str, Token],
    COOKIE: JWTCookieAuth[str, Token],
    OAUTH2: lambda **options: OAuth2PasswordBearerAuth[str, Token](token_url="/login", **options),
}
AUDIENCE = "shop"

Connection = ASGIConnection[Any, Any, Any, Any]
Authenticated = Request[str, Token, Any]


class Service:
    """The application, and what it knows of tokens.

    Args:
        backend: one of the three.
        telemetry: who makes the SERVER span.
        blocklist: whether the backend has a function to ask if a token was revoked.
        options: further ones of the backend.
    """

    def __init__(self, backend: str, telemetry: str = "none", *, blocklist: bool = True, **options: Any) -> None:
        self.backend = backend
        self.revoked: set[str] = set()
        self.tokens: dict[str, str] = {}
        if blocklist:
            options["revoked_token_handler"] = self._is_revoked
        self.auth = BACKENDS[backend](
            **{
                "token_secret": KEY,
                "retrieve_user_handler": self._user,
                "accepted_audiences": [AUDIENCE],
                "accepted_issuers": [ISSUER],
                "exclude": ["^/login"],
                **options,
            }
        )
        self.app = new(
            telemetry,
            *self._handlers(),
            on_app_init=[self.auth.on_app_init],
            # Not Litestar's 401: that a token is refused is not to be told from the status.
            exception_handlers={NotAuthorizedException: lambda request, error: Response(None, status_code=410)},
        )

    # --- what the backend asks ------------------------------------------------------------------------------------

    async def _user(self, token: Token, connection: Connection) -> str | None:
        """Refresh tokens are good for refreshing, others for all else."""
        if token.sub == "locked":
            raise NotAuthorizedException
        fits = token.extras.get("token_use", "access") == connection.route_handler.opt.get("token_use", "access")
        return token.sub if fits and token.sub != "nobody" else None

    async def _is_revoked(self, token: Token, connection: Connection) -> bool:
        return token.jti in self.revoked

    # --- what it serves -------------------------------------------------------------------------------------------

    def _handlers(self) -> list[Any]:
        numbers = {"access": itertools.count(1), "refresh": itertools.count(1)}

        def claims(use: str) -> dict[str, Any]:
            return {
                "identifier": "alice",
                "token_issuer": ISSUER,
                "token_audience": AUDIENCE,
                "token_unique_jwt_id": f"{use}-{next(numbers[use])}",
                "token_extras": {"token_use": use, "scope": "read"},
            }

        def handed_out(*further: str) -> Any:
            return self.auth.login(
                **claims("access"),
                response_status_code=200,
                response_body=[self.auth.create_token(**claims(use)) for use in further],
            )

        def revoke(token: Token, reason: str) -> None:
            assert isinstance(token.jti, str)
            self.revoked.add(token.jti)
            record_revocation(token.jti, reason=reason, issuer=token.iss, token_use=token.extras["token_use"])

        def refuse(connection: Connection, handler: Any) -> None:
            raise PermissionDeniedException

        @get("/login", sync_to_thread=False)
        def login() -> Response[Any]:
            return handed_out("refresh")

        @get("/items/{item:int}", sync_to_thread=False)
        def items(request: Authenticated) -> str:
            return request.user

        @get("/refresh", token_use="refresh", sync_to_thread=False)
        def refresh() -> Response[Any]:
            return handed_out()

        @get("/rotate", token_use="refresh", sync_to_thread=False)
        def rotate(request: Authenticated) -> Response[Any]:
            revoke(request.auth, "rotated")
            return handed_out("refresh")

        @get("/logout", sync_to_thread=False)
        def logout(request: Authenticated) -> None:
            revoke(request.auth, "logout")

        @get("/admin", guards=[refuse])
        async def admin() -> None:
            raise AssertionError("the guard said no")

        @get("/public", exclude_from_auth=True)
        async def public() -> None: ...

        return [login, items, refresh, rotate, logout, admin, public]

    # --- its client -----------------------------------------------------------------------------------------------

    def keep(self, **tokens: str) -> None:
        self.tokens.update(tokens)

    def get(self, path: str, name: str | None) -> int:
        """GET ``path`` with the token of that name, as this backend has it; gives the status."""
        headers = {}
        if name is not None:
            token = self.tokens[name]
            value = f"Bearer {token}"  # in a cookie too, where older releases want it
            headers = {"authorization": value} if self.backend == HEADER else {"cookie": f"token={value}"}
        given: list[str] = []

        def watch(message: Any) -> None:
            given.extend(
                value.decode().removeprefix("Bearer ")
                for header, value in message.get("headers", ())
                if header.lower() == b"authorization"
            )

        answer = drivers.asgi(self.app, path, headers, watch=watch)
        if given:
            given += json.loads(answer.body)
            self.keep(**{_jti(token): token for token in given})
        return answer.status


def _jti(token: str) -> str:
    payload = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"])
