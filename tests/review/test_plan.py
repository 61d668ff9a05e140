"""A rule taken apart means what it meant as a whole, for every event that there can be."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.review.model import (
    LIFETIME,
    And,
    Compare,
    Condition,
    Equals,
    Exists,
    Key,
    Not,
    Or,
    Rule,
    StartsWith,
)
from opentelemetry.instrumentation.pyjwt.review.plan import cases, groups
from opentelemetry.instrumentation.pyjwt.review.rules import load

TOLD = Equals(semconv.EVENT_NAME, (semconv.ISSUED, semconv.REJECTED))
# Those of the package, and one of whose events some are to be believed as they are.
RULES = [*load(), *(replace(one, name="told", condition=TOLD) for one in load() if one.name == "revoked-token-used")]
Event = Mapping[str, Any]
TRUSTING = (semconv.ISSUED, semconv.REFRESHED, semconv.REVOKED)


def holds(condition: Condition, event: Event) -> bool:
    match condition:
        case And(parts):
            return all(holds(part, event) for part in parts)
        case Or(parts):
            return any(holds(part, event) for part in parts)
        case Not(part):
            return not holds(part, event)
        case Exists(field):
            return field in event
        case Equals(field, values):
            value = event.get(field)
            return any(one in values for one in value) if isinstance(value, list) else value in values
        case StartsWith(field, prefixes):
            return str(event.get(field, "")).startswith(prefixes)
        case Compare(field, operator, number):
            value = event.get(field)
            return value is not None and {"<": value < number, ">": value > number, ">=": value >= number}[operator]
    raise AssertionError(condition)


def events() -> Iterator[Event]:
    """Every event of a few values, with and without each attribute."""
    choices: dict[str, list[Any]] = {
        semconv.EVENT_NAME: ["jwt.issued", "jwt.validated", "jwt.denied", "jwt.rejected", "jwt.unverified"],
        semconv.VERIFIED: [True, False],
        semconv.REASON: [None, "revoked", "invalid_algorithm"],
        semconv.TOKEN_USE: [None, "refresh"],
        semconv.ISS: [None, "us"],
        semconv.JTI: [None, "token"],
        semconv.FINGERPRINT: [None, "print"],
        semconv.SUB: [None, "alice"],
        semconv.CLIENT_ADDRESS: [None, "192.0.2.1"],
    }
    told = {semconv.HTTP_STATUS: 200, semconv.HTTP_METHOD: "GET", semconv.EXPIRES_IN: -900, LIFETIME: 90000}
    for values in itertools.product(*choices.values()):
        event = {name: value for name, value in zip(choices, values, strict=True) if value is not None}
        yield {**told, semconv.SCOPE_MISSING: ["write"], **event}


EVENTS = tuple(events())


def key_of(rule: Rule, event: Event) -> Key | None:
    """The key of an event, as said in the rule: claims count if they are verified or the service's own."""
    for key in rule.keys:
        claimed = any(one.startswith("jwt.") for one in key.attributes)
        trusted = event[semconv.VERIFIED] or event[semconv.EVENT_NAME] in TRUSTING
        if (trusted or not claimed) and all(one in event for one in key.attributes if one != semconv.ISS):
            return key
    return None


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_event_has_the_first_key_that_it_fits(rule: Rule) -> None:
    seen = 0
    chosen = cases(rule)
    parts = [(condition, groups(rule, condition)) for condition in (rule.condition, rule.then) if condition is not None]
    for event in EVENTS:
        for condition, grouped in parts:
            if not holds(condition, event):
                assert not any(holds(one, event) for _, one in grouped)
                continue
            seen += 1
            expected = key_of(rule, event)
            assert next((key for key, own in chosen if own is None or holds(own, event)), None) == expected
            assert [key for key, one in grouped if holds(one, event)] == ([expected] if expected else [])
    assert seen


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_unverified_claims_are_nobody_s_key(rule: Rule) -> None:
    for event in EVENTS:
        if event[semconv.VERIFIED] or event[semconv.EVENT_NAME] in TRUSTING:
            continue
        for key, one in groups(rule, rule.condition):
            assert key.attributes == (semconv.CLIENT_ADDRESS,) or not holds(one, event)


def test_what_is_known_is_not_asked_again() -> None:
    (rule,) = [one for one in RULES if one.name == "token-high-rate"]
    assert cases(rule) == [
        (Key((semconv.ISS, semconv.JTI)), Exists(semconv.JTI)),
        (Key((semconv.ISS, semconv.FINGERPRINT)), Exists(semconv.FINGERPRINT)),
    ]
