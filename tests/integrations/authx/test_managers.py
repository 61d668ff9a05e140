"""AuthX 1.7: several kinds of accounts, policies, keys that change, WebSockets."""

from __future__ import annotations

from typing import Any

import pytest
from authx import AuthX, AuthXConfig
from authx.manager import AuthManager
from authx.policy import PolicyRule
from fastapi import Depends, FastAPI, WebSocket
from starlette.websockets import WebSocketDisconnect

from tests.integrations.authx.app import HEADERS, make
from tests.integrations.fastapi.app import new
from tests.integrations.told import Session, Step, Told
from tests.support import KEY, OTHER_KEY, Trail, mint

# AuthX asks Pydantic for something in a way that is going out of use.
pytestmark = pytest.mark.filterwarnings("ignore:Accessing the 'model_fields' attribute")


def auth_for(login_type: str, key: str) -> AuthX[Any]:
    return AuthX(AuthXConfig(JWT_SECRET_KEY=key), login_type=login_type)


@pytest.fixture
def session(trail: Trail) -> Session:
    """Users and staff; staff may have the key of users, or one of their own."""
    app: FastAPI = new("none")
    rules = [
        PolicyRule("allow", ["posts:write"], ["posts"], scopes=["posts:write"]),
        PolicyRule("allow", ["posts:read"], ["posts"], scopes=["posts:admin"]),
        PolicyRule("allow", ["posts:read"], ["posts"]),
    ]
    manager = AuthManager(policy_rules=rules)
    kinds = {"user": auth_for("user", KEY), "staff": auth_for("staff", KEY), "admin": auth_for("admin", OTHER_KEY)}
    session = Session(trail, app)
    for kind, auth in kinds.items():
        manager.register(auth)
        app.post(f"/{kind}", dependencies=[Depends(manager.access_token_required(kind))])(lambda: None)
        session.keep(**{kind: auth.create_access_token("alice")})
    for action in ("read", "write"):
        may = manager.policy_required("user", f"posts:{action}", "posts")
        app.post(f"/{action}", dependencies=[Depends(may)])(lambda: None)
    return session


@pytest.mark.parametrize("kind", ["staff", "admin"])
def test_token_of_another_kind_of_account(kind: str, session: Session) -> None:
    session.check(
        Step(f"/{kind}", kind, 200, [Told("jwt.validated", kind)]),
        Step(f"/{kind}", "user", 401, [Told("jwt.rejected: wrong_type", "user")]),
        Step("/user", kind, 401, [Told("jwt.rejected: wrong_type", kind)]),
    )


def test_policies(session: Session) -> None:
    """A rule that does not apply denies nothing."""
    session.check(
        Step("/read", "user", 200, [Told("jwt.validated", "user")]),
        Step("/write", "user", 403, [Told("jwt.denied", "user")]),
    )


def test_key_that_was_changed(trail: Trail) -> None:
    app, _ = make(HEADERS, JWT_PREVIOUS_SECRET_KEY=OTHER_KEY)
    session = Session(trail, app)
    session.keep(
        **{name: mint(key, jti=name, type="access") for name, key in (("new", KEY), ("old", OTHER_KEY))},
        forged=mint("a-key-that-nobody-has-given-out-so-far", jti="forged", type="access"),
    )
    session.check(
        Step("/open", "new", 200, [Told("jwt.validated", "new", asked=True)]),
        Step("/open", "old", 200, [Told("jwt.validated", "old", asked=True)]),
        Step("/fresh", "old", 401, [Told("jwt.rejected: refused", "old", asked=True)]),
        Step("/open", "forged", 422, [Told("jwt.rejected: invalid_signature", "forged", verified=False, asked=True)]),
    )


def test_websocket(trail: Trail) -> None:
    app, auth = make(HEADERS)

    @app.websocket("/socket")
    async def socket(websocket: WebSocket, payload: Any = auth.WS_AUTH_REQUIRED) -> None:
        await websocket.accept()
        await websocket.close()

    session = Session(trail, app)
    session.keep(good=auth.create_access_token("alice"), bad=auth.create_access_token("alice"))
    app.state.revoked.add(session.tokens["bad"])
    trail.clear()
    with session.client.websocket_connect(f"/socket?token={session.tokens['good']}") as connection:
        assert connection.receive() == {"type": "websocket.close", "code": 1000, "reason": ""}
    assert session.told() == [Told("jwt.validated", "good", asked=True)]
    trail.clear()
    with pytest.raises(WebSocketDisconnect), session.client.websocket_connect(f"/socket?token={session.tokens['bad']}"):
        pass
    assert session.told() == [Told("jwt.rejected: revoked", "bad", verified=False, asked=True)]
