"""The life of django-graphql-jwt's tokens, and the audit of it: they have no id, and every answer is 200."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from tests.integrations.checks import token_attributes
from tests.integrations.graphql_jwt.service import Service, claims_of, service
from tests.integrations.rows import Row, Table, issued, rejected, validated
from tests.support import OTHER_KEY, Trail, mint

# The library tells the time by a function that Python has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utc:DeprecationWarning")


def changed(served: Service, name: str, token: str, **claims: Any) -> str:
    """A token with other claims, ``None`` takes one out; minted where nobody looks, so that it is presented."""
    PyJWTInstrumentor().uninstrument()
    try:
        without = {"jti": None, "sub": None, "iss": None, "iat": None}
        return served.called(name, mint(**{**without, **claims_of(token), **claims}))
    finally:
        PyJWTInstrumentor().instrument()


def past(seconds: int = 60) -> int:
    return int(time.time()) - seconds


def minted(token: str) -> Row:
    return issued(token, None)


def refreshed(token: str) -> Row:
    """The parent has no id that could be told."""
    return issued(token, None)._replace(event="jwt.refreshed")


def good(token: str) -> Row:
    return validated(token, None)


def refused(reason: str, token: str) -> Row:
    return rejected(reason, token, None, 200)


def test_lifecycle(telemetry: str, table: Callable[[Service], Table], alice: Any) -> None:
    with service(telemetry) as served:
        rows = table(served)

        first = served.obtain("first")["token"]
        rows.expect(minted("first"))
        served.ask("{ me }", first)
        rows.expect(good("first"))
        served.ask("{ me open also: me }", first)
        rows.expect(good("first"))
        served.ask(f'mutation {{ verify(token: "{first}") {{ payload }} }}')
        rows.expect(good("first"))

        older = changed(served, "older", first, origIat=past())
        served.refresh(older, "second")
        rows.expect(good("older"), refreshed("second"))

        served.ask("{ me }", changed(served, "expired", first, exp=past()))
        rows.expect(refused("expired", "expired"))
        served.refresh(changed(served, "expired", first, exp=past()))
        rows.expect(refused("expired", "expired"))
        served.refresh(changed(served, "too old", first, origIat=past(8 * 24 * 3600)))
        rows.expect(refused("expired", "too old"))
        served.refresh(changed(served, "ageless", first, origIat=None))
        rows.expect(refused("missing_claim", "ageless"))
        served.ask("{ me }", changed(served, "nobody's", first, username=None))
        rows.expect(refused("refused", "nobody's"))
        served.ask("{ me }", changed(served, "forged", first, key=OTHER_KEY))
        rows.expect(refused("invalid_signature", "forged")._replace(verified=False))

        alice.is_active = False
        alice.save()
        served.ask("{ me }", first)
        rows.expect(refused("refused", "first"))
        served.refresh(older)
        rows.expect(refused("refused", "older"))
        alice.delete()
        served.ask("{ me }", first)
        rows.expect(refused("refused", "first"))
        served.ask("{ open }", first)
        rows.expect(refused("refused", "first"))

    assert rows.seen == rows.expected


def test_long_running_refresh_tokens(telemetry: str, table: Callable[[Service], Table], trail: Trail) -> None:
    """They are no JWTs: nothing is told of them but that a token was minted for one."""
    with service(telemetry, JWT_LONG_RUNNING_REFRESH_TOKEN=True) as served:
        rows = table(served)
        fields = "token refreshToken"
        got = served.obtain("first", fields)
        assert "." not in got["refreshToken"]
        rows.expect(minted("first"))
        new = served.refresh(got["refreshToken"], "second", argument="refreshToken", fields=fields)
        assert "jwt.parent.jti" not in trail.events[0]
        rows.expect(refreshed("second"))
        served.ask("{ me }", new["token"])
        rows.expect(good("second"))

        # A token that comes along is another matter.
        served.ask(f'mutation {{ refresh(refreshToken: "{new["refreshToken"]}") {{ token }} }}', new["token"])
        rows.expect(refreshed("second"))

        served.ask(f'mutation {{ revoke(refreshToken: "{got["refreshToken"]}") {{ revoked }} }}')
        assert served.refresh(got["refreshToken"], argument="refreshToken", fields=fields) is None
        rows.expect()
    assert rows.seen == rows.expected


def test_the_span_shows_what_the_event_says(trail: Trail, alice: Any) -> None:
    with service("contrib") as served:
        token = served.obtain("first")["token"]
        alice.delete()
        trail.clear()
        served.ask("{ me }", token)
    (span,) = trail.server_spans
    (event,) = trail.events
    shown = token_attributes(span)
    assert shown["jwt.validation.reason"] == "refused"
    assert shown.items() <= event.items()


def test_answers_are_the_same_without_the_plugin(instrument: Callable[..., Trail], alice: Any) -> None:
    def answers() -> list[Any]:
        with service("none") as served:
            token = served.obtain("first")["token"]
            for presented in (token, token[:-3], "", None):
                served.ask("{ open me users staff rule own }", presented)
                served.refresh(presented or "")
            return served.answers

    bare = answers()
    instrument()
    assert answers() == bare
    assert any(bare)
