"""Litestar's JWT backends: the life of a session, told event by event."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import pytest

from opentelemetry._logs import SeverityNumber
from tests.integrations.checks import check_no_span, check_span
from tests.integrations.in_short import Told, denied, issued, refreshed, rejected, revoked, told, validated
from tests.integrations.litestar.service import AUDIENCE, BACKENDS, Service
from tests.support import OTHER_KEY, Trail, mint


class Step(NamedTuple):
    """One request, and all that is to be told of it."""

    path: str
    jti: str | None
    status: int
    told: list[Told]


LIFE = [
    # obtain and use; the refresh token comes first, for it is in the body of what hands out the other
    Step("/login", None, 200, [issued("refresh-1"), issued("access-1")]),
    Step("/items/7", "access-1", 200, [validated("access-1")]),
    Step("/items/7", None, 410, []),
    Step("/public", "access-1", 200, []),
    Step("/admin", "access-1", 403, [denied("access-1")]),
    # refresh
    Step("/refresh", "refresh-1", 200, [validated("refresh-1", "refresh"), refreshed("access-2", "refresh-1")]),
    Step("/items/7", "access-2", 200, [validated("access-2")]),
    # refresh, and the refresh token is good for one time
    Step(
        "/rotate",
        "refresh-1",
        200,
        [
            validated("refresh-1", "refresh"),
            refreshed("refresh-2", "refresh-1"),
            refreshed("access-3", "refresh-1"),
            revoked("refresh-1", "rotated"),
        ],
    ),
    Step("/rotate", "refresh-1", 410, [rejected("revoked", "refresh-1", "refresh", asked=True)]),
    Step("/refresh", "refresh-2", 200, [validated("refresh-2", "refresh"), refreshed("access-4", "refresh-2")]),
    # the wrong type, either way: the application finds no user for it
    Step("/items/7", "refresh-2", 410, [rejected("refused", "refresh-2", "refresh", asked=True)]),
    Step("/refresh", "access-3", 410, [rejected("refused", "access-3", asked=True)]),
    # refused by PyJWT
    Step("/items/7", "expired", 410, [rejected("expired", "expired")]),
    Step("/refresh", "expired", 410, [rejected("expired", "expired")]),
    Step("/items/7", "early", 410, [rejected("not_yet_valid", "early")]),
    Step("/items/7", "elsewhere", 410, [rejected("invalid_audience", "elsewhere")]),
    Step("/items/7", "stranger", 410, [rejected("invalid_issuer", "stranger")]),
    Step("/items/7", "forged", 410, [rejected("invalid_signature", "forged", verified=False)]),
    # refused by the token class
    Step("/items/7", "anonymous", 410, [rejected("missing_claim", "anonymous")]),
    Step("/items/7", "eternal", 410, [rejected("missing_claim", "eternal")]),
    Step("/items/7", "empty", 410, [rejected("invalid_claim", "empty")]),
    # refused by the application
    Step("/items/7", "nobody", 410, [rejected("refused", "nobody", asked=True)]),
    Step("/items/7", "locked", 410, [rejected("refused", "locked")]),
    # log out
    Step("/logout", "access-3", 200, [validated("access-3"), revoked("access-3", "logout")]),
    Step("/items/7", "access-3", 410, [rejected("revoked", "access-3", asked=True)]),
    Step("/admin", "access-3", 410, [rejected("revoked", "access-3", asked=True)]),
    Step("/items/7", "access-2", 200, [validated("access-2")]),
]


def others() -> dict[str, str]:
    """Tokens the application does not hand out."""
    now = int(time.time())
    changes: dict[str, dict[str, Any]] = {
        "expired": {"exp": now - 60},
        "early": {"nbf": now + 60},
        "elsewhere": {"aud": "warehouse"},
        "stranger": {"iss": "https://stranger.example"},
        "forged": {"key": OTHER_KEY},
        "anonymous": {"sub": None},
        "eternal": {"exp": None},
        "empty": {"sub": ""},
        "nobody": {"sub": "nobody"},
        "locked": {"sub": "locked"},
    }
    base = {"aud": AUDIENCE, "extras": {"token_use": "access"}}
    return {jti: mint(**{**base, "jti": jti, **one}) for jti, one in changes.items()}


def shown(events: list[dict[str, Any]]) -> int | None:
    """Which of the events the span shows: of the token presented, else minted last."""
    presented = [index for index, event in enumerate(events) if "jwt.validation.outcome" in event]
    return presented[-1] if presented else len(events) - 1 if events else None


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_life_of_a_session(backend: str, telemetry: str, trail: Trail) -> None:
    service = Service(backend, telemetry)
    service.keep(**others())
    for step in LIFE:
        trail.clear()
        status = service.get(step.path, step.jti)
        assert (step.path, status, told(trail)) == (step.path, step.status, step.told)
        route = "/items/{item}" if step.path == "/items/7" else step.path
        for event in trail.events:
            assert (event["http.response.status_code"], event["http.route"]) == (step.status, route)
            if event["event"] == "jwt.revoked":
                assert event["audit.actor.id"] == "alice"
            if event["event"] in ("jwt.issued", "jwt.refreshed", "jwt.validated", "jwt.denied"):
                assert event["jwt.scope.granted"] == ("read",)
        for record in trail.records:
            severe = record.log_record.severity_number is SeverityNumber.ERROR
            assert severe is (record.log_record.body == "jwt.rejected: revoked")
        if telemetry == "none":
            check_no_span(trail)
        else:
            check_span(trail, shown(trail.events))
