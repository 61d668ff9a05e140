"""AuthX: the life of a session, told event by event, with tokens in headers and in cookies."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from authx import AuthX, AuthXConfig
from authx.exceptions import InsufficientScopeError
from fastapi import Depends, FastAPI
from fastapi.responses import JSONResponse

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from tests.integrations.authx.app import COOKIES, GRANTED, HEADERS, logged_in, make
from tests.integrations.fastapi.app import new
from tests.integrations.told import Session, Step, Told, claims_of
from tests.support import KEY, OTHER_KEY, Trail, mint

# AuthX asks Pydantic for something in a way that is going out of use.
pytestmark = pytest.mark.filterwarnings("ignore:Accessing the 'model_fields' attribute")

SCOPES = {"granted": tuple(GRANTED)}


def issued(token: str, **more: Any) -> Told:
    return Told("jwt.issued", token, token.partition("-")[0], **more)


def refreshed(token: str, parent: str) -> Told:
    return Told("jwt.refreshed", token, token.partition("-")[0], parent=parent)


def validated(token: str, use: str = "access", *, asked: bool = True, **more: Any) -> Told:
    return Told("jwt.validated", token, use, asked=asked, **more)


def denied(token: str, *missing: str, **more: Any) -> Told:
    return Told("jwt.denied", token, asked=True, missing=missing, scope="insufficient", **more)


def rejected(reason: str, token: str, use: str | None = "access", *, asked: bool = True, **more: Any) -> Told:
    return Told(f"jwt.rejected: {reason}", token, use, asked=asked, **more)


def revoked(token: str, why: str) -> Told:
    return Told("jwt.revoked", token, token.partition("-")[0], None, why=why)


def first(body: str, **more: Any) -> Told:
    return Told(body, "access-1", **SCOPES, **more)


LIFE = [
    # use
    Step("/open", "access-1", 200, [first("jwt.validated", asked=True)]),
    Step("/fresh", "access-1", 200, [first("jwt.validated", asked=True)]),
    Step("/open", None, 401, []),
    # refresh, which gives a token that is not fresh
    Step("/refresh", "refresh-1", 200, [validated("refresh-1", "refresh"), refreshed("access-2", "refresh-1")]),
    Step("/open", "access-2", 200, [validated("access-2")]),
    Step("/fresh", "access-2", 401, [rejected("refused", "access-2")]),
    # refresh, and the refresh token is good for one time
    Step(
        "/rotate",
        "refresh-1",
        200,
        [
            validated("refresh-1", "refresh"),
            refreshed("access-3", "refresh-1"),
            refreshed("refresh-2", "refresh-1"),
            revoked("refresh-1", "rotated"),
        ],
    ),
    Step("/rotate", "refresh-1", 401, [rejected("revoked", "refresh-1", "refresh", verified=False)]),
    Step("/refresh", "refresh-2", 200, [validated("refresh-2", "refresh"), refreshed("access-4", "refresh-2")]),
    # the wrong type, either way
    Step("/open", "refresh-2", 401, [rejected("wrong_type", "refresh-2", "refresh")]),
    Step("/refresh", "access-3", 401, [rejected("wrong_type", "access-3")]),
    # refused by PyJWT
    Step("/open", "expired", 422, [rejected("expired", "expired")]),
    Step("/refresh", "expired", 422, [rejected("expired", "expired")]),
    Step("/open", "forged", 422, [rejected("invalid_signature", "forged", verified=False)]),
    # claims that are not what AuthX takes for claims
    Step("/open", "anonymous", 422, [rejected("missing_claim", "anonymous")]),
    Step("/open", "odd", 422, [rejected("invalid_claim", "odd")]),
    # log out
    Step("/logout", "access-3", 200, [validated("access-3"), revoked("access-3", "logout")]),
    Step("/open", "access-3", 401, [rejected("revoked", "access-3", verified=False)]),
    Step("/open", "access-2", 200, [validated("access-2")]),
]


def others() -> dict[str, str]:
    """Tokens the application does not hand out."""
    given = {
        "expired": {"exp": int(time.time()) - 60},
        "forged": {"key": OTHER_KEY},
        "anonymous": {"sub": None},
        "odd": {"csrf": ["not", "a", "text"]},
    }
    return {name: mint(**{"jti": name, "type": "access", "csrf": "c", **more}) for name, more in given.items()}


def presented(session: Session, location: str, path: str, token: str | None, csrf: str | None = None) -> dict[str, Any]:
    """How a token is presented there: ``csrf`` is the value to send; unset, the right one; empty, none."""
    if location == HEADERS or token is None:
        return {"token": token}
    value = str(claims_of(session.tokens[token]).get("csrf")) if csrf is None else csrf
    cookie = "refresh_token_cookie" if path in ("/refresh", "/rotate") else "access_token_cookie"
    return {"cookies": {cookie: token}, "headers": {"x-csrf-token": value} if value else {}}


@pytest.mark.parametrize("location", [HEADERS, COOKIES])
def test_the_life_of_a_session(location: str, trail: Trail) -> None:
    session, _ = logged_in(trail, location)
    assert session.told()[:2] == [first("jwt.issued"), issued("refresh-1")]
    session.keep(**others())
    numbers = {"access": 1, "refresh": 1}
    for step in LIFE:
        trail.clear()
        answer = session.post(step.path, **presented(session, location, step.path, step.token))
        for use, token in (answer.json() or {}).items() if answer.status_code == 200 else ():
            if token is not None:
                numbers[use] += 1
                session.keep(**{f"{use}-{numbers[use]}": token})
        assert (step.path, answer.status_code, session.told()) == (step.path, step.status, step.told)
        for event in trail.events:
            assert (event["http.route"], event["http.response.status_code"]) == (step.path, step.status)
            assert event["event"] != "jwt.revoked" or event["audit.actor.id"] == "alice"


@pytest.mark.parametrize(
    ("path", "token", "csrf", "told"),
    [
        # Refused unread: what the cookie says, nobody has checked.
        ("/open", "soon", "", rejected("refused", "soon", verified=False, asked=False)),
        ("/either", "soon", "", rejected("refused", "soon", verified=False, asked=False)),
        ("/refresh", "refresh-1", "", rejected("refused", "refresh-1", "refresh", verified=False, asked=False)),
        ("/open", "soon", "another", rejected("refused", "soon")),
        ("/refresh", "refresh-1", "another", rejected("refused", "refresh-1", "refresh")),
    ],
)
def test_cookie_without_its_csrf_value(path: str, token: str, csrf: str, told: Told, trail: Trail) -> None:
    session, _ = logged_in(trail, COOKIES)
    session.check(Step(path, None, 401, [told], presented(session, COOKIES, path, token, csrf)))


def test_no_blocklist_was_asked_where_there_is_none(trail: Trail) -> None:
    session, _ = logged_in(trail, HEADERS, blocklist=False)
    session.check(
        Step("/open", "soon", 200, [validated("soon", asked=False)]),
        Step("/fresh", "soon", 401, [rejected("refused", "soon", asked=False)]),
    )


def test_blocklist_that_takes_its_time(trail: Trail) -> None:
    session, auth = logged_in(trail, HEADERS)

    async def is_revoked(token: str) -> bool:
        return token == session.tokens["soon"]

    auth.set_token_blocklist(is_revoked)
    session.check(
        Step("/open", "soon", 401, [rejected("revoked", "soon", verified=False)]),
        Step("/open", "access-1", 200, [first("jwt.validated", asked=True)]),
    )


def test_blocklist_that_cannot_be_asked_refuses_nothing(trail: Trail) -> None:
    session, auth = logged_in(trail, HEADERS)
    auth.set_token_blocklist(lambda token: 1 / 0)  # type: ignore[arg-type,return-value]
    session.check(Step("/open", "soon", 500, []))


def test_token_of_the_other_type_is_accepted_after_all(trail: Trail) -> None:
    session, _ = logged_in(trail, HEADERS)
    session.check(
        Step("/either", "soon", 200, [validated("soon", asked=False)]),
        Step("/either", "refresh-1", 200, [validated("refresh-1", "refresh", asked=False)]),
    )


@pytest.fixture
def renewing(trail: Trail) -> Session:
    """An application that renews access tokens in cookies when they are about to expire, unasked."""
    app, auth = make(HEADERS, COOKIES, JWT_IMPLICIT_REFRESH_ROUTE_INCLUDE=["/open"])
    app.middleware("http")(auth.implicit_refresh_middleware)
    session = Session(trail, app)
    session.keep(soon=mint(jti="soon", type="access", csrf="c", exp=int(time.time()) + 60))
    return session


def test_access_token_is_renewed_unasked(renewing: Session) -> None:
    """There is no refresh token that the new one is from."""
    renewing.trail.clear()
    answer = renewing.post("/open", cookies={"access_token_cookie": "soon"}, headers={"x-csrf-token": "c"})
    renewing.keep(new=answer.headers["set-cookie"].partition("=")[2].partition(";")[0])
    assert renewing.told() == [validated("soon"), Told("jwt.issued", "new")]


def test_revoked_token_that_is_renewed_unasked_is_revoked_all_the_same(renewing: Session) -> None:
    renewing.client.app.state.revoked.add(renewing.tokens["soon"])  # type: ignore[attr-defined]
    renewing.trail.clear()
    answer = renewing.post("/open", cookies={"access_token_cookie": "soon"}, headers={"x-csrf-token": "c"})
    renewing.keep(new=answer.headers["set-cookie"].partition("=")[2].partition(";")[0])
    assert renewing.told() == [rejected("revoked", "soon"), Told("jwt.issued", "new")]


def test_cookie_that_is_not_renewed_is_not_refused(renewing: Session) -> None:
    """Without its CSRF value it is of no use, but nobody had asked for it."""
    more = {"cookies": {"access_token_cookie": "soon"}}
    renewing.check(Step("/open", "soon", 200, [validated("soon")], more))


# --- Scopes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "required", "missing"),
    [
        ("/items", ("items:read",), ()),
        ("/items/any", ("items:read",), ()),
        ("/users", ("admin:users",), ()),  # by admin:*
        ("/posts", ("items:read", "admin:posts", "posts:write", "posts:read"), ("posts:write", "posts:read")),
        ("/posts/any", ("items:read", "admin:posts", "posts:write", "posts:read"), ()),
        ("/none/any", ("posts:write", "b"), ("posts:write", "b")),
    ],
)
def test_scopes(path: str, required: tuple[str, ...], missing: tuple[str, ...], trail: Trail) -> None:
    session, _ = logged_in(trail, HEADERS)
    told = {"required": required, **SCOPES}
    if missing:
        session.check(Step(path, "access-1", 403, [denied("access-1", *missing, **told)]))
    else:
        session.check(Step(path, "access-1", 200, [validated("access-1", scope="sufficient", **told)]))
    session.check(Step(path, "soon", 403, [denied("soon", *required, required=required)]))


def test_scopes_insufficient_yet_served(trail: Trail) -> None:
    app, auth = make(HEADERS)
    app.add_exception_handler(InsufficientScopeError, lambda request, error: JSONResponse(None, 200))
    session = Session(trail, app)
    session.keep(**{"access-1": auth.create_access_token("alice", scopes=GRANTED)})
    session.keep(soon=auth.create_access_token("alice"))
    wanted: dict[str, Any] = {"required": ("posts:write",), **SCOPES}
    session.check(
        Step("/asked", "access-1", 200, [denied("access-1", "posts:write", **wanted)]),
        Step("/none/any", "soon", 200, [denied("soon", "posts:write", "b", required=("posts:write", "b"))]),
    )


def test_refused_token_has_no_scopes_to_compare(trail: Trail) -> None:
    session, _ = logged_in(trail, HEADERS)
    session.check(Step("/items", "refresh-1", 401, [rejected("wrong_type", "refresh-1", "refresh")]))


# --- The application's own ------------------------------------------------------------------------------------------


def test_what_the_application_has_made_of_it_still_works(trail: Trail) -> None:
    """Its subclass decides, and calls what it overrides."""

    class Own(AuthX[Any]):
        async def is_token_in_blocklist(self, token: str | None, **more: Any) -> bool:
            return bool(claims_of(token or "")["tenant"] == "closed" or await super().is_token_in_blocklist(token))

    auth = Own(AuthXConfig(JWT_SECRET_KEY=KEY))
    app: FastAPI = new("none")
    auth.handle_errors(app)
    auth.set_token_blocklist(lambda token: claims_of(token)["tenant"] == "gone")
    app.post("/open", dependencies=[Depends(auth.access_token_required)])(lambda: None)
    session = Session(trail, app)
    session.keep(**{name: mint(jti=name, type="access", tenant=name) for name in ("open", "gone", "closed")})
    session.check(
        Step("/open", "open", 200, [validated("open")]),
        Step("/open", "gone", 401, [rejected("revoked", "gone", verified=False)]),
    )
    assert session.post("/open", "closed").status_code == 401


def test_nothing_is_told_once_it_is_switched_off(instrument: Callable[..., Trail]) -> None:
    trail = instrument()
    session, _ = logged_in(trail, HEADERS)
    PyJWTInstrumentor().uninstrument()
    trail.clear()
    assert session.post("/open", "refresh-1").status_code == 401
    assert session.post("/posts", "access-1").status_code == 403
    assert session.told() == []
