"""A rule as engines see it: which events count, by what they are grouped, and how many are too many.

Conditions are plain logic. What is absent equals nothing, is neither less nor greater, and begins with nothing, so that
the ``Not`` of each is true of it. All comparisons of strings are case-sensitive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from opentelemetry.instrumentation.pyjwt import semconv

Scalar = str | int | float | bool
Operator = Literal["<", "<=", ">", ">="]
Comparison = Literal[">", ">="]
Level = Literal["informational", "low", "medium", "high", "critical"]
Shape = Literal["single", "event_count", "value_count", "temporal_ordered"]

LEVELS: Final[tuple[Level, ...]] = ("informational", "low", "medium", "high", "critical")

#: Seconds: ``jwt.exp`` less ``jwt.iat`` or, without that, less the time of the event; absent without ``jwt.exp``.
LIFETIME: Final = "jwt.lifetime"
#: Attributes that hold several strings.
LISTS: Final = frozenset(
    {semconv.AUD, semconv.CHECKS, semconv.SCOPE_GRANTED, semconv.SCOPE_REQUIRED, semconv.SCOPE_MISSING}
)


@dataclass(frozen=True, slots=True)
class Equals:
    """The attribute is one of these values; of a list, one of its items is."""

    field: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """The attribute is a number, and less or greater than this."""

    field: str
    operator: Operator
    value: int | float


@dataclass(frozen=True, slots=True)
class StartsWith:
    """The attribute is a string that begins with one of these."""

    field: str
    prefixes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    field: str


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Condition, ...]  #: one at least


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Condition, ...]  #: one at least


@dataclass(frozen=True, slots=True)
class Not:
    part: Condition


Condition = Equals | Compare | StartsWith | Exists | And | Or | Not


@dataclass(frozen=True, slots=True)
class Key:
    """One way to group events. An absent ``jwt.iss`` is a value of its own; all else must be there."""

    attributes: tuple[str, ...]

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(one for one in self.attributes if one != semconv.ISS)

    @property
    def condition(self) -> Condition | None:
        """Events that can be grouped so: claims are a key only if somebody vouches for them. ``None``: all."""
        parts: list[Condition] = [Exists(one) for one in self.required]
        if any(one.startswith(_CLAIMED) for one in self.attributes):
            parts.insert(0, TRUSTED)
        return And(tuple(parts)) if len(parts) > 1 else parts[0] if parts else None


#: Events whose claims are not just anybody's word: verified, or told by the service itself.
TRUSTED: Final = Or(
    (
        Equals(semconv.VERIFIED, (True,)),
        Equals(semconv.EVENT_NAME, (semconv.ISSUED, semconv.REFRESHED, semconv.REVOKED)),
    )
)
_CLAIMED: Final = ("jwt.", "user.", "audit.actor.")


@dataclass(frozen=True, slots=True)
class Escalation:
    """The finding has this level instead, if so many values are in the window too."""

    level: Level
    field: str
    threshold: int
    comparison: Comparison = ">="


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What to look for in the trail.

    ``single``: each event that meets ``condition``; engines may tell of several with one key at once.
    ``event_count``: so many of them with one key within the window.
    ``value_count``: so many different values of ``field`` among them.
    ``temporal_ordered``: so many of them, and then one that meets ``then``, all within the window.

    A window is as long as its seconds, both ends included, and may begin anywhere. Of several keys the first counts
    that an event can be grouped by; an event without any is not looked at. Records of one ``audit.record.id`` are one.
    """

    name: str
    id: str
    title: str
    description: str
    level: Level
    shape: Shape
    condition: Condition
    keys: tuple[Key, ...]
    window: int = 0  #: seconds; 0: single
    threshold: int = 1
    comparison: Comparison = ">="  #: of the number found with the threshold
    field: str = ""  #: value_count: whose values are counted
    then: Condition | None = None  #: temporal_ordered: what comes after
    escalation: Escalation | None = None
    response: str = ""  #: what to do
    references: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    false_positives: tuple[str, ...] = ()
    source: str = ""  #: name of its file

    @property
    def least(self) -> int:
        """The smallest number that is a finding."""
        return self.threshold + (self.comparison == ">")
