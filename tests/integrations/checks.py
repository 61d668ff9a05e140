"""What must hold of the events of one request, and of its spans."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from tests.integrations.drivers import AGENT, CLIENT
from tests.support import Trail

# The record's own, and the request's: the SERVER span has these from whoever made it, or needs them not.
OF_THE_EVENT = {
    "event",
    "trace_id",
    "span_id",
    "audit.record.id",
    "client.address",
    "user_agent.original",
    "http.request.method",
    "http.route",
    "http.response.status_code",
}


def check_events(trail: Trail, expected: Sequence[Mapping[str, Any]], *, route: str | None, status: int | None) -> None:
    """These events and no others, each with what is expected of it and with the request's attributes."""
    events = trail.events
    assert [event["event"] for event in events] == [one["event"] for one in expected]
    request = {
        "http.route": route,
        "http.request.method": "GET",
        "http.response.status_code": status,
        "client.address": CLIENT,
        "user_agent.original": AGENT,
    }
    for event, one in zip(events, expected, strict=True):
        for name, value in {**one, **request}.items():
            check_attribute(event, name, value)
    assert len({str(uuid.UUID(event["audit.record.id"])) for event in events}) == len(events)


def check_attribute(event: Mapping[str, Any], name: str, expected: Any) -> None:
    """``None``: it must be absent; a set: in any order; a function: must hold; else it must be equal."""
    value = event.get(name)
    if isinstance(expected, set):
        assert value is not None, f"{name} is absent"
        assert set(value) == expected, name
        assert len(value) == len(expected), name
    elif callable(expected):
        assert name in event, f"{name} is absent"
        assert expected(value), (name, value)
    else:
        assert value == expected, name
    assert value not in ("", ()), f"{name} is empty"


def check_span(trail: Trail, on_span: int | None) -> None:
    """One SERVER span, to which every record is tied. It alone shows a token: that of one event, or of none."""
    (span,) = trail.server_spans
    events = trail.events
    context = span.get_span_context()
    assert {(event["trace_id"], event["span_id"]) for event in events} <= {(context.trace_id, context.span_id)}
    shown = events[on_span] if events and on_span is not None else {}
    assert token_attributes(span) == {name: value for name, value in shown.items() if name not in OF_THE_EVENT}
    assert [other.name for other in trail.spans if other is not span and token_attributes(other)] == []


def check_no_span(trail: Trail) -> None:
    """Nobody made a span, and no record claims one."""
    assert trail.spans == []
    assert {(event["trace_id"], event["span_id"]) for event in trail.events} <= {(0, 0)}


def token_attributes(span: Any) -> dict[str, Any]:
    return {name: value for name, value in span.attributes.items() if name.startswith(("jwt.", "user.", "audit."))}
