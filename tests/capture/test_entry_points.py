"""One call, one event: through every way into PyJWT, bound before or after the instrumentor was switched on."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import jwt.api_jws
import jwt.api_jwt
import jwt.jwks_client
import pytest
from jwt import decode as early_decode
from jwt import encode as early_encode
from jwt import get_unverified_header as early_header

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor, action
from opentelemetry.instrumentation.pyjwt.capture import pyjwt as capture
from tests.capture import jwks
from tests.capture.entry_points import BAD, ENTRY_POINTS, EntryPoint, attempt, key_lookups
from tests.support import KEY, Trail, claims, mint

EARLY = {point.name: point.bind() for point in ENTRY_POINTS}
OWNERS = (jwt, jwt.api_jwt, jwt.api_jws, jwt.jwks_client, jwt.PyJWT, jwt.PyJWS, jwt.PyJWKClient)
NAMES = [(owner, name) for owner in OWNERS for name in vars(owner) if not name.startswith("__")]
BEFORE = {(owner.__name__, name): inspect.getattr_static(owner, name) for owner, name in NAMES}
FUNCTIONS = {
    place: function
    for place, value in BEFORE.items()
    if inspect.isfunction(function := getattr(value, "__func__", value))
}
CODES = {place: function.__code__ for place, function in FUNCTIONS.items()}
SIGNATURES = {place: inspect.signature(function) for place, function in FUNCTIONS.items()}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with jwks.endpoint() as url:
        yield url


def expected(point: EntryPoint) -> list[str]:
    return [] if point.event is None else [point.event]


def assert_gives_its_event(point: EntryPoint, call: Callable[[], object], trail: Trail) -> None:
    trail.clear()
    attempt(call)
    assert trail.names == expected(point), point.name
    assert all(event["jwt.jti"] == "token-1" for event in trail.events if event["event"] != "jwt.rejected"), point.name
    assert trail.encoded() or not trail.names


@pytest.mark.parametrize("point", ENTRY_POINTS, ids=lambda point: point.name)
def test_a_way_in_gives_one_event_bound_before_or_after(point: EntryPoint, instrument: Callable[..., Trail]) -> None:
    before = point.bind()
    trail = instrument()
    for call in (EARLY[point.name], before, point.bind()):
        assert_gives_its_event(point, call, trail)
        assert_gives_its_event(point, call, trail)  # again: nothing is remembered that should not be


@pytest.mark.parametrize("point", ENTRY_POINTS, ids=lambda point: point.name)
def test_inside_an_action_a_way_in_gives_the_same_event(point: EntryPoint, trail: Trail) -> None:
    call = point.bind()
    trail.clear()
    with action("test"):
        attempt(call)
        assert trail.names == []
    assert trail.names == expected(point)
    assert all(event["jwt.action"] == "test" for event in trail.events)


def test_a_key_lookup_gives_no_event_but_its_failure(instrument: Callable[..., Trail], url: str) -> None:
    points = list(key_lookups(url))
    before = [point.bind() for point in points]
    trail = instrument()
    assert len(points) == 10
    for point, call in zip(points, before, strict=True):
        for bound in (call, point.bind()):
            assert_gives_its_event(point, bound, trail)
            assert_gives_its_event(point, bound, trail)  # from the cache, where there is one


def test_a_key_lookup_inside_an_action_gives_the_same_event(trail: Trail, url: str) -> None:
    for point in list(key_lookups(url)):
        call = point.bind()
        trail.clear()
        with action("test"):
            attempt(call)
            assert trail.names == []
        assert trail.names == expected(point), point.name


def test_names_imported_early_give_one_event_each(trail: Trail) -> None:
    token = early_encode(claims(), KEY)
    assert early_decode(token, KEY, ["HS256"])["jti"] == "token-1"
    assert early_header(token)["alg"] == "HS256"
    with pytest.raises(jwt.DecodeError):
        early_header(BAD)
    assert trail.names == ["jwt.issued", "jwt.validated", "jwt.rejected: malformed"]


def test_a_header_that_was_read_is_part_of_the_one_verdict(trail: Trail) -> None:
    token = mint()
    trail.clear()
    with action("test"):
        key = {"HS256": KEY}[jwt.get_unverified_header(token)["alg"]]
        jwt.decode(token, key, ["HS256"])
    assert trail.names == ["jwt.validated"]


def test_nothing_is_seen_once_switched_off(instrument: Callable[..., Trail], url: str) -> None:
    trail = instrument()
    points = [*ENTRY_POINTS, *key_lookups(url)]
    while_on = [point.bind() for point in points]
    PyJWTInstrumentor().uninstrument()
    trail.clear()
    for point, call in zip(points, while_on, strict=True):
        attempt(call)
        attempt(point.bind())
        if point.name in EARLY:
            attempt(EARLY[point.name])
    with action("test"):
        attempt(while_on[0])
    assert trail.names == []


def test_on_then_off_then_on_counts_one(instrument: Callable[..., Trail]) -> None:
    for _ in range(3):
        trail = instrument()
        for point in ENTRY_POINTS[:: len(ENTRY_POINTS) // 8]:
            assert_gives_its_event(point, EARLY[point.name], trail)
        PyJWTInstrumentor().uninstrument()


def test_switched_on_twice_counts_one(instrument: Callable[..., Trail], caplog: pytest.LogCaptureFixture) -> None:
    instrument()
    trail = instrument()
    assert_gives_its_event(ENTRY_POINTS[0], EARLY[ENTRY_POINTS[0].name], trail)
    assert "already instrumented" in caplog.text


def _changed(observed: Callable[[Any], Any], known: dict[tuple[str, str], Any]) -> set[str]:
    """Functions that are not as they were before."""
    return {function.__qualname__ for place, function in FUNCTIONS.items() if observed(function) != known[place]}


@pytest.mark.usefixtures("trail")
def test_every_name_is_the_same_object_while_on() -> None:
    for owner, name in NAMES:
        assert inspect.getattr_static(owner, name) is BEFORE[owner.__name__, name], f"{owner.__name__}.{name}"
    assert _changed(inspect.signature, SIGNATURES) == set()
    assert _changed(lambda function: function.__code__, CODES) == {patch.path for patch in capture.PATCHES}


def test_everything_is_as_it_was_once_off(instrument: Callable[..., Trail]) -> None:
    instrument()
    PyJWTInstrumentor().uninstrument()
    for owner, name in NAMES:
        assert inspect.getattr_static(owner, name) is BEFORE[owner.__name__, name], f"{owner.__name__}.{name}"
    assert _changed(inspect.signature, SIGNATURES) == set()
    for place, function in FUNCTIONS.items():
        assert function.__code__ is CODES[place], place
        assert "__signature__" not in function.__dict__, place
        assert "__wrapped__" not in function.__dict__, place
