"""The table of events that rules are asked of: a column for each attribute, under the attribute's own name.

Beside the attributes it has ``time``, nanoseconds since the epoch, and ``event.name``.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.review.conditions import fields_of
from opentelemetry.instrumentation.pyjwt.review.model import LIFETIME, LISTS, Rule

TIME: Final = "time"


class Kind(Enum):
    """What a column holds, by the name of its type in SQL."""

    TEXT = "VARCHAR"
    OWN = "VARCHAR "  # whatever an attribute of the user's own is, as text
    INTEGER = "BIGINT"
    BOOLEAN = "BOOLEAN"
    LIST = "VARCHAR[]"


_INTEGERS: Final = frozenset(
    {semconv.IAT, semconv.NBF, semconv.EXP, semconv.EXPIRES_IN, semconv.HTTP_STATUS, semconv.SEQUENCE_NUMBER}
)


def kind_of(attribute: str) -> Kind:
    if attribute in LISTS:
        return Kind.LIST
    if attribute in _INTEGERS:
        return Kind.INTEGER
    if attribute == semconv.VERIFIED:
        return Kind.BOOLEAN
    return Kind.TEXT if attribute in semconv.ATTRIBUTES else Kind.OWN


def attributes_of(rules: Iterable[Rule]) -> list[str]:
    """The attributes that these rules look at, by name, and the record's id; without that of the event."""
    found = {semconv.RECORD_ID}
    for rule in rules:
        conditions = [rule.condition, rule.then, *(key.condition for key in rule.keys)]
        found.update(*(fields_of(one) for one in conditions if one is not None))
        found.update(*(key.attributes for key in rule.keys), {rule.field})
        if rule.escalation:
            found.add(rule.escalation.field)
    if LIFETIME in found:
        found |= {semconv.EXP, semconv.IAT}
    return sorted(found - {"", LIFETIME, semconv.EVENT_NAME})


def quoted(name: str) -> str:
    """A name in SQL."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def literal(text: str) -> str:
    """A text in SQL."""
    doubled = text.replace("'", "''")
    return f"'{doubled}'"
