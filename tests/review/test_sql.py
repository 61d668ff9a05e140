"""Windows that slide, against what a few lines of Python find in the same events."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from opentelemetry.instrumentation.pyjwt.review.columns import attributes_of, kind_of, literal, quoted
from opentelemetry.instrumentation.pyjwt.review.database import Database, database
from opentelemetry.instrumentation.pyjwt.review.model import (
    LEVELS,
    And,
    Compare,
    Condition,
    Equals,
    Escalation,
    Exists,
    Key,
    Not,
    Or,
    Rule,
    StartsWith,
)
from opentelemetry.instrumentation.pyjwt.review.sql import query_of, written

SECOND = 1_000_000_000
Event = dict[str, Any]


@pytest.fixture(scope="module")
def opened() -> Iterator[Database]:
    with database() as found:
        yield found


# --- The reference ------------------------------------------------------------------------------------------


def holds(condition: Condition, event: Event) -> bool:
    match condition:
        case And(parts):
            return all(holds(one, event) for one in parts)
        case Or(parts):
            return any(holds(one, event) for one in parts)
        case Not(part):
            return not holds(part, event)
        case Exists(field):
            return event.get(field) is not None
        case Equals(field, values):
            value = event.get(field)
            return bool(set(value) & set(values)) if isinstance(value, list) else value in values and value is not None
        case Compare(field, operator, bound):
            value = event.get(field)
            return (
                isinstance(value, int)
                and {
                    "<": value < bound,
                    "<=": value <= bound,
                    ">": value > bound,
                    ">=": value >= bound,
                }[operator]
            )
        case StartsWith(field, prefixes):
            return str(event.get(field) or "").startswith(prefixes)
    raise AssertionError(condition)


def reference(rule: Rule, events: list[Event]) -> list[tuple[Any, ...]]:
    groups: dict[tuple[Any, ...], list[Event]] = {}
    for event in events:
        if holds(rule.condition, event) or (rule.then and holds(rule.then, event)):
            key = next((key for key in rule.keys if key.condition is None or holds(key.condition, event)), None)
            if key:
                groups.setdefault(tuple((one, event.get(one)) for one in key.attributes), []).append(event)
    found = []
    for key_values, members in groups.items():
        full = [window for end in members if (window := measured(rule, members, end))]
        if full:
            levels, counts, firsts, lasts = zip(*full, strict=True)
            found.append((dict(key_values), max(levels), max(counts), min(firsts), max(lasts)))
    return found


def measured(rule: Rule, members: list[Event], end: Event) -> tuple[int, ...] | None:
    """Level, number, first and last of the window that ends with this event, if it is full."""
    last, level = end["time"], LEVELS.index(rule.level)
    window = [one for one in members if last - rule.window * SECOND <= one["time"] <= last]
    counted = window
    if rule.then is not None:
        if not holds(rule.then, end):
            return None
        counted = [one for one in window if holds(rule.condition, one)]
        number = len([one for one in counted if one is not end])
    else:
        number = len({one.get(rule.field) for one in window} - {None}) if rule.field else len(window)
    if number < rule.least:
        return None
    if (escalation := rule.escalation) is not None:
        others = len({one.get(escalation.field) for one in window} - {None})
        if others >= escalation.threshold + (escalation.comparison == ">"):
            level = max(level, LEVELS.index(escalation.level))
    return level, number, min(one["time"] for one in counted), last


# --- Against it ---------------------------------------------------------------------------------------------

texts = st.sampled_from([None, None, "", "a", "A", "b", "it's"])
events = st.lists(
    st.fixed_dictionaries(
        {
            "time": st.integers(0, 20).map(lambda half: half * SECOND // 2),
            "event.name": st.sampled_from(["jwt.validated", "jwt.rejected", "jwt.issued"]),
            "jwt.iss": st.sampled_from([None, "", "x", "X"]),
            "jwt.jti": texts,
            "client.address": texts,
            "geo.country.iso_code": texts,
            "jwt.verified": st.sampled_from([None, True, True, False]),
            "jwt.expires_in": st.none() | st.integers(-3, 3),
            "jwt.scope.missing": st.none() | st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3),
        }
    ),
    max_size=30,
)
leaves = st.sampled_from(
    [
        Equals("event.name", ("jwt.rejected",)),
        Equals("event.name", ("jwt.validated", "jwt.issued")),
        Equals("jwt.verified", (False,)),
        Equals("jwt.jti", ("a", "it's", "")),
        Equals("jwt.expires_in", (1, 2)),
        Equals("jwt.scope.missing", ("a", "c")),
        Equals("jwt.verified", ("true",)),
        Compare("jwt.expires_in", "<", 0),
        Compare("jwt.expires_in", ">=", 1),
        StartsWith("client.address", ("i", "A")),
        Exists("jwt.scope.missing"),
        Exists("jwt.jti"),
    ]
)
conditions = st.recursive(
    leaves,
    lambda inner: (
        inner.map(Not) | st.tuples(inner, inner).map(And) | st.tuples(inner, inner).map(Or)  # type: ignore[arg-type]
    ),
    max_leaves=4,
)
keys = st.sampled_from(
    [
        (Key(("jwt.iss", "jwt.jti")),),
        (Key(("jwt.iss", "jwt.jti")), Key(("client.address",))),
        (Key(("client.address",)),),
        (Key(("jwt.iss",)),),
    ]
)
ROUNDS = settings(
    max_examples=int(os.environ.get("REVIEW_EXAMPLES", "100")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def rule_of(**parts: Any) -> Rule:
    return Rule(name="r", id="", title="", description="", level="medium", **parts)


#: Of no event that could be grouped by a claim.
NEVER = And((Equals("event.name", ("jwt.rejected",)), Equals("jwt.verified", (False,))))


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    shape = draw(st.sampled_from(["event_count", "value_count", "temporal_ordered"]))
    more: dict[str, Any] = {}
    if shape == "value_count":
        more["field"] = draw(st.sampled_from(["geo.country.iso_code", "client.address"]))
    if shape == "temporal_ordered":
        more["then"] = draw(conditions)
    elif draw(st.booleans()):
        more["escalation"] = Escalation(
            "high", "client.address", draw(st.integers(1, 3)), draw(st.sampled_from([">", ">="]))
        )
    return rule_of(
        shape=shape,
        condition=draw(conditions),
        keys=draw(keys),
        window=draw(st.integers(1, 5)),
        threshold=draw(st.integers(1, 4)),
        comparison=draw(st.sampled_from([">", ">="])) if shape != "temporal_ordered" else ">=",
        **more,
    )


def filled(opened: Database, rule: Rule, given_events: list[Event]) -> None:
    names = ["time", "event.name", *attributes_of([rule])]
    columns = ", ".join(f"{quoted(one)} {kind_of(one).value if one != 'time' else 'BIGINT'}" for one in names)
    opened.rows(f"CREATE OR REPLACE TABLE events ({columns})")
    rows = [f"({', '.join(_value(event.get(one)) for one in names)})" for event in given_events]
    if rows:
        opened.rows(f"INSERT INTO events VALUES {', '.join(rows)}")


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return "NULL" if value is None else literal(value) if isinstance(value, str) else str(value)


def in_order(found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(found, key=repr)


@ROUNDS
@example(rule_of(shape="event_count", condition=NEVER, keys=(Key(("jwt.iss", "jwt.jti")),), window=1), [])
@given(rules(), events)
def test_sliding_windows(opened: Database, rule: Rule, given_events: list[Event]) -> None:
    given_events = [{"audit.record.id": f"r{n}", **event} for n, event in enumerate(given_events)]
    filled(opened, rule, given_events)
    compared(opened, rule, given_events)


@ROUNDS
@example([(4, "b", None), *((third, "a", None) for third in range(25))], 3, 2, None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 24), st.sampled_from([None, "a", "a", "a", "b", "c"]), st.sampled_from([None, "x", "y"])
        ),
        max_size=40,
    ),
    st.integers(1, 3),
    st.integers(1, 3),
    st.none() | st.integers(1, 2).map(lambda number: Escalation("high", "client.address", number)),
)
def test_few_values_used_many_times(
    opened: Database,
    uses: list[tuple[int, str | None, str | None]],
    window: int,
    threshold: int,
    escalation: Escalation | None,
) -> None:
    rule = rule_of(
        shape="value_count",
        condition=Equals("event.name", ("jwt.issued",)),
        keys=(Key(("jwt.jti",)),),
        field="geo.country.iso_code",
        window=window,
        threshold=threshold,
        escalation=escalation,
    )
    given_events = [
        {
            "audit.record.id": f"r{n}",
            "event.name": "jwt.issued",
            "jwt.jti": "t",
            "time": third * SECOND // 3,
            "geo.country.iso_code": country,
            "client.address": address,
        }
        for n, (third, country, address) in enumerate(uses)
    ]
    filled(opened, rule, given_events)
    compared(opened, rule, given_events)


def compared(opened: Database, rule: Rule, given_events: list[Event]) -> None:
    answers = opened.rows(query_of(rule))
    found = [(key, level, number, first, last) for level, key, number, first, last, _ in answers]
    assert in_order(found) == in_order(reference(rule, given_events))
    by_id = {event["audit.record.id"]: event for event in given_events}
    for _, key, _, first, last, sample in answers:
        assert 0 < len(sample) == len(set(sample)) <= 5
        for event in map(by_id.__getitem__, sample):
            assert {name: event.get(name) for name in key} == key
            assert first <= event["time"] <= last


@ROUNDS
@example(Not(Equals("jwt.verified", ("true",))), [{"time": 0, "event.name": "jwt.issued"}])
@given(conditions, events)
def test_conditions(opened: Database, condition: Condition, given_events: list[Event]) -> None:
    given_events = [{"audit.record.id": f"r{n}", **event} for n, event in enumerate(given_events)]
    filled(opened, rule_of(shape="single", condition=condition, keys=(Key(("jwt.iss",)),)), given_events)
    ids = [identity for (identity,) in opened.rows(f'SELECT "audit.record.id" FROM events WHERE {written(condition)}')]
    assert sorted(ids) == sorted(event["audit.record.id"] for event in given_events if holds(condition, event))
