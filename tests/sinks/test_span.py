"""The token on a span: on the request's SERVER span if there is one, else on the current one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import jwt
import pytest

from opentelemetry.instrumentation.pyjwt import action
from opentelemetry.instrumentation.pyjwt.sinks.span import ServerSpanNoter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind
from tests.capture.entry_points import attempt
from tests.support import KEY, OTHER_KEY, Trail, mint

HS256 = ["HS256"]
GOOD = mint(exp=4_000_000_000)
OTHER = mint(jti="token-2", sub="bob", exp=4_000_000_000)
EXPIRED = mint(jti="token-3", exp=1, iat=1)
# Of the record or the request and not of the token: a span has its own of these.
EVENT_ONLY = {"audit.record.id", "jwt.action", "client.address", "event", "trace_id", "span_id"}


def decode(token: str = GOOD) -> None:
    attempt(lambda: jwt.decode(token, KEY, HS256))


@contextlib.contextmanager
def span(trail: Trail, name: str, kind: SpanKind = SpanKind.INTERNAL) -> Iterator[Any]:
    with trail.tracer_provider.get_tracer("test").start_as_current_span(name, kind=kind) as started:
        yield started


def shown(trail: Trail) -> dict[str, dict[str, Any]]:
    """What of tokens the finished spans show, by their names."""
    return {
        one.name: {name: value for name, value in (one.attributes or {}).items() if name.startswith(("jwt.", "user."))}
        for one in trail.spans
    }


def jtis(trail: Trail) -> dict[str, Any]:
    return {name: attributes.get("jwt.jti") for name, attributes in shown(trail).items()}


def test_a_span_shows_what_the_event_says_of_the_token(trail: Trail) -> None:
    with span(trail, "work"), action("job", client="10.0.0.7"):
        decode()
    (event,) = trail.events
    assert shown(trail)["work"] == {name: value for name, value in event.items() if name not in EVENT_ONLY}
    assert set(trail.spans[0].attributes or ()) & EVENT_ONLY == set()


@pytest.mark.parametrize("kind", list(SpanKind))
def test_outside_a_request_the_current_span_shows_it(trail: Trail, kind: SpanKind) -> None:
    with span(trail, "outer"), span(trail, "work", kind):
        decode()
    assert jtis(trail) == {"work": "token-1", "outer": None}


def test_in_a_request_the_server_span_shows_it_wherever_it_was_decoded(trail: Trail) -> None:
    with span(trail, "server", SpanKind.SERVER) as server:
        with action("request"), span(trail, "child"):
            decode()
        assert trail.events[0]["span_id"] == server.get_span_context().span_id
    assert jtis(trail) == {"child": None, "server": "token-1"}


def test_in_a_request_the_server_span_shows_what_another_thread_decoded(trail: Trail) -> None:
    with span(trail, "server", SpanKind.SERVER), action("request"), ThreadPoolExecutor(1) as pool:
        pool.submit(copy_context().run, decode).result(10)
    assert jtis(trail) == {"server": "token-1"}


def test_a_server_span_that_starts_within_the_request_shows_it_though_it_ends_first(trail: Trail) -> None:
    with action("request"), span(trail, "server", SpanKind.SERVER) as server, span(trail, "child"):
        decode()
    assert [event["span_id"] for event in trail.events] == [server.get_span_context().span_id]
    assert jtis(trail) == {"child": None, "server": "token-1"}


def test_without_a_server_span_the_span_of_the_look_shows_it_though_it_ends_first(trail: Trail) -> None:
    with action("job"):
        with span(trail, "work"):
            decode()
        assert trail.names == []
    assert jtis(trail) == {"work": "token-1"}
    assert shown(trail)["work"]["jwt.validation.outcome"] == "valid"


@pytest.mark.parametrize("name", ["http.response.status_code", "http.status_code"])
def test_a_server_span_that_ends_before_the_request_is_decided_tells_the_status_itself(name: str, trail: Trail) -> None:
    with action("request"), span(trail, "server", SpanKind.SERVER) as server:
        decode()
        server.set_attribute(name, 401)
    assert shown(trail)["server"]["jwt.validation.reason"] == "refused"
    assert trail.names == ["jwt.validated"]


def test_the_status_of_another_span_is_not_the_answer(trail: Trail) -> None:
    with action("request"), span(trail, "call", SpanKind.CLIENT) as call:
        decode()
        call.set_attribute("http.response.status_code", 401)
    assert shown(trail)["call"]["jwt.validation.outcome"] == "valid"


def test_a_span_that_has_ended_is_left_alone(trail: Trail, caplog: pytest.LogCaptureFixture) -> None:
    with action("job"):
        with span(trail, "server", SpanKind.SERVER):
            pass
        decode()
    assert trail.names == ["jwt.validated"]
    assert jtis(trail) == {"server": None}
    assert caplog.records == []  # the SDK would complain


@pytest.mark.parametrize("kind", [SpanKind.SERVER, SpanKind.INTERNAL])
def test_a_failure_that_was_overcome_leaves_no_reason_behind(trail: Trail, kind: SpanKind) -> None:
    """Libraries try keys, and a span's attributes cannot be taken back."""
    with action("job"), span(trail, "work", kind):
        attempt(lambda: jwt.decode(GOOD, OTHER_KEY, HS256))
        decode()
    assert shown(trail)["work"]["jwt.validation.outcome"] == "valid"
    assert "jwt.validation.reason" not in shown(trail)["work"]


