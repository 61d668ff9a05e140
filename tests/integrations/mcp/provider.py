"""An authorization server for MCP whose tokens are made and checked with PyJWT."""

from __future__ import annotations

import secrets
import time
from typing import Any

import jwt
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    OAuthAuthorizationServerProvider,
    RefreshToken,
    TokenError,
    construct_redirect_uri,
)
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from tests.support import ISSUER, KEY

CLIENT = {"client_id": "app", "client_secret": "secret"}
REDIRECT = "https://client.example/back"


class Provider(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, AccessToken]):
    """An authorization server.

    Args:
        refresh: what refresh tokens are: ``jwt``; ``untyped``, which do not tell what they are for; ``stored``, JWTs
            looked up and never decoded; ``opaque``.
        rotating: whether a refresh token is good for one use.
    """

    def __init__(self, *, refresh: str = "jwt", rotating: bool = True) -> None:
        self.refresh = refresh
        self.rotating = rotating
        self.revoked: set[str] = set()  # tokens, of which nothing else is known
        self.lifetime = 300
        self.expires_at: int | None = None  # by the books, whatever the token says
        self.resource: str | None = None
        self.broken = False
        self._codes: dict[str, AuthorizationCode] = {}
        self._stored: dict[str, RefreshToken] = {}

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        if client_id not in ("app", "other"):
            return None
        return OAuthClientInformationFull.model_validate(
            {
                **CLIENT,
                "client_id": client_id,
                "redirect_uris": [REDIRECT],
                "token_endpoint_auth_method": "client_secret_post",
                "grant_types": ["authorization_code", "refresh_token"],
                "scope": "use admin",
            }
        )

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        code = AuthorizationCode(
            code=secrets.token_hex(),
            scopes=params.scopes or ["use"],
            expires_at=time.time() + 60,
            client_id=str(client.client_id),
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
        )
        self._codes[code.code] = code
        return construct_redirect_uri(str(params.redirect_uri), code=code.code, state=params.state)

    async def load_authorization_code(self, client: Any, authorization_code: str) -> AuthorizationCode | None:
        return self._codes.get(authorization_code)

    async def exchange_authorization_code(self, client: Any, authorization_code: AuthorizationCode) -> OAuthToken:
        del self._codes[authorization_code.code]
        scopes = authorization_code.scopes
        return self._answer(self._access(scopes), self._refresh(scopes))

    async def load_refresh_token(self, client: Any, refresh_token: str) -> RefreshToken | None:
        if self.refresh in ("opaque", "stored"):
            return self._stored.get(refresh_token)
        try:
            claims = jwt.decode(refresh_token, KEY, ["HS256"], issuer=ISSUER)
        except jwt.InvalidTokenError:
            return None
        if claims.get("type", "refresh") != "refresh" or refresh_token in self.revoked:
            return None
        return RefreshToken(
            token=refresh_token,
            client_id=claims["client_id"],
            scopes=claims["scope"].split(),
            expires_at=self.expires_at,
        )

    async def exchange_refresh_token(self, client: Any, refresh_token: RefreshToken, scopes: list[str]) -> OAuthToken:
        if self.broken:
            raise TokenError("invalid_grant", "the account is locked")
        if not self.rotating:
            return self._answer(self._access(scopes), refresh_token.token)
        self._forget(refresh_token.token)
        return self._answer(self._access(scopes), self._refresh(scopes))

    async def load_access_token(self, token: str) -> AccessToken | None:
        try:
            claims = jwt.decode(token, KEY, ["HS256"], issuer=ISSUER, options={"verify_exp": self.expires_at is None})
        except jwt.InvalidTokenError:
            return None
        if claims["type"] != "access" or token in self.revoked:
            return None
        return AccessToken(
            token=token,
            client_id=claims["client_id"],
            scopes=claims["scope"].split(),
            expires_at=self.expires_at or claims["exp"],
            resource=self.resource,
        )

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        self._forget(token.token)

    def _access(self, scopes: list[str]) -> str:
        return self._mint(scopes, type="access")

    def _refresh(self, scopes: list[str]) -> str:
        if self.refresh == "opaque":
            token = secrets.token_hex()
        else:
            token = self._mint(scopes, **({} if self.refresh == "untyped" else {"type": "refresh"}))
        self._stored[token] = RefreshToken(token=token, client_id="app", scopes=scopes)
        return token

    def _mint(self, scopes: list[str], **claims: Any) -> str:
        now = int(time.time())
        registered = {"iss": ISSUER, "sub": "alice", "jti": secrets.token_hex(), "iat": now, "exp": now + self.lifetime}
        return jwt.encode({**registered, "client_id": "app", "scope": " ".join(scopes), **claims}, KEY, "HS256")

    def _forget(self, token: str) -> None:
        self._stored.pop(token, None)
        self.revoked.add(token)

    @staticmethod
    def _answer(access: str, refresh: str) -> OAuthToken:
        return OAuthToken(access_token=access, token_type="Bearer", refresh_token=refresh)
