"""The operator's ``event_hook`` may add to an event, and no more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jwt
import pytest

from opentelemetry.instrumentation.pyjwt import AuditEvent, PyJWTInstrumentor
from tests.sinks.failing import EVENTS, GOOD, HS256, broken, use_everything
from tests.support import KEY, Trail


def hooked(instrument: Callable[..., Trail], hook: Callable[[AuditEvent], Any]) -> dict[str, Any]:
    """The event of one decode with this hook."""
    trail = instrument(event_hook=hook)
    jwt.decode(GOOD, KEY, HS256)
    (event,) = trail.events
    return event


def test_a_hook_sees_the_event_and_adds_to_it(instrument: Callable[..., Trail]) -> None:
    seen: list[AuditEvent] = []
    event = hooked(instrument, lambda one: seen.append(one) or {"tenant": f"t-{one.attributes['jwt.sub']}", "n": 3})
    assert (event["tenant"], event["n"]) == ("t-alice", 3)
    assert (seen[0].name, seen[0].severity, seen[0].body) == ("jwt.validated", "INFO", "jwt.validated")
    assert seen[0].attributes["audit.record.id"] == event["audit.record.id"]


def test_a_hook_cannot_change_or_remove(instrument: Callable[..., Trail]) -> None:
    def meddling(event: AuditEvent) -> Mapping[str, Any]:
        for change in (
            lambda: event.attributes.update({"jwt.sub": "mallory"}),  # type: ignore[attr-defined]
            lambda: event.attributes.pop("jwt.jti"),  # type: ignore[attr-defined]
            lambda: setattr(event, "name", "jwt.issued"),
        ):
            with pytest.raises(AttributeError):
                change()
        return {"jwt.sub": "mallory", "jwt.jti": None, "audit.record.id": "1", "event.name": "x", "added": True}

    event = hooked(instrument, meddling)
    assert (event["event"], event["jwt.sub"], event["jwt.jti"], event["added"]) == (
        "jwt.validated", "alice", "token-1", True
    )  # fmt: skip
    assert event["audit.record.id"] != "1"


@pytest.mark.parametrize(
    ("added", "kept"),
    [
        (None, {}),
        ({}, {}),
        ({"a": None, "": 1, 7: 2, ("b",): 3}, {}),
        ({"a": "x" * 1000}, {"a": "x" * 255 + "…"}),
        ({"a": "\ud800\n"}, {"a": r"\ud800\n"}),
        ({"a": 2**70}, {"a": str(2**70)}),
        ({"a": ["b", "c"], "d": {"e": 1}}, {"a": ("b", "c"), "d": '{"e":1}'}),
    ],
)
def test_what_a_hook_adds_is_bounded(
    added: Any, kept: dict[str, Any], instrument: Callable[..., Trail], ours: Callable[[], list[str]]
) -> None:
    plain = hooked(instrument, lambda _: None)
    PyJWTInstrumentor().uninstrument()
    event = hooked(instrument, lambda _: added)
    assert {name: event[name] for name in event.keys() - plain.keys()} == kept
    assert ours() == []


@pytest.mark.parametrize(
    "hook",
    [
        broken,
        lambda: None,
        lambda _: 7,
        lambda _: [1],
        lambda _: "text",
        lambda _: {"a": type("X", (), {"__str__": broken})()},
    ],
)
def test_a_hook_that_fails_is_logged_once_and_loses_no_event(
    hook: Callable[..., Any], instrument: Callable[..., Trail], ours: Callable[[], list[str]]
) -> None:
    trail = instrument(event_hook=hook)
    use_everything()
    assert trail.names == EVENTS
    assert len(ours()) == 1
    assert "event_hook" in ours()[0]
    assert GOOD not in str(ours())
