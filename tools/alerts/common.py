"""What the generators share: how a condition is put together, how often an engine looks, and text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import yaml

from opentelemetry.instrumentation.pyjwt.review.model import (
    And,
    Compare,
    Condition,
    Equals,
    Exists,
    Key,
    Level,
    Not,
    Or,
    Rule,
    StartsWith,
)

NOTE: Final = "Made from the rules in collector-config/alerts/rules by `make alerts`: change those, not this file."

#: Engines that look back over one window at a time do so this often while it lasts: a burst shorter than the window by
#: one such step is always found, wherever it falls.
LOOKS: Final = 20
#: Seconds between two looks for what has no window, and how far such a look reaches, for events that arrive late.
SINGLE_EVERY: Final = 60
SINGLE_WINDOW: Final = 300
#: Where windows may be placed anywhere in what a scheduled search has read: seconds between two searches, and the
#: seconds that an event may take to arrive.
SEARCH_EVERY: Final = 300
SEARCH_LATE: Final = 120
#: Seconds at least in which one finding is told of once.
QUIET: Final = 3600


class Language:
    """How one engine writes conditions; the leaves are its own."""

    conjunction = " AND "
    disjunction = " OR "

    def equals(self, test: Equals) -> str:
        raise NotImplementedError

    def compare(self, test: Compare) -> str:
        raise NotImplementedError

    def starts_with(self, test: StartsWith) -> str:
        raise NotImplementedError

    def exists(self, field: str) -> str:
        raise NotImplementedError

    def negated(self, part: Condition) -> str:
        raise NotImplementedError

    def written(self, condition: Condition) -> str:
        """The condition, in parentheses where something could be joined to it wrongly."""
        match condition:
            case And(parts):
                return f"({self.conjunction.join(map(self.written, parts))})"
            case Or(parts):
                return f"({self.disjunction.join(map(self.written, parts))})"
            case Not(part):
                return self.negated(part)
            case Equals():
                return self.equals(condition)
            case Compare():
                return self.compare(condition)
            case StartsWith():
                return self.starts_with(condition)
            case Exists(field):
                return self.exists(field)
        raise AssertionError(condition)

    def conjuncts(self, condition: Condition) -> list[str]:
        """What must hold, part by part."""
        return [self.written(part) for part in (condition.parts if isinstance(condition, And) else (condition,))]


def step(rule: Rule) -> int:
    """Seconds between two looks."""
    return max(rule.window // LOOKS, 1) if rule.window else SINGLE_EVERY


def look_back(rule: Rule) -> int:
    """Seconds that a scheduled search must read, so that every window that has ended since the last one is whole."""
    return rule.window + SEARCH_EVERY + SEARCH_LATE


def levels(rule: Rule) -> list[tuple[Level, bool]]:
    """Levels that a finding can have, and whether each is by escalation."""
    return [(rule.level, False)] + ([(rule.escalation.level, True)] if rule.escalation else [])


def attributes_of(keys: Sequence[Key]) -> list[str]:
    """Attributes of any of the keys."""
    return list(dict.fromkeys(one for key in keys for one in key.attributes))


def notes(rule: Rule) -> dict[str, str]:
    """What an alert says to whoever gets it."""
    return {"summary": rule.title, "description": rule.description, "response": rule.response}


def lines(values: Sequence[str], indent: str = "") -> str:
    return "".join(f"{indent}{value}\n" for value in values)


class Query(str):
    """Text that YAML keeps in its lines."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Knows queries."""


_Dumper.add_representer(Query, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|"))


def as_yaml(value: object, *comments: str) -> str:
    """A YAML file."""
    body = yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=116, allow_unicode=True)
    return lines([f"# {one}".rstrip() for one in (NOTE, *comments)]) + body


Generator = Callable[[Sequence[Rule]], str]
