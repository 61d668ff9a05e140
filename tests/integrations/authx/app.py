"""A FastAPI application that lives by AuthX."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from authx import AuthX, AuthXConfig, RequestToken, TokenPayload
from authx.exceptions import TokenTypeError
from fastapi import Depends, FastAPI, Request, Response

from opentelemetry.instrumentation.pyjwt import record_revocation
from tests.integrations.fastapi.app import new
from tests.integrations.told import Session
from tests.support import KEY, Trail

HEADERS, COOKIES = "headers", "cookies"
GRANTED = ["items:read", "admin:*"]
#: Requests with a body that may change something; where a cookie comes with it, so must its CSRF value.
ROUTES = {
    "/items": ["items:read"],
    "/users": ["admin:users"],
    "/posts": ["items:read", "admin:posts", "posts:write", "posts:read"],
}


def make(*locations: str, blocklist: bool = True, **options: Any) -> tuple[FastAPI, AuthX[Any]]:
    """An application whose tokens travel there; with a blocklist, unless that is not wanted."""
    app = new("none")
    auth: AuthX[Any] = AuthX(AuthXConfig(JWT_SECRET_KEY=KEY, JWT_TOKEN_LOCATION=list(locations), **options))
    auth.handle_errors(app)
    _write(app, auth, COOKIES in locations)
    revoked: set[str] = set()
    app.state.revoked = revoked
    if blocklist:
        auth.set_token_blocklist(lambda token: token in revoked)
    return app, auth


def _write(app: FastAPI, auth: AuthX[Any], in_cookies: bool) -> None:
    def hand_out(response: Response, *, access: str, refresh: str | None = None) -> dict[str, Any]:
        if in_cookies:
            auth.set_access_cookies(access, response)
            if refresh is not None:
                auth.set_refresh_cookies(refresh, response)
        return {"access": access, "refresh": refresh}

    def revoke(token: RequestToken, payload: TokenPayload, reason: str) -> None:
        app.state.revoked.add(token.token)
        record_revocation(str(payload.jti), reason=reason, token_use=payload.type)

    @app.post("/login")
    def login(response: Response) -> dict[str, Any]:
        access = auth.create_access_token("alice", fresh=True, scopes=GRANTED)
        return hand_out(response, access=access, refresh=auth.create_refresh_token("alice"))

    @app.post("/open", dependencies=[Depends(auth.access_token_required)])
    def opened() -> None:
        return None

    @app.post("/fresh", dependencies=[Depends(auth.fresh_token_required)])
    def fresh() -> None:
        return None

    @app.post("/refresh")
    def refresh(response: Response, payload: TokenPayload = Depends(auth.refresh_token_required)) -> dict[str, Any]:
        return hand_out(response, access=auth.create_access_token(payload.sub))

    @app.post("/rotate")
    async def rotate(
        request: Request, response: Response, payload: TokenPayload = Depends(auth.refresh_token_required)
    ) -> dict[str, Any]:
        revoke(await auth.get_refresh_token_from_request(request), payload, "rotated")
        tokens = {"access": auth.create_access_token(payload.sub), "refresh": auth.create_refresh_token(payload.sub)}
        return hand_out(response, **tokens)

    @app.post("/logout")
    async def logout(request: Request, payload: TokenPayload = Depends(auth.access_token_required)) -> None:
        revoke(await auth.get_access_token_from_request(request), payload, "logout")

    @app.post("/either")
    def either(token: RequestToken = Depends(auth.get_access_token_from_request)) -> None:
        """Takes an access token or, failing that, a refresh token."""
        try:
            auth.verify_token(token)
        except TokenTypeError:
            auth.verify_token(token.model_copy(update={"type": "refresh"}))

    @app.post("/asked")
    def asked(payload: TokenPayload = Depends(auth.access_token_required)) -> dict[str, bool]:
        """Asks, and minds nothing."""
        return {"may": payload.has_scopes("posts:write")}

    for path, scopes in ROUTES.items():
        app.post(path, dependencies=[Depends(auth.scopes_required(*scopes))])(opened)
        app.post(f"{path}/any", dependencies=[Depends(auth.scopes_required(*scopes, all_required=False))])(opened)
    app.post("/none/any", dependencies=[Depends(auth.scopes_required("posts:write", "b", all_required=False))])(opened)


def logged_in(trail: Trail, *locations: str, **options: Any) -> tuple[Session, AuthX[Any]]:
    """A session that has obtained its first tokens, and the application's AuthX."""
    app, auth = make(*locations, **options)
    session = Session(trail, app)
    session.keep(**{f"{use}-1": token for use, token in session.post("/login").json().items()})
    session.keep(soon=auth.create_access_token("alice", expiry=timedelta(seconds=60)))
    return session, auth
