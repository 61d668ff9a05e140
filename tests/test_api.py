"""What an application may tell and ask: inside a request, outside, and while the plugin is off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import jwt
import pytest

import opentelemetry.instrumentation.pyjwt as package
from opentelemetry.instrumentation.pyjwt import action, current_token, guard, record_revocation, record_scope_check
from opentelemetry.instrumentation.utils import suppress_instrumentation
from tests.capture.entry_points import attempt
from tests.support import ISSUER, KEY, OTHER_KEY, Trail, mint

HS256 = ["HS256"]


def decode(token: str, key: str = KEY, **options: Any) -> None:
    attempt(lambda: jwt.decode(token, key, HS256, options=options))


@pytest.fixture
def token(trail: Trail) -> str:
    """A good token, minted before the trail begins."""
    token = mint(scope="read")
    trail.clear()
    return token


def test_the_public_names_are_these() -> None:
    assert set(package.__all__) == {
        "AuditASGIMiddleware",
        "AuditEvent",
        "AuditWSGIMiddleware",
        "PyJWTInstrumentor",
        "TokenFacts",
        "__version__",
        "action",
        "current_token",
        "record_revocation",
        "record_scope_check",
    }
    assert all(hasattr(package, name) for name in package.__all__)


# --- action() ---


def test_an_action_is_named_on_its_events_which_are_out_when_it_is_left(trail: Trail, token: str) -> None:
    with action("job.import", client="10.0.0.7"):
        decode(token)
        decode(token)
        mint(jti="minted")
        assert trail.names == []
    assert trail.names == ["jwt.validated", "jwt.issued"]
    assert all(event["jwt.action"] == "job.import" for event in trail.events)
    assert all(event["client.address"] == "10.0.0.7" for event in trail.events)
    assert not any(name.startswith("http.") for event in trail.events for name in event)


def test_an_action_without_a_client_has_none(trail: Trail, token: str) -> None:
    with action("job"):
        decode(token)
    assert "client.address" not in trail.events[0]


def test_an_action_that_fails_has_its_events_and_its_exception(trail: Trail, token: str) -> None:
    error = LookupError("no such job")

    def job() -> None:
        with action("job"):
            decode(token)
            raise error

    with pytest.raises(LookupError) as raised:
        job()
    assert raised.value is error
    assert trail.names == ["jwt.validated"]
    decode(token)  # and it is left
    assert "jwt.action" not in trail.events[1]


def test_an_action_within_an_action_has_its_own_events(trail: Trail, token: str) -> None:
    with action("outer"):
        decode(token)
        with action("inner"):
            decode(token)
            record_scope_check("admin")
        assert trail.names == ["jwt.denied"]
        decode(token, OTHER_KEY)
    assert [(event["event"], event["jwt.action"]) for event in trail.events] == [
        ("jwt.denied", "inner"),
        ("jwt.validated", "outer"),
    ]


def test_an_action_with_nothing_in_it_says_nothing(trail: Trail) -> None:
    with action("job"):
        record_scope_check("admin")
        record_scope_check("admin", allowed=False)
    assert trail.names == []


def test_an_action_is_that_of_its_tasks_and_of_nothing_else(trail: Trail, token: str) -> None:
    async def work(name: str) -> None:
        with action(name):
            await asyncio.gather(*(asyncio.to_thread(decode, token) for _ in range(3)))

    async def both() -> None:
        await asyncio.gather(work("a"), work("b"))
        decode(token)

    asyncio.run(both())
    assert sorted(event.get("jwt.action", "") for event in trail.events) == ["", "a", "b"]


def test_a_thread_that_outlives_its_action_has_its_event_at_once(trail: Trail, token: str) -> None:
    with action("job"):
        context = copy_context()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(context.run, decode, token).result(10)
    assert [(event["event"], event["jwt.action"]) for event in trail.events] == [("jwt.validated", "job")]


def test_what_names_an_action_is_bounded(trail: Trail, token: str) -> None:
    with action("job\n" * 1000, client="x" * 1000):
        decode(token)
    assert len(trail.events[0]["jwt.action"]) == len(trail.events[0]["client.address"]) == 256
    assert "\n" not in trail.events[0]["jwt.action"]


def test_a_suppressed_action_leaves_no_trace(trail: Trail, token: str) -> None:
    with suppress_instrumentation(), action("job"):
        decode(token)
        record_scope_check("admin")
        record_revocation("t")
        assert current_token() is None
    assert trail.names == []


# --- record_scope_check() ---


@pytest.mark.parametrize(
    ("check", "event", "outcome", "missing"),
    [
        (lambda: record_scope_check("read"), "jwt.validated", "sufficient", None),
        (lambda: record_scope_check(["read"]), "jwt.validated", "sufficient", None),
        (lambda: record_scope_check("read write"), "jwt.denied", "insufficient", ("write",)),
        (lambda: record_scope_check(("write", "read")), "jwt.denied", "insufficient", ("write",)),
        (lambda: record_scope_check("write", granted="write"), "jwt.validated", "sufficient", None),
        (lambda: record_scope_check("write", ["a"]), "jwt.denied", "insufficient", ("write",)),
        (lambda: record_scope_check("write", allowed=True), "jwt.validated", "sufficient", None),
        (lambda: record_scope_check("read", allowed=False), "jwt.denied", "insufficient", None),
        (lambda: record_scope_check([]), "jwt.validated", "sufficient", None),
        (lambda: record_scope_check(iter(["write"])), "jwt.denied", "insufficient", ("write",)),
    ],
)
def test_a_scope_check_is_part_of_the_verdict(
    check: Callable[[], None], event: str, outcome: str, missing: Any, trail: Trail, token: str
) -> None:
    with action("job"):
        decode(token)
        check()
    (seen,) = trail.events
    assert (seen["event"], seen["jwt.scope.outcome"], seen.get("jwt.scope.missing")) == (event, outcome, missing)
    assert seen["jwt.validation.outcome"] == "valid"


def test_a_scope_check_outside_a_request_is_nothing(trail: Trail, token: str) -> None:
    record_scope_check("write")
    decode(token)
    assert trail.names == ["jwt.validated"]
    assert "jwt.scope.required" not in trail.events[0]


# --- record_revocation() ---


def test_a_revocation_is_an_event(trail: Trail) -> None:
    record_revocation("t1", reason="logout", actor="admin", issuer=ISSUER, token_use="refresh")
    (event,) = trail.events
    assert event["event"] == "jwt.revoked"
    assert (event["jwt.jti"], event["jwt.iss"], event["jwt.token_use"]) == ("t1", ISSUER, "refresh")
    assert (event["jwt.revocation.reason"], event["audit.actor.id"]) == ("logout", "admin")
    assert "jwt.validation.outcome" not in event


def test_who_revokes_is_the_verified_subject_of_the_request(trail: Trail, token: str) -> None:
    with action("logout"):
        decode(token)
        record_revocation("t1")
    with action("logout"):
        jwt.decode(token, options={"verify_signature": False})
        record_revocation("t2")
    actors = {event["jwt.jti"]: event["audit.actor.id"] for event in trail.events if event["event"] == "jwt.revoked"}
    assert actors == {"t1": "alice", "t2": "anonymous"}


@pytest.mark.parametrize(("policy", "actor"), [("omit", "anonymous"), ("hmac", "same")])
def test_who_revokes_is_shown_by_the_policy(policy: str, actor: str, instrument: Callable[..., Trail]) -> None:
    trail = instrument(subject=policy, pseudonym_key="k")
    token = mint()
    trail.clear()
    with action("logout"):
        decode(token)
        record_revocation("t1")
    used, revoked = trail.events
    assert revoked["audit.actor.id"] == (actor if policy == "omit" else used["jwt.sub"])


# --- current_token() ---


def test_the_current_token_is_the_one_verified_last(trail: Trail, token: str) -> None:
    other = mint(jti="token-2", sub="bob")
    assert current_token() is None
    decode(token)
    assert current_token() is None  # outside a request there is none
    with action("job"):
        assert current_token() is None
        jwt.decode(token, options={"verify_signature": False})
        assert current_token() is None
        decode(token)
        facts = current_token()
        assert facts is not None
        assert (facts.jti, facts.sub, facts.scopes, facts.verified) == ("token-1", "alice", ("read",), True)
        decode(other)
        assert current_token().sub == "bob"  # type: ignore[union-attr]
    assert current_token() is None


# --- Off, and wrong ---


def everything() -> list[object]:
    with action("job", client="c"):
        told = [record_scope_check("a", "b", allowed=True), record_revocation("t", reason="r"), current_token()]
        jwt.decode(mint(), KEY, HS256)
    return [*told, record_scope_check("a"), record_revocation("t"), current_token()]


def test_all_of_it_is_harmless_while_off(global_trail: Trail) -> None:
    global_trail.clear()
    assert everything() == [None] * 6
    assert global_trail.names == []


def test_switched_off_within_an_action_it_ends_in_silence(instrument: Callable[..., Trail]) -> None:
    trail = instrument()
    with action("job"):
        package.PyJWTInstrumentor().uninstrument()
        assert everything() == [None] * 6
    assert trail.names == []


def test_switched_on_within_an_action_it_begins_with_the_next(instrument: Callable[..., Trail]) -> None:
    with action("job"):
        trail = instrument()
        mint()
        assert trail.names == ["jwt.issued"]
    assert trail.names == ["jwt.issued"]


@pytest.mark.parametrize(
    "call",
    [
        lambda: record_scope_check(None),  # type: ignore[arg-type]
        lambda: record_scope_check(7, 7),  # type: ignore[arg-type]
        lambda: record_revocation(None),  # type: ignore[arg-type]
        lambda: record_revocation(["t"], reason={"a": 1}, actor=7),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_call_does_not_raise(
    call: Callable[[], None], trail: Trail, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "reraise", False)
    with action("job"):
        decode(token)
        call()
    assert "jwt.validated" in trail.names
    assert trail.encoded()
