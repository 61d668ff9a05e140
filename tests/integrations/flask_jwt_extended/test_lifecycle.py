"""Flask-JWT-Extended: the life of a session, told event by event, with tokens in headers and in cookies."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jwt
import pytest
from flask_jwt_extended import decode_token
from flask_jwt_extended.exceptions import CSRFError, JWTExtendedException

from opentelemetry._logs import SeverityNumber
from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from tests.integrations.checks import check_no_span, check_span
from tests.integrations.flask_jwt_extended.app import COOKIES, HEADERS, Holder, claims_of, make
from tests.integrations.in_short import Told, issued, refreshed, rejected, revoked, told, validated
from tests.support import OTHER_KEY, Trail, mint


class Step(NamedTuple):
    """One request, and all that is to be told of it."""

    path: str
    jti: str | None
    status: int
    told: list[Told]
    more: dict[str, Any] = {}  # noqa: RUF012 - never changed


REFRESH = {"refresh": True}
LIFE = [
    # obtain and use
    Step("/login", None, 200, [issued("access-1"), issued("refresh-1")]),
    Step("/items/7", "access-1", 200, [validated("access-1")]),
    Step("/fresh", "access-1", 200, [validated("access-1")]),
    Step("/optional", "access-1", 200, [validated("access-1")]),
    Step("/optional", None, 200, []),
    Step("/items/7", None, 401, []),
    # refresh, which gives a token that is not fresh
    Step(
        "/refresh", "refresh-1", 200, [validated("refresh-1", "refresh"), refreshed("access-2", "refresh-1")], REFRESH
    ),
    Step("/items/7", "access-2", 200, [validated("access-2")]),
    Step("/fresh", "access-2", 403, [rejected("refused", "access-2")]),
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
        REFRESH,
    ),
    Step("/rotate", "refresh-1", 410, [rejected("revoked", "refresh-1", "refresh", asked=True)], REFRESH),
    Step(
        "/refresh", "refresh-2", 200, [validated("refresh-2", "refresh"), refreshed("access-4", "refresh-2")], REFRESH
    ),
    # the wrong type, either way
    Step("/items/7", "refresh-2", 422, [rejected("wrong_type", "refresh-2", "refresh")]),
    Step("/refresh", "access-3", 422, [rejected("wrong_type", "access-3")], REFRESH),
    # refused by PyJWT
    Step("/items/7", "expired", 401, [rejected("expired", "expired")]),
    Step("/optional", "expired", 401, [rejected("expired", "expired")]),
    Step("/refresh", "expired", 401, [rejected("expired", "expired")], REFRESH),
    Step("/items/7", "forged", 422, [rejected("invalid_signature", "forged", verified=False)]),
    # refused by the application: it asks the blocklist first, the user comes last
    Step("/items/7", "nobody", 404, [rejected("refused", "nobody", asked=True)]),
    Step("/items/7", "closed", 400, [rejected("refused", "closed", asked=True)]),
    Step("/items/7", "anonymous", 422, [rejected("missing_claim", "anonymous")]),
    # log out, of both tokens
    Step(
        "/logout",
        "access-3",
        200,
        [
            validated("access-3"),
            validated("refresh-2", "refresh", asked=False),
            revoked("access-3", "logout"),
            revoked("refresh-2", "logout"),
        ],
        {"companion": "refresh-2"},
    ),
    Step("/items/7", "access-3", 410, [rejected("revoked", "access-3", asked=True)]),
    Step("/optional", "access-3", 410, [rejected("revoked", "access-3", asked=True)]),
    Step("/refresh", "refresh-2", 410, [rejected("revoked", "refresh-2", "refresh", asked=True)], REFRESH),
    Step("/items/7", "access-2", 200, [validated("access-2")]),
]


def others() -> list[str]:
    """Tokens the application does not hand out."""

    def token(**changes: Any) -> str:
        return mint(**{"type": "access", "fresh": False, "csrf": "c", **changes})

    return [
        token(jti="expired", exp=int(time.time()) - 60),
        token(jti="forged", key=OTHER_KEY),
        token(jti="nobody", sub="nobody"),
        token(jti="closed", tenant="closed"),
        token(jti="anonymous", sub=None),
        token(jti="unprotected", csrf=None),
    ]


def shown(events: list[dict[str, Any]]) -> int | None:
    """Which of the events the span shows: of the token presented last, else minted last."""
    presented = [index for index, event in enumerate(events) if "jwt.validation.outcome" in event]
    return presented[-1] if presented else len(events) - 1 if events else None


@pytest.mark.parametrize("telemetry", ["none", "contrib"])
@pytest.mark.parametrize("location", [HEADERS, COOKIES])
def test_the_life_of_a_session(location: str, telemetry: str, trail: Trail) -> None:
    with make(location, telemetry) as app:
        holder = Holder(app, location)
        holder.keep(*others())
        for step in LIFE:
            trail.clear()
            status = holder.post(step.path, step.jti, **step.more)
            assert (step.path, status, told(trail)) == (step.path, step.status, step.told)
            route = "/items/<int:item>" if step.path == "/items/7" else step.path
            for event in trail.events:
                assert (event["http.response.status_code"], event["http.route"]) == (step.status, route)
                if event["event"] == "jwt.revoked":
                    assert event["audit.actor.id"] == "alice"
            for record in trail.records:
                severe = record.log_record.severity_number is SeverityNumber.ERROR
                assert severe is (record.log_record.body == "jwt.rejected: revoked")
            if telemetry == "none":
                check_no_span(trail)
            else:
                check_span(trail, shown(trail.events))


@pytest.fixture
def requests(trail: Trail) -> Callable[..., None]:
    """Call it with a location and the steps after a login; it checks what is told of each."""

    def run(location: str, *steps: Step, **options: Any) -> None:
        with make(location, **options) as app:
            holder = Holder(app, location)
            holder.keep(*others())
            holder.post("/login", None)
            for step in steps:
                trail.clear()
                status = holder.post(step.path, step.jti, **step.more)
                assert (step.path, status, told(trail)) == (step.path, step.status, step.told)

    return run


@pytest.mark.parametrize(
    ("path", "jti", "csrf", "told"),
    [
        # Refused unread: what the cookie says, nobody has checked.
        ("/items/7", "access-1", "", rejected("refused", "access-1", verified=False)),
        ("/refresh", "refresh-1", "", rejected("refused", "refresh-1", "refresh", verified=False)),
        ("/optional", "access-1", "", rejected("refused", "access-1", verified=False)),
        ("/items/7", "access-1", "another", rejected("refused", "access-1")),
        ("/refresh", "refresh-1", "another", rejected("refused", "refresh-1", "refresh")),
    ],
)
def test_cookie_without_its_csrf_value(path: str, jti: str, csrf: str, told: Told, requests: Any) -> None:
    requests(COOKIES, Step(path, jti, 401, [told], {"csrf": csrf, "refresh": path == "/refresh"}))


def test_token_in_a_cookie_that_was_not_made_for_one(requests: Any) -> None:
    told = [rejected("missing_claim", "unprotected")]
    requests(COOKIES, Step("/items/7", "unprotected", 422, told, {"csrf": "any"}))


def test_no_blocklist_was_asked_where_there_is_none(requests: Any) -> None:
    requests(
        HEADERS,
        Step("/items/7", "access-1", 200, [validated("access-1", asked=False)]),
        Step("/items/7", "nobody", 404, [rejected("refused", "nobody")]),
        blocklist=False,
    )


def test_token_of_the_other_type_is_accepted_after_all(requests: Any) -> None:
    requests(
        HEADERS,
        Step("/either", "access-1", 200, [validated("access-1")]),
        Step("/either", "refresh-1", 200, [validated("refresh-1", "refresh")]),
    )


def test_blocklist_that_cannot_be_asked_refuses_nothing(trail: Trail) -> None:
    with make() as app:
        app.config["PROPAGATE_EXCEPTIONS"] = False
        manager = app.extensions["flask-jwt-extended"]
        manager.token_in_blocklist_loader(lambda header, claims: 1 / 0)
        holder = Holder(app, HEADERS)
        holder.post("/login", None)
        trail.clear()
        assert holder.post("/items/7", "access-1") == 500
        assert told(trail) == [validated("access-1", asked=False)]


def test_the_token_refused_is_not_the_one_verified_last(trail: Trail) -> None:
    with make() as app:
        holder = Holder(app, HEADERS)
        holder.post("/login", None)
        other = holder.tokens["refresh-1"]
        app.extensions["flask-jwt-extended"].token_verification_loader(lambda header, claims: not decode_token(other))
        trail.clear()
        assert holder.post("/items/7", "access-1") == 400
        assert told(trail) == [
            rejected("refused", "access-1", asked=True),
            validated("refresh-1", "refresh", asked=False),
        ]


def test_the_refused_token_is_found_by_a_jti_that_had_to_be_cut(
    instrument: Callable[..., Trail], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "16")
    trail = instrument()
    with make() as app:
        holder = Holder(app, HEADERS)
        holder.keep(mint(jti="long" * 16, type="refresh"))
        trail.clear()
        assert holder.post("/items/7", "long" * 16) == 422
        assert trail.names == ["jwt.rejected: wrong_type"]


def test_csrf_value_of_a_token_minted_in_this_request(trail: Trail) -> None:
    """It was never presented, so it was not rejected."""
    with make(COOKIES) as app:

        @app.post("/mint")
        def view() -> dict[str, Any]:
            token = mint(jti="new", type="access", csrf="c")
            with pytest.raises(CSRFError):
                decode_token(token, csrf_value="another")
            return {}

        Holder(app, COOKIES).post("/mint", None)
    assert told(trail) == [issued("new")._replace(use="access")]


@pytest.mark.parametrize(
    ("jti", "csrf", "told_of_it"),
    [
        ("closed", None, validated("closed", asked=False)),
        ("closed", "another", rejected("refused", "closed")),
        ("expired", None, rejected("expired", "expired")),
        ("forged", None, rejected("invalid_signature", "forged", verified=False)),
        ("anonymous", None, rejected("missing_claim", "anonymous")),
    ],
)
def test_outside_any_request_a_token_is_looked_at_once_too(
    jti: str, csrf: str | None, told_of_it: Told, trail: Trail
) -> None:
    with make() as app, app.app_context():
        (token,) = (one for one in others() if claims_of(one)["jti"] == jti)
        trail.clear()
        with contextlib.suppress(jwt.InvalidTokenError, JWTExtendedException):
            decode_token(token, csrf)
    assert told(trail) == [told_of_it]


def test_nothing_is_told_once_it_is_switched_off(trail: Trail) -> None:
    PyJWTInstrumentor().uninstrument()
    with make() as app:
        holder = Holder(app, HEADERS)
        assert holder.post("/login", None) == 200
        assert holder.post("/items/7", "refresh-1") == 422
    assert told(trail) == []
