"""The life of drf-jwt's tokens, from the obtaining to the blacklist, and the audit of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from tests.integrations.checks import token_attributes
from tests.integrations.rest_framework_jwt.service import Service, claims_of, service
from tests.integrations.rows import (
    Row,
    Table,
    assert_lineage_is_whole,
    issued,
    refreshed,
    rejected,
    revoked,
    validated,
)
from tests.support import Trail, mint

# The library tells the time by a function that Python has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utc:DeprecationWarning")


def changed(token: str, **claims: Any) -> str:
    """The same token with other claims, ``None`` takes one out; minted where nobody looks, so that it is presented."""
    PyJWTInstrumentor().uninstrument()
    try:
        return mint(**{"sub": None, "iss": None, **claims_of(token), **claims})
    finally:
        PyJWTInstrumentor().instrument()


def past(seconds: int = 60) -> int:
    return int(time.time()) - seconds


def good(token: str, status: int = 200) -> Row:
    """What this library accepts has been looked up in the blacklist."""
    return validated(token, None, status, list_asked=True)


def refused(reason: str, token: str, status: int = 401, *, list_asked: bool = True) -> Row:
    return rejected(reason, token, None, status, list_asked=list_asked)


def minted(token: str) -> Row:
    return issued(token, None)._replace(status=201)


def test_lifecycle(telemetry: str, table: Callable[[Service], Table], alice: Any) -> None:
    with service(telemetry) as served:
        rows = table(served)

        first = served.obtain("first")
        rows.expect(minted("first"))
        served.get(first)
        rows.expect(good("first"))
        served.post("/verify", token=first)
        rows.expect(good("first", 201))

        # Of an access token; the old one stays good.
        second = served.refresh(first, "second")
        rows.expect(good("first", 201), refreshed("second", None, "first")._replace(status=201))
        third = served.refresh(second, "third")
        rows.expect(good("second", 201), refreshed("third", None, "second")._replace(status=201))
        served.get(third)
        rows.expect(good("third"))

        served.get(changed(first, exp=past()))
        rows.expect(refused("expired", "first", list_asked=False))
        served.refresh(changed(third, exp=past()))
        rows.expect(refused("expired", "third", 400, list_asked=False))
        served.refresh(changed(third, orig_iat=past(8 * 24 * 3600)))
        rows.expect(refused("expired", "third", 400))
        served.refresh(changed(third, orig_iat=None))
        rows.expect(refused("missing_claim", "third", 400))
        other, badge = served.obtain("other"), served.obtain("badge", "admin")
        rows.expect(minted("other"), minted("badge"))

        # One of a family goes, and with it the others.
        served.post("/blacklist", second)
        rows.expect(good("second", 201), revoked("first", "blacklist", "alice", None)._replace(status=201))
        served.get(second)
        rows.expect(refused("revoked", "second", 403))
        served.get(first, "/session")
        rows.expect(refused("revoked", "first", 403))
        served.refresh(third)
        rows.expect(refused("revoked", "third", 400))
        served.post("/verify", token=third)
        rows.expect(refused("revoked", "third", 400))
        served.get(third, "/listed")
        rows.expect(refused("revoked", "third", 403)._replace(verified=False))
        served.post("/blacklist", other, token=first)
        rows.expect(
            good("other", 201),
            validated("first", None, 201),
            revoked("first", "blacklist", "alice", None)._replace(status=201),  # another row
        )

        alice.is_active = False
        alice.save()
        served.get(other)
        rows.expect(refused("refused", "other"))
        served.get(other, "/session")
        rows.expect(refused("refused", "other", 403))
        for at in ("/refresh", "/verify"):
            served.post(at, token=other)
            rows.expect(refused("refused", "other", 400))
        served.post("/blacklist", badge, token=other)
        rows.expect(good("badge", 400), refused("refused", "other", 400, list_asked=False))
        alice.delete()
        served.get(other)
        rows.expect(refused("refused", "other"))

    assert rows.seen == rows.expected
    assert_lineage_is_whole(rows.seen)


def test_the_span_shows_what_the_event_says(trail: Trail, alice: Any) -> None:
    with service("contrib") as served:
        token = served.obtain("first")
        alice.delete()
        trail.clear()
        served.get(token)
    (span,) = trail.server_spans
    (event,) = trail.events
    shown = token_attributes(span)
    assert shown["jwt.validation.reason"] == "refused"
    assert shown.items() <= event.items()


def test_answers_are_the_same_without_the_plugin(instrument: Callable[..., Trail], alice: Any, admin: Any) -> None:
    def answers() -> list[tuple[int, Any]]:
        with service("none") as served:
            token, badge = served.obtain("first"), served.obtain("badge", "admin")
            for presented in (token, token[:-3], ""):
                served.get(presented)
                served.get(presented, "/session")
                served.post("/verify", token=presented)
                served.refresh(presented)
            served.post("/impersonate", badge, user=alice.id)
            served.post("/impersonate", token, user=alice.id)
            served.post("/blacklist", token)
            for at in ("/verify", "/refresh"):
                served.post(at, token=token)
            served.get(token)
            return served.answers

    bare = answers()
    instrument()
    assert answers() == bare
    assert {status for status, _ in bare} == {200, 201, 400, 401, 403}
