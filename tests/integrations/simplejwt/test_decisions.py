"""What the library decides about a token: its class, its user, where it keeps id and user."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from rest_framework_simplejwt.tokens import AccessToken, SlidingToken, UntypedToken

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor, action
from tests.integrations.rows import Table, issued, refreshed, rejected, validated
from tests.integrations.simplejwt.service import OBTAINED, PASSWORD, Service, claims_of, service
from tests.support import ISSUER, OTHER_KEY, Trail, mint

CLASSES = {
    "the second class accepts it": ([SlidingToken, AccessToken], "access", validated("access-1", list_asked=True)),
    "the first one does": ([AccessToken, SlidingToken], "access", validated("access-1")),
    "neither does": (
        [AccessToken, SlidingToken],
        "refresh",
        rejected("wrong_type", "refresh-1", "refresh", list_asked=True),
    ),
    "any type will do": ([AccessToken, UntypedToken], "refresh", validated("refresh-1", "refresh")),
}


@pytest.mark.parametrize("title", CLASSES)
def test_token_classes_are_tried_one_after_another(
    title: str, telemetry: str, table: Callable[[Service], Table]
) -> None:
    classes, use, expected = CLASSES[title]
    with service(telemetry, AUTH_TOKEN_CLASSES=classes) as served:
        rows = table(served)
        access, refresh = served.obtain()
        rows.expect(*OBTAINED)
        served.get("/item", access if use == "access" else refresh)
        rows.expect(expected)
    assert rows.seen == rows.expected


@pytest.mark.parametrize("classes", [[SlidingToken, AccessToken], [AccessToken, SlidingToken]])
def test_sliding_tokens(
    classes: list[Any],
    telemetry: str,
    table: Callable[[Service], Table],
    trail: Trail,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with service(telemetry, AUTH_TOKEN_CLASSES=classes) as served:
        rows = table(served)
        first = served.called("sliding", served.post("/sliding", **PASSWORD).get_json()["token"])
        rows.expect(issued("sliding", None))
        served.get("/item", first)
        rows.expect(validated("sliding", None, list_asked=True))

        # The same token within the same second: nothing new.
        monkeypatch.setattr(SlidingToken, "lifetime", timedelta(seconds=claims_of(first)["exp"] - time.time() + 600))
        second = served.post("/sliding/refresh", token=first).get_json()["token"]
        rows.expect(validated("sliding", None, list_asked=True), refreshed("sliding", None, "sliding"))
        assert claims_of(second)["jti"] == claims_of(first)["jti"]
        served.get("/item", second)
        rows.expect(validated("sliding", None, list_asked=True))

        # No longer to be refreshed, yet still good.
        claims = claims_of(second)
        PyJWTInstrumentor().uninstrument()
        last = mint(**{**claims, "refresh_exp": 1})
        PyJWTInstrumentor().instrument()
        served.post("/sliding/refresh", token=last)
        rows.expect(rejected("expired", "sliding", None, list_asked=True))
        served.get("/item", last)
        rows.expect(validated("sliding", None, list_asked=True))

        with action("revoke"):
            SlidingToken(second).blacklist()
        served.get("/item", second)
    assert rows.seen == rows.expected
    assert trail.names == ["jwt.validated", "jwt.revoked", "jwt.rejected: revoked"]
    assert trail.events[1]["jwt.action"] == "revoke"


REFUSED = {
    "no user claim": ({"user_id": None}, "/session", rejected("refused", "other", status=403)),
    "no user claim, and no user wanted": (
        {"user_id": None},
        "/session/stateless",
        rejected("refused", "other", status=403),
    ),
    "no type": ({"token_type": None}, "/session", rejected("wrong_type", "other", None, 403)),
    "no expiry": ({"exp": None}, "/session", rejected("missing_claim", "other", status=403)),
    "another key": ({"key": OTHER_KEY}, "/item", rejected("invalid_signature", "other")._replace(verified=False)),
    "another issuer": ({"iss": "https://nobody.example"}, "/item", rejected("invalid_issuer", "other")),
}


@pytest.mark.parametrize("title", REFUSED)
def test_refused(title: str, instrument: Callable[..., Trail], alice: Any) -> None:
    """Tokens that come from elsewhere."""
    changes, at, expected = REFUSED[title]
    token = mint(**{"user_id": str(alice.id), "token_type": "access", **changes})
    with service("none") as served:
        rows = Table(instrument(), served.names, {}, ISSUER)
        served.called("other", token)
        served.get(at, token)
        rows.expect(expected)
    assert rows.seen == rows.expected


def test_ids_in_another_claim(trail: Trail, alice: Any) -> None:
    with service("none", JTI_CLAIM="tid") as served:
        answer = served.post("/token", **PASSWORD).get_json()
        served.get("/item", answer["access"])
        served.get("/item", answer["refresh"])
        served.post("/logout", refresh=answer["refresh"])
        served.post("/refresh", refresh=answer["refresh"])
        assert [event["jwt.jti"] for event in trail.events if "jwt.jti" in event] == [
            claims_of(answer["refresh"])["tid"]
        ]
    assert trail.names[-5:] == [
        "jwt.validated",
        "jwt.rejected: wrong_type",
        "jwt.validated",
        "jwt.revoked",
        "jwt.rejected: revoked",
    ]


def test_users_named_by_the_registered_claim(trail: Trail, alice: Any) -> None:
    """As the reference recommends: then the events say who it was."""
    user = str(alice.id)
    access, refresh = (mint(jti=use, token_type=use, sub=user) for use in ("access", "refresh"))
    with service("none", USER_ID_CLAIM="sub") as served:
        served.get("/item", access)
        served.post("/logout", refresh=refresh)
    subjects = [(event.get("jwt.sub"), event.get("user.id"), event.get("audit.actor.id")) for event in trail.events]
    assert subjects == [(user, user, None)] * 4 + [(None, None, user)]
