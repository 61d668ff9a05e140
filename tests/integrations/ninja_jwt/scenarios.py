"""What happens to tokens of django-ninja-jwt, in a process of its own: tables of what is to be seen and what was.

:func:`main` prints them as JSON, by the titles of the scenarios.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from opentelemetry import _logs, trace
from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor, action, guard
from tests import support_report
from tests.integrations.ninja_jwt import site  # noqa: F401 - imported for its settings
from tests.integrations.ninja_jwt.service import HIDING, KINDS, OBTAINED, PASSWORD, claims_of, scene
from tests.integrations.rows import Row, issued, refreshed, rejected, revoked, validated
from tests.support import OTHER_KEY, Trail, mint

Result = tuple[list[Any], list[Any]]  # expected and seen


@contextmanager
def unseen() -> Iterator[None]:
    """What is minted here is not seen but when it is presented."""
    PyJWTInstrumentor().uninstrument()
    try:
        yield
    finally:
        PyJWTInstrumentor().instrument()


def again(token: str, **changes: Any) -> str:
    """The same token with other claims."""
    with unseen():
        return mint(**{**claims_of(token), **changes})


def lifecycle(trail: Trail, kind: str, rotating: bool) -> Result:
    with scene(trail, kind, ROTATE_REFRESH_TOKENS=rotating) as (served, rows, alice, _):
        access, refresh = served.obtain()
        rows.expect(*OBTAINED)

        served.get("/item", access)
        rows.expect(validated("access-1"))

        answer = served.post("/token/refresh", refresh=refresh)
        served.called("access-2", answer["access"])
        if rotating:
            served.called("refresh-2", answer["refresh"])
            rows.expect(
                validated("refresh-1", "refresh", list_asked=True),
                refreshed("access-2", "access", "refresh-1"),
                refreshed("refresh-2", "refresh", "refresh-1"),
                revoked("refresh-1", "rotation", "alice"),
            )
            served.post("/token/refresh", refresh=refresh)
            rows.expect(rejected("revoked", "refresh-1", "refresh", list_asked=True))
            refresh, newest = answer["refresh"], "refresh-2"
        else:
            rows.expect(
                validated("refresh-1", "refresh", list_asked=True), refreshed("access-2", "access", "refresh-1")
            )
            newest = "refresh-1"

        served.post("/token/blacklist", refresh=refresh)
        rows.expect(validated(newest, "refresh", list_asked=True), revoked(newest, "blacklist", "alice"))

        # An access token is not on the list, and good until it expires.
        served.get("/item", answer["access"])
        rows.expect(validated("access-2"))
        served.post("/token/refresh", refresh=refresh)
        rows.expect(rejected("revoked", newest, "refresh", list_asked=True))
        served.post("/token/verify", token=refresh)
        rows.expect(rejected("revoked", newest, "refresh", 400, list_asked=True))
        served.post("/token/blacklist", refresh=refresh)
        rows.expect(rejected("revoked", newest, "refresh", list_asked=True))

        access, refresh = served.obtain(3)
        rows.expect(issued("refresh-3", "refresh"), issued("access-3", "access"))
        served.get("/item", refresh)
        rows.expect(rejected("wrong_type", "refresh-3", "refresh"))
        served.post("/token/refresh", refresh=access)
        rows.expect(rejected("wrong_type", "access-3", list_asked=True))
        served.post("/token/verify", token=access)
        rows.expect(validated("access-3", list_asked=True))
        served.post("/token/verify", token="")
        rows.expect()

        served.get("/item", again(access, exp=int(time.time()) - 60))
        rows.expect(rejected("expired", "access-3"))
        served.post("/token/refresh", refresh=again(refresh, exp=int(time.time()) - 60))
        rows.expect(rejected("expired", "refresh-3", "refresh"))
        served.post("/token/verify", token=again(access, exp=int(time.time()) - 60))
        rows.expect(rejected("expired", "access-3"))

        alice.is_active = False
        alice.save()
        served.get("/item", access)
        rows.expect(rejected("refused", "access-3"))
        served.get("/stateless", access)
        rows.expect(validated("access-3"))

        alice.delete()
        served.get("/item", access)
        rows.expect(rejected("refused", "access-3"))
    return rows.expected, rows.seen


def sliding(trail: Trail, kind: str) -> Result:
    from ninja_jwt.tokens import AccessToken, SlidingToken

    classes = [AccessToken, SlidingToken]
    with (
        scene(trail, kind, AUTH_TOKEN_CLASSES=classes) as (served, rows, *_),
        pytest.MonkeyPatch.context() as changes,
    ):
        first = served.called("sliding", served.post("/token/sliding", **PASSWORD)["token"])
        rows.expect(issued("sliding", None))
        served.get("/item", first)
        rows.expect(validated("sliding", None, list_asked=True))

        # The same token within the same second: nothing new.
        changes.setattr(SlidingToken, "lifetime", timedelta(seconds=claims_of(first)["exp"] - time.time() + 600))
        second = served.post("/token/sliding/refresh", token=first)["token"]
        rows.expect(validated("sliding", None, list_asked=True), refreshed("sliding", None, "sliding"))
        served.get("/item", second)
        rows.expect(validated("sliding", None, list_asked=True))

        # No longer to be refreshed, yet still good.
        last = again(second, refresh_exp=1)
        served.post("/token/sliding/refresh", token=last)
        rows.expect(rejected("expired", "sliding", None, list_asked=True))
        served.get("/item", last)
        rows.expect(validated("sliding", None, list_asked=True))
        SlidingToken(second, verify=False).blacklist()
        rows.overlook()
        served.get("/item", second)
        rows.expect(rejected("revoked", "sliding", None, list_asked=True))
    return rows.expected, rows.seen


def revoked_by_another_user(trail: Trail) -> Result:
    """By a token's method and by a row of the table, which is inserted once."""
    with scene(trail) as (served, rows, alice, _):
        _, refresh = served.obtain()
        served.obtain(2)
        rows.expect(*OBTAINED, issued("refresh-2", "refresh"), issued("access-2", "access"))
        badge = served.post("/token/pair", username="admin", password="wonderland")["access"]
        served.called("badge", badge)
        rows.overlook()
        served.post("/revoke", badge, refresh=refresh, user=str(alice.id))
        rows.expect(
            validated("badge"),
            validated("refresh-1", "refresh", list_asked=True),
            revoked("refresh-1", "blacklist", "admin"),
            revoked("refresh-2", "blacklist", "admin", None),
        )
    return rows.expected, rows.seen