@pytest.mark.parametrize(
    ("looks", "jti", "outcome"),
    [
        ([GOOD, OTHER], "token-2", "valid"),
        ([OTHER, GOOD], "token-1", "valid"),
        ([GOOD, EXPIRED], "token-3", "invalid"),
        ([EXPIRED, GOOD], "token-1", "valid"),
        ([GOOD, OTHER, GOOD], "token-1", "valid"),
    ],
)
def test_of_several_tokens_the_span_shows_the_last_and_nothing_of_the_others(
    looks: list[str], jti: str, outcome: str, trail: Trail
) -> None:
    with span(trail, "server", SpanKind.SERVER), action("request"):
        for token in looks:
            decode(token)
    attributes = shown(trail)["server"]
    assert (attributes["jwt.jti"], attributes["jwt.validation.outcome"]) == (jti, outcome)
    assert ("jwt.validation.reason" in attributes) is (outcome == "invalid")
    assert len(trail.names) == len(set(looks))


def test_a_token_that_is_minted_is_shown_only_if_none_was_checked(trail: Trail) -> None:
    with span(trail, "login", SpanKind.SERVER), action("request"):
        mint(jti="minted")
    with span(trail, "exchange", SpanKind.SERVER), action("request"):
        decode()
        mint(jti="minted")
    assert jtis(trail) == {"login": "minted", "exchange": "token-1"}


def test_an_unverified_token_makes_no_user_of_the_span(trail: Trail) -> None:
    with span(trail, "work"):
        jwt.decode(GOOD, options={"verify_signature": False})
    attributes = shown(trail)["work"]
    assert attributes["jwt.verified"] is False
    assert attributes["jwt.sub"] == "alice"
    assert "user.id" not in attributes


def test_a_trace_that_is_not_sampled_has_its_events_all_the_same(instrument: Callable[..., Trail]) -> None:
    provider = TracerProvider(sampler=ALWAYS_OFF)
    trail = instrument(tracer_provider=provider)
    with provider.get_tracer("test").start_as_current_span("server", kind=SpanKind.SERVER) as unsampled:
        with action("request"):
            decode()
        decode()
    assert trail.names == ["jwt.validated"] * 2
    assert {event["trace_id"] for event in trail.events} == {unsampled.get_span_context().trace_id}
    assert trail.spans == []


def test_switched_off_nothing_is_shown(global_trail: Trail) -> None:
    global_trail.clear()
    with span(global_trail, "server", SpanKind.SERVER):
        decode()
    assert shown(global_trail) == {"server": {}}
    assert all(isinstance(one, ReadableSpan) for one in global_trail.spans)
    global_trail.clear()


def test_a_provider_that_cannot_be_held_weakly_is_watched_once() -> None:
    """Logfire's is a dataclass with slots."""

    class Provider:
        __slots__ = ("added",)

        def __init__(self) -> None:
            self.added: list[object] = []

        def add_span_processor(self, processor: object) -> None:
            self.added.append(processor)

    noter, one, other = ServerSpanNoter(), Provider(), Provider()
    for provider in (one, other, one, other):
        noter.attach(provider)  # type: ignore[arg-type]
    assert one.added == other.added == [noter]
