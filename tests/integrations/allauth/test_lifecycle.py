"""The life of tokens of django-allauth's headless API, from the login to the logout, and the audit of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import allauth
import pytest
from django.contrib.sessions.models import Session

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from tests.integrations.allauth.service import Service, claims_of, service, signed
from tests.integrations.checks import token_attributes
from tests.integrations.rows import (
    Table,
    assert_lineage_is_whole,
    issued,
    refreshed,
    rejected,
    revoked,
    validated,
)
from tests.support import Trail

LOGGED_IN = (issued("access-1", "access"), issued("refresh-1", "refresh"))
# Since 65.19.3 the user is looked at whenever the session is, and one who is not found is refused.
MINDS_USERS = allauth.VERSION >= (65, 19, 3)


def changed(token: str, **claims: Any) -> str:
    """The same token with other claims, ``None`` takes one out; minted where nobody looks, so that it is presented."""
    PyJWTInstrumentor().uninstrument()
    try:
        return signed({name: value for name, value in {**claims_of(token), **claims}.items() if value is not None})
    finally:
        PyJWTInstrumentor().instrument()


def refresh_refused(served: Service, token: str) -> None:
    """Where the user is not looked at, the library goes on with none, and breaks."""
    try:
        served.refresh(token)
    except AttributeError:
        assert not MINDS_USERS


@pytest.mark.parametrize("rotating", [False, True], ids=["not_rotating", "rotating"])
@pytest.mark.parametrize("stateful", [False, True], ids=["stateless", "stateful"])
def test_lifecycle(
    stateful: bool, rotating: bool, telemetry: str, table: Callable[[Service], Table], alice: Any
) -> None:
    settings = {"HEADLESS_JWT_ROTATE_REFRESH_TOKEN": rotating, "HEADLESS_JWT_STATEFUL_VALIDATION_ENABLED": stateful}
    with service(telemetry, **settings) as served:
        rows = table(served)

        access, refresh = served.login()
        rows.expect(*LOGGED_IN)

        served.get(access)
        rows.expect(validated("access-1", list_asked=stateful))

        access, new = served.refresh(refresh)
        rows.expect(
            validated("refresh-1", "refresh", list_asked=True),
            refreshed("access-2", "access", "refresh-1"),
            *([refreshed("refresh-2", "refresh", "refresh-1"), revoked("refresh-1", "rotation", "alice")] * rotating),
        )
        newest = "refresh-2" if rotating else "refresh-1"
        if rotating:
            served.refresh(refresh)
            rows.expect(rejected("revoked", "refresh-1", "refresh", 400, list_asked=True))
            refresh = str(new)
        served.get(access)
        rows.expect(validated("access-2", list_asked=stateful))

        # Each where the other is wanted.
        served.get(refresh)
        rows.expect(rejected("wrong_type", newest, "refresh"))
        served.refresh(access)
        rows.expect(rejected("wrong_type", "access-2", status=400))

        past = int(time.time()) - 60
        served.get(changed(access, exp=past))
        rows.expect(rejected("expired", "access-2"))
        served.refresh(changed(refresh, exp=past))
        rows.expect(rejected("expired", newest, "refresh", 400))

        # The answer to a logout is that nobody is logged in.
        served.logout(access)
        rows.expect(
            validated("access-2", status=401, list_asked=stateful),
            revoked(newest, "logout", "alice")._replace(status=401),
        )
        served.refresh(refresh)
        rows.expect(rejected("revoked", newest, "refresh", 400, list_asked=True))
        served.get(access)
        if stateful:
            rows.expect(rejected("revoked", "access-2", list_asked=True))
        else:
            rows.expect(validated("access-2"))  # until it expires

    assert rows.seen == rows.expected
    assert_lineage_is_whole(rows.seen)


REFUSED = {
    "no subject": ({"sub": None}, "missing_claim", False),
    "no session": ({"sid": None}, "missing_claim", False),
    "another's session": ({"sub": "0"}, "refused", True),
    "a session there never was": ({"sid": ""}, "revoked", True),
    "no use": ({"token_use": None}, "wrong_type", False),
}


@pytest.mark.parametrize("title", REFUSED)
def test_refresh_token_that_is_not_as_it_was_issued(title: str, table: Callable[[Service], Table]) -> None:
    changes, reason, list_asked = REFUSED[title]
    with service("none") as served:
        rows = table(served)
        _, refresh = served.login()
        rows.expect(*LOGGED_IN)
        refresh_refused(served, changed(refresh, **changes))
        status = 500 if reason == "refused" and not MINDS_USERS else 400
        use = None if "token_use" in changes else "refresh"
        rows.expect(rejected(reason, "refresh-1", use, status, list_asked=list_asked))
    assert rows.seen == rows.expected


def test_session_that_was_ended_elsewhere(table: Callable[[Service], Table]) -> None:
    with service("none", HEADLESS_JWT_STATEFUL_VALIDATION_ENABLED=True) as served:
        rows = table(served)
        access, refresh = served.login()
        rows.expect(*LOGGED_IN)
        Session.objects.all().delete()
        served.get(access)
        rows.expect(rejected("revoked", "access-1", list_asked=True))
        served.refresh(refresh)
        rows.expect(rejected("revoked", "refresh-1", "refresh", 400, list_asked=True))
    assert rows.seen == rows.expected


@pytest.mark.parametrize("use", ["access", "refresh"])
@pytest.mark.parametrize("change", ["password", "inactive"])
def test_user_who_has_changed(change: str, use: str, table: Callable[[Service], Table], alice: Any) -> None:
    with service("none", HEADLESS_JWT_STATEFUL_VALIDATION_ENABLED=True) as served:
        rows = table(served)
        access, refresh = served.login()
        rows.expect(*LOGGED_IN)
        if change == "password":
            alice.set_password("looking glass")
        else:
            alice.is_active = False
        alice.save()
        if use == "refresh":
            refresh_refused(served, refresh)
            rows.expect(rejected("refused", "refresh-1", "refresh", 400 if MINDS_USERS else 500, list_asked=True))
        else:
            served.get(access)
            expected = rejected("refused", "access-1", list_asked=True)
            rows.expect(expected if MINDS_USERS else validated("access-1", list_asked=True))
    assert rows.seen == rows.expected


def test_session_token_logs_out(table: Callable[[Service], Table], alice: Any) -> None:
    """No JWT is presented: the session says who did it."""
    with service("none") as served:
        rows = table(served)
        served.login()
        rows.expect(*LOGGED_IN)
        session = Session.objects.get()
        served.logout_by_session(session.session_key)
        rows.expect(revoked("refresh-1", "logout", "alice")._replace(status=401))
    assert rows.seen == rows.expected


def test_the_span_shows_what_the_event_says(trail: Trail, alice: Any) -> None:
    with service("contrib") as served:
        _, refresh = served.login()
        trail.clear()
        served.get(refresh)
    (span,) = trail.server_spans
    (event,) = trail.events
    shown = token_attributes(span)
    assert shown["jwt.validation.reason"] == "wrong_type"
    assert shown.items() <= event.items()


@pytest.mark.parametrize("stateful", [False, True])
def test_answers_are_the_same_without_the_plugin(stateful: bool, instrument: Callable[..., Trail], alice: Any) -> None:
    def answers() -> list[tuple[int, Any]]:
        with service("none", HEADLESS_JWT_STATEFUL_VALIDATION_ENABLED=stateful) as served:
            access, refresh = served.login()
            for token in (access, refresh, access[:-3], ""):
                served.get(token)
                served.refresh(token)
            served.logout(access)
            served.get(access)
            served.refresh(refresh)
            return served.answers

    bare = answers()
    instrument()
    assert answers() == bare
    assert len({status for status, _ in bare}) == 3
