"""FastAPI Users: whose token it is, and whether that user may come in."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from fastapi_users.authentication import JWTStrategy

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from tests.integrations.fastapi_users.app import LIFETIME, PASSWORD, Service
from tests.integrations.told import Step, Told
from tests.support import KEY, OTHER_KEY, Trail, mint

AUDIENCE = "fastapi-users:auth"
PERMISSIONS = ("verified", "superuser")


def issued(token: str) -> Told:
    return Told("jwt.issued", token, None)


def validated(token: str) -> Told:
    return Told("jwt.validated", token, None)


def rejected(reason: str, token: str, *, verified: bool = True) -> Told:
    return Told(f"jwt.rejected: {reason}", token, None, verified)


def permitted(token: str, *required: str) -> Told:
    return Told("jwt.validated", token, None, required=required, granted=required, scope="sufficient")


def denied(token: str, *missing: str, required: tuple[str, ...], granted: tuple[str, ...] = ()) -> Told:
    return Told("jwt.denied", token, None, required=required, granted=granted, missing=missing, scope="insufficient")


@pytest.fixture
def service(trail: Trail) -> Service:
    """With users that are what their names say, and a token for each; nobody's was deleted."""
    service = Service(trail)

    async def begin() -> None:
        await service.login("alice")
        await service.login("verified", is_verified=True)
        await service.login("super", is_superuser=True)
        await service.login("both", is_verified=True, is_superuser=True)
        await service.login("inactive", is_active=False, is_verified=True)
        await service.login("nobody")
        del service.users.all["nobody"]

    asyncio.run(begin())
    return service


def test_the_life_of_a_session(service: Service) -> None:
    """There is nothing to refresh, and to log out revokes nothing."""
    alice = service.users.add("ann")
    service.trail.clear()
    answer = service.post("/auth/login", data={"username": alice.email, "password": PASSWORD})
    service.keep(access=answer.json()["access_token"])
    assert service.told() == [issued("access")]
    sub = str(alice.id)
    service.keep(
        expired=mint(jti="expired", aud=AUDIENCE, sub=sub, exp=int(time.time()) - 60),
        forged=mint(OTHER_KEY, jti="forged", aud=AUDIENCE, sub=sub),
        endless=mint(jti="endless", aud=AUDIENCE, sub=sub, exp=None),
        anonymous=mint(jti="anonymous", aud=AUDIENCE, sub=None),
        odd=mint(jti="odd", aud=AUDIENCE, sub="17"),
        stranger=mint(jti="stranger", aud="another"),
    )
    service.check(
        Step("/me", "access", 200, [validated("access")]),
        Step("/optional", "access", 200, [validated("access")]),
        Step("/me", None, 401, []),
        Step("/optional", None, 200, []),
        Step("/me", "expired", 401, [rejected("expired", "expired")]),
        Step("/me", "forged", 401, [rejected("invalid_signature", "forged", verified=False)]),
        Step("/me", "endless", 200, [validated("endless")]),
        Step("/me", "stranger", 401, [rejected("invalid_audience", "stranger")]),
        Step("/me", "anonymous", 401, [rejected("refused", "anonymous")]),
        Step("/me", "odd", 401, [rejected("refused", "odd")]),
        Step("/optional", "expired", 200, [rejected("expired", "expired")]),
        Step("/optional", "stranger", 200, [rejected("invalid_audience", "stranger")]),
        Step("/optional", "odd", 200, [rejected("refused", "odd")]),
        Step("/auth/logout", "access", 204, [validated("access")]),
        Step("/me", "access", 200, [validated("access")]),
    )


def test_users_that_are_refused(service: Service) -> None:
    service.check(
        Step("/me", "nobody", 401, [rejected("refused", "nobody")]),
        Step("/me", "inactive", 401, [rejected("refused", "inactive")]),
        Step("/verified", "inactive", 401, [rejected("refused", "inactive")]),
        Step("/anybody", "inactive", 200, [validated("inactive")]),
        Step("/optional", "nobody", 200, [rejected("refused", "nobody")]),
        Step("/optional", "inactive", 200, [rejected("refused", "inactive")]),
    )


def test_users_that_may_not(service: Service) -> None:
    service.check(
        Step("/verified", "alice", 403, [denied("alice", "verified", required=("verified",))]),
        Step("/superuser", "alice", 403, [denied("alice", "superuser", required=("superuser",))]),
        Step("/both", "alice", 403, [denied("alice", *PERMISSIONS, required=PERMISSIONS)]),
        Step("/both", "super", 403, [denied("super", "verified", required=PERMISSIONS, granted=("superuser",))]),
        Step("/both", "verified", 403, [denied("verified", "superuser", required=PERMISSIONS, granted=("verified",))]),
        # The request goes on without its user: nothing was required of it.
        Step("/optional/verified", "alice", 200, [rejected("refused", "alice")]),
    )


def test_users_that_may(service: Service) -> None:
    service.check(
        Step("/verified", "verified", 200, [permitted("verified", "verified")]),
        Step("/superuser", "super", 200, [permitted("super", "superuser")]),
        Step("/both", "both", 200, [permitted("both", *PERMISSIONS)]),
        Step("/optional/verified", "verified", 200, [permitted("verified", "verified")]),
    )


@pytest.mark.parametrize("status", [200, 404])
def test_refused_whatever_the_status(status: int, service: Service) -> None:
    service.answer_refusals_with(status)
    service.check(
        Step("/me", "nobody", status, [rejected("refused", "nobody")]),
        Step("/me", "inactive", status, [rejected("refused", "inactive")]),
        Step("/superuser", "alice", status, [denied("alice", "superuser", required=("superuser",))]),
    )


