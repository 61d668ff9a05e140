"""A rule taken apart for engines: which events are grouped by which of its keys.

What is known already is not asked again: a rule about verified tokens need not say so once more for its key.
"""

from __future__ import annotations

from collections.abc import Iterator

from opentelemetry.instrumentation.pyjwt.review.conditions import all_of, any_of
from opentelemetry.instrumentation.pyjwt.review.model import (
    LISTS,
    And,
    Compare,
    Condition,
    Equals,
    Exists,
    Key,
    Not,
    Or,
    Rule,
    Scalar,
    StartsWith,
)


def cases(rule: Rule) -> list[tuple[Key, Condition | None]]:
    """Keys in their order: the first whose condition an event meets is that event's. ``None``: any event meets it."""
    known = rule.condition if rule.then is None else any_of((rule.condition, rule.then))
    found: list[tuple[Key, Condition | None]] = []
    for key in rule.keys:
        left = True if key.condition is None else given(key.condition, known)
        if not isinstance(left, bool):
            found.append((key, left))
        elif left:
            return [*found, (key, None)]
    return found


def groups(rule: Rule, condition: Condition) -> list[tuple[Key, Condition]]:
    """Keys, each with the whole condition of its events; no event is in two groups.

    Args:
        rule: the rule.
        condition: of the events, one of the rule's two.
    """
    found: list[tuple[Key, Condition]] = []
    earlier: list[Condition] = []
    for key, own in cases(rule):
        whole: Condition | None = condition
        for part in (*([] if own is None else [own]), *map(Not, earlier)):
            left = whole is not None and given(part, whole)
            whole = None if left is False or whole is None else whole if left is True else all_of((whole, left))
        if whole is not None:
            found.append((key, whole))
        if own is not None:
            earlier.append(own)
    return found


def given(condition: Condition, known: Condition) -> Condition | bool:
    """What is left to ask of ``condition`` where ``known`` holds."""
    facts = list(_facts(known))
    if condition in facts:
        return True
    match condition:
        case And(parts) | Or(parts):
            left = [given(part, known) for part in parts]
            decides = isinstance(condition, Or)
            if decides in left:
                return decides
            still_open = [one for one in left if not isinstance(one, bool)]
            if not still_open:
                return not decides
            return any_of(still_open) if decides else all_of(still_open)
        case Not(part):
            answer = given(part, known)
            return not answer if isinstance(answer, bool) else Not(answer)
        case Exists(field):
            if any(isinstance(one, (Equals, Compare, StartsWith)) and one.field == field for one in facts):
                return True
            return False if Not(condition) in facts else condition
        case Equals(field, values) if field not in LISTS:
            possible = _possible(field, facts)
            if possible is not None and possible <= set(values):
                return True
            return False if possible is not None and not possible & set(values) else condition
    return condition


def _facts(known: Condition) -> Iterator[Condition]:
    yield known
    if isinstance(known, And):
        for part in known.parts:
            yield from _facts(part)


def _possible(field: str, facts: list[Condition]) -> set[Scalar] | None:
    """The values that an attribute can have; ``None``: any."""
    named = [set(one.values) for one in facts if isinstance(one, Equals) and one.field == field]
    return set.intersection(*named) if named else None