def claims_nobody_verified_name_no_actor(trail: Trail) -> Result:
    with scene(trail) as (served, rows, *_):
        _, refresh = served.obtain()
        rows.expect(*OBTAINED)
        served.post("/unverified", refresh=refresh)
        rows.expect(
            Row("jwt.unverified", "refresh-1", "refresh", verified=False),
            revoked("refresh-1", "blacklist", "anonymous"),
        )
    return rows.expected, rows.seen


def tokens_from_elsewhere(trail: Trail, kind: str, status: int = 401) -> Result:
    """They are refused for the library's reasons, whatever the application answers."""
    with scene(trail, kind) as (served, rows, alice, _):

        def present(at: str, expected: Row, **changes: Any) -> None:
            with unseen():
                token = mint(**{"user_id": str(alice.id), "token_type": "access", **changes})
            served.called("other", token)
            served.get(at, token)
            rows.expect(expected._replace(status=status))

        present("/item", rejected("refused", "other"), user_id=None)
        present("/stateless", rejected("refused", "other"), user_id=None)
        present("/item", rejected("wrong_type", "other", None), token_type=None)
        present("/item", rejected("missing_claim", "other"), exp=None)
        present("/item", rejected("invalid_signature", "other")._replace(verified=False), key=OTHER_KEY)
        present("/item", rejected("invalid_issuer", "other"), iss="https://nobody.example")
    return rows.expected, rows.seen


def outside_a_request(trail: Trail) -> Result:
    """Kept in the database and handed out, a token is issued once; encoded again to be blacklisted, not at all."""
    from ninja_jwt.schema import TokenRefreshOutputSchema
    from ninja_jwt.tokens import RefreshToken

    with scene(trail, ROTATE_REFRESH_TOKENS=True) as (*_, alice, _):
        refresh = RefreshToken.for_user(alice)
        raw = str(refresh)
        str(refresh.access_token)
        with action("refresh"):
            TokenRefreshOutputSchema(refresh=raw)
        seen = [(name, event.get("jwt.action")) for name, event in zip(trail.names, trail.events, strict=True)]
        told = [trail.events[-1][name] for name in ("jwt.jti", "jwt.revocation.reason", "audit.actor.id")]
        expected_told = [refresh["jti"], "rotation", str(alice.id)]
    there = [("jwt.validated", "refresh"), *[("jwt.refreshed", "refresh")] * 2, ("jwt.revoked", "refresh")]
    return [("jwt.issued", None), ("jwt.issued", None), *there, expected_told], [*seen, told]


def answers_are_the_same(trail: Trail, kind: str, rotating: bool) -> Result:
    def answers() -> list[tuple[int, Any]]:
        with scene(trail, kind, ROTATE_REFRESH_TOKENS=rotating) as (served, *_):
            access, refresh = served.obtain()
            for token in (access, refresh, access[:-3], ""):
                served.get("/item", token)
                for at in ("refresh", "verify", "blacklist") * 2:
                    served.post(f"/token/{at}", **{"token" if at == "verify" else "refresh": token})
            return served.answers

    with unseen():
        bare = answers()
    assert {status for status, _ in bare} == {200, 400, 401}
    return bare, answers()


SCENARIOS: dict[str, Callable[[Trail], Result]] = {
    **{
        f"{scenario.__name__}, {kind}, {'' if rotating else 'not '}rotating": partial(
            scenario, kind=kind, rotating=rotating
        )
        for scenario in (lifecycle, answers_are_the_same)
        for kind in KINDS
        for rotating in (False, True)
    },
    **{
        f"{scenario.__name__}, {kind}": partial(scenario, kind=kind)
        for scenario in (sliding, tokens_from_elsewhere)
        for kind in KINDS
    },
    "tokens_from_elsewhere, hiding": partial(tokens_from_elsewhere, kind=HIDING, status=404),
    **{
        scenario.__name__: scenario
        for scenario in (revoked_by_another_user, claims_nobody_verified_name_no_actor, outside_a_request)
    },
}


def main() -> None:
    guard.reraise = True
    trail = Trail()
    _logs.set_logger_provider(trail.logger_provider)
    trace.set_tracer_provider(trail.tracer_provider)
    PyJWTInstrumentor().instrument()
    sys.stdout.write(json.dumps({title: play(trail) for title, play in SCENARIOS.items()}, default=str))
    support_report.note("ninja_jwt", trail.everything)
    support_report.write()