def test_two_dependencies_one_token(service: Service) -> None:
    service.add("/twice", service.library.current_user(verified=True), service.library.current_user(superuser=True))
    service.check(
        Step("/twice", "both", 200, [permitted("both", *PERMISSIONS)]),
        Step("/twice", "verified", 403, [denied("verified", "superuser", required=PERMISSIONS, granted=("verified",))]),
    )


def test_two_backends_two_tokens(service: Service) -> None:
    """The first that has a user is taken."""
    session = asyncio.run(service.cookie.write_token(service.users.all["verified"]))
    service.keep(session=session)
    cookie: dict[str, Any] = {"cookies": {"session": "session"}}
    service.check(
        Step("/me", "alice", 200, [validated("alice")], cookie),
        Step("/me", None, 200, [validated("session")], cookie),
        Step("/me", "nobody", 200, [rejected("refused", "nobody"), validated("session")], cookie),
        Step("/verified", "nobody", 200, [rejected("refused", "nobody"), permitted("session", "verified")], cookie),
        Step("/verified", "alice", 403, [denied("alice", "verified", required=("verified",))], cookie),
        # That of the other backend has another audience.
        Step("/me", "session", 401, [rejected("invalid_audience", "session")]),
    )


def test_users_that_cannot_be_looked_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    async def get(wanted: Any) -> Any:
        raise OSError

    monkeypatch.setattr(service.users, "get", get)
    service.check(Step("/me", "alice", 500, [validated("alice")]))


class Choosy(JWTStrategy[Any, Any]):
    """Has its own idea of whom to let in."""

    async def read_token(self, token: str | None, user_manager: Any) -> Any:
        user = await super().read_token(token, user_manager)
        return None if user is not None and user.email.startswith("mallory") else user


def test_strategy_of_the_application(trail: Trail) -> None:
    service = Service(trail, Choosy)
    for name in ("alice", "mallory"):
        asyncio.run(service.login(name))
    service.check(
        Step("/me", "alice", 200, [validated("alice")]),
        Step("/me", "mallory", 401, [rejected("refused", "mallory")]),
        Step("/optional", "mallory", 200, [rejected("refused", "mallory")]),
        Step("/verified", "mallory", 401, [rejected("refused", "mallory")]),
    )


def test_nothing_is_told_once_it_is_switched_off(service: Service) -> None:
    PyJWTInstrumentor().uninstrument()
    service.trail.clear()
    assert service.post("/me", "nobody").status_code == 401
    assert service.post("/superuser", "alice").status_code == 403
    assert service.told() == []


# --- Tokens that are sent by mail -------------------------------------------------------------------------------------


def test_the_life_of_a_reset_token(service: Service) -> None:
    alice = service.users.all["alice"]
    service.trail.clear()
    service.post("/forgot-password", json={"email": alice.email})
    service.keep(**service.sent)
    assert service.told() == [issued("reset")]

    def reset(token: str = "reset", password: str = "another") -> dict[str, Any]:
        return {"json": {"token": service.tokens[token], "password": password}}

    path = "/reset-password"
    service.check(
        Step(path, None, 400, [validated("reset")], reset(password="short")),
        Step(path, None, 400, [rejected("invalid_audience", "alice")], reset("alice")),
        Step("/me", "reset", 401, [rejected("invalid_audience", "reset")]),
        Step(path, None, 200, [validated("reset")], reset()),
        Step(path, None, 400, [rejected("refused", "reset")], reset()),  # its fingerprint is that of the old password
    )
    for change in ({"is_active": False}, {"id": None}):
        service.users.add("bob")
        service.post("/forgot-password", json={"email": "bob@example.com"})
        service.keep(**service.sent)
        for name, value in change.items():
            setattr(service.users.all["bob"], name, value)
        service.check(Step(path, None, 400, [rejected("refused", "reset")], reset()))
    sub = str(alice.id)
    service.keep(
        other=mint(jti="other", aud="fastapi-users:reset", sub=sub),
        expired=mint(jti="expired", aud="fastapi-users:reset", sub=sub, exp=int(time.time()) - LIFETIME),
    )
    service.check(
        Step(path, None, 400, [rejected("refused", "other")], reset("other")),
        Step(path, None, 400, [rejected("expired", "expired")], reset("expired")),
    )


def test_the_life_of_a_verify_token(service: Service) -> None:
    alice = service.users.all["alice"]
    service.trail.clear()
    service.post("/request-verify-token", json={"email": alice.email})
    service.keep(**service.sent)
    assert service.told() == [issued("verify")]

    def verify(token: str = "verify") -> dict[str, Any]:
        return {"json": {"token": service.tokens[token]}}

    service.keep(
        expired=mint(KEY, jti="expired", aud="fastapi-users:verify", sub="x", exp=int(time.time()) - LIFETIME),
        other=mint(jti="other", aud="fastapi-users:verify", sub=str(alice.id), email="bob@example.com"),
    )
    service.check(
        Step("/me", "verify", 401, [rejected("invalid_audience", "verify")]),
        Step("/verify", None, 400, [rejected("invalid_audience", "alice")], verify("alice")),
        Step("/verify", None, 400, [rejected("expired", "expired")], verify("expired")),
        Step("/verify", None, 400, [rejected("refused", "other")], verify("other")),
        Step("/verify", None, 200, [validated("verify")], verify()),
        Step("/verify", None, 400, [rejected("refused", "verify")], verify()),
    )
