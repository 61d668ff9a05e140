"""The life of tokens of djangorestframework-simplejwt, from the obtaining to the logout, and the audit of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework_simplejwt.serializers import TokenRefreshSerializer

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from tests.integrations.checks import token_attributes
from tests.integrations.rows import Table, assert_lineage_is_whole, issued, refreshed, rejected, revoked, validated
from tests.integrations.simplejwt.service import OBTAINED, Service, claims_of, service
from tests.support import Trail, mint


def expired(token: str) -> str:
    """The same token, expired; minted where nobody looks, so that it is not seen but presented."""
    PyJWTInstrumentor().uninstrument()
    try:
        return mint(**{**claims_of(token), "exp": int(time.time()) - 60})
    finally:
        PyJWTInstrumentor().instrument()


# Since 5.4 no token is refreshed for a user that is not active.
MINDS_USERS = "no_active_account" in TokenRefreshSerializer.default_error_messages


@pytest.mark.parametrize("rotating", [False, True], ids=["not_rotating", "rotating"])
def test_lifecycle(rotating: bool, telemetry: str, table: Callable[[Service], Table], trail: Trail, alice: Any) -> None:
    with service(telemetry, ROTATE_REFRESH_TOKENS=rotating) as served:
        rows = table(served)

        access, refresh = served.obtain()
        rows.expect(*OBTAINED)

        served.get("/item", access)
        rows.expect(validated("access-1"))

        answer = served.post("/refresh", refresh=refresh).get_json()
        served.called("access-2", answer["access"])
        if rotating:
            served.called("refresh-2", answer["refresh"])
            rows.expect(
                validated("refresh-1", "refresh", list_asked=True),
                refreshed("access-2", "access", "refresh-1"),
                refreshed("refresh-2", "refresh", "refresh-1"),
                revoked("refresh-1", "rotation", "alice"),
            )
            served.post("/refresh", refresh=refresh)
            rows.expect(rejected("revoked", "refresh-1", "refresh", list_asked=True))
            refresh, newest = answer["refresh"], "refresh-2"
        else:
            rows.expect(
                validated("refresh-1", "refresh", list_asked=True), refreshed("access-2", "access", "refresh-1")
            )
            newest = "refresh-1"

        served.post("/logout", refresh=refresh)
        rows.expect(validated(newest, "refresh", list_asked=True), revoked(newest, "blacklist", "alice"))

        # An access token is not on the list, and good until it expires.
        served.get("/item", answer["access"])
        rows.expect(validated("access-2"))
        served.post("/refresh", refresh=refresh)
        rows.expect(rejected("revoked", newest, "refresh", list_asked=True))
        served.post("/verify", token=refresh)
        rows.expect(rejected("revoked", newest, "refresh", 400, list_asked=True))
        served.post("/logout", refresh=refresh)
        rows.expect(rejected("revoked", newest, "refresh", list_asked=True))

        access, refresh = served.obtain(3)
        rows.expect(issued("refresh-3", "refresh"), issued("access-3", "access"))
        served.get("/item", refresh)
        rows.expect(rejected("wrong_type", "refresh-3", "refresh"))
        served.post("/refresh", refresh=access)
        rows.expect(rejected("wrong_type", "access-3", list_asked=True))
        served.post("/verify", token=access)
        rows.expect(validated("access-3", list_asked=True))

        served.get("/item", expired(access))
        rows.expect(rejected("expired", "access-3"))
        served.post("/refresh", refresh=expired(refresh))
        rows.expect(rejected("expired", "refresh-3", "refresh"))

        alice.is_active = False
        alice.save()
        served.get("/item", access)
        rows.expect(rejected("refused", "access-3"))
        served.get("/session", access)
        rows.expect(rejected("refused", "access-3", status=403))
        answer = served.post("/refresh", refresh=refresh).get_json()
        if MINDS_USERS:
            rows.expect(rejected("refused", "refresh-3", "refresh", list_asked=True))
        else:
            rows.overlook()
        served.get("/stateless", access)
        rows.expect(validated("access-3"))

        alice.delete()
        served.get("/item", access)
        rows.expect(rejected("refused", "access-3"))

    assert rows.seen == rows.expected
    assert_lineage_is_whole(rows.seen)


def test_the_span_shows_what_the_event_says(trail: Trail, alice: Any) -> None:
    with service("contrib") as served:
        _, refresh = served.obtain()
        trail.clear()
        served.get("/item", refresh)
    (span,) = trail.server_spans
    (event,) = trail.events
    shown = token_attributes(span)
    assert shown["jwt.validation.reason"] == "wrong_type"
    assert shown.items() <= event.items()


@pytest.mark.parametrize("rotating", [False, True])
def test_answers_are_the_same_without_the_plugin(rotating: bool, instrument: Callable[..., Trail], alice: Any) -> None:
    def answers() -> list[tuple[int, Any]]:
        with service("none", ROTATE_REFRESH_TOKENS=rotating) as served:
            access, refresh = served.obtain()
            for token in (access, refresh, access[:-3], ""):
                served.get("/item", token)
                served.get("/session", token)
                for at in ("/refresh", "/verify", "/logout", "/refresh", "/verify", "/logout"):
                    served.post(at, **{"token" if at == "/verify" else "refresh": token})
            return served.answers

    bare = answers()
    instrument()
    assert answers() == bare
    assert len({status for status, _ in bare}) == 4
