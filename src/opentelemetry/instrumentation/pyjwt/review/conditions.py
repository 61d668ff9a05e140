"""Sigma's ``detection``: selections of fields and values, joined by a condition in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt.review.model import (
    LISTS,
    And,
    Compare,
    Condition,
    Equals,
    Exists,
    Not,
    Operator,
    Or,
    Scalar,
    StartsWith,
)

_OPERATORS: Final[dict[str, Operator]] = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_WORDS: Final = re.compile(r"\s*([()]|[^\s()]+)")
_KEYWORDS: Final = ("and", "or", "not", "of", "(", ")")


class Wrong(ValueError):
    """Something is wrong in a rule.

    Args:
        where: the field at fault, as a path.
        reason: what is wrong with it.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where = where
        self.reason = reason


def mapping(value: object, where: str) -> Mapping[str, Any]:
    """``value``, which must be a mapping of names."""
    if not isinstance(value, Mapping) or not value or not all(isinstance(name, str) for name in value):
        raise Wrong(where, "must be a mapping of names to values")
    return value


def condition_of(detection: object) -> Condition:
    """What a rule detects.

    Raises:
        Wrong: with the field at fault and the reason.
    """
    named = dict(mapping(detection, "detection"))
    words = named.pop("condition", None)
    if not isinstance(words, str):
        raise Wrong("detection.condition", "must be text that joins the selections")
    selections = {name: _selection(value, f"detection.{name}") for name, value in named.items()}
    return _Parser(words, selections).parsed()


def tests_of(condition: Condition) -> Iterator[Equals | Compare | StartsWith | Exists]:
    """Every test of an attribute in a condition."""
    match condition:
        case And(parts) | Or(parts):
            for part in parts:
                yield from tests_of(part)
        case Not(part):
            yield from tests_of(part)
        case _:
            yield condition


def fields_of(condition: Condition) -> set[str]:
    """Every attribute that a condition looks at."""
    return {test.field for test in tests_of(condition)}


def all_of(parts: Iterable[Condition]) -> Condition:
    return _joined(And, parts)


def any_of(parts: Iterable[Condition]) -> Condition:
    return _joined(Or, parts)


def _joined(kind: type[And | Or], parts: Iterable[Condition]) -> Condition:
    flat = [one for part in parts for one in (part.parts if isinstance(part, kind) else (part,))]
    return flat[0] if len(flat) == 1 else kind(tuple(flat))


# --- Selections ---------------------------------------------------------------------------------------------


def _selection(value: object, where: str) -> Condition:
    if isinstance(value, list) and value:
        return any_of(_selection(one, f"{where}[{place}]") for place, one in enumerate(value))
    pairs = mapping(value, where)
    return all_of(_test(name, wanted, f"{where}.{name}") for name, wanted in pairs.items())


def _test(name: str, wanted: object, where: str) -> Condition:
    field, *modifiers = name.split("|")
    # Everything is case-sensitive here, said or not.
    modifiers = [one for one in modifiers if one != "cased"]
    if len(modifiers) > 1:
        raise Wrong(where, f"these modifiers cannot be combined: {', '.join(modifiers)}")
    values: list[Any] = wanted if isinstance(wanted, list) else [wanted]
    if not values:
        raise Wrong(where, "must name a value")
    match modifiers:
        case []:
            return _equals(field, values, where)
        case ["exists"]:
            if len(values) != 1 or not isinstance(values[0], bool):
                raise Wrong(where, "must be true or false")
            return Exists(field) if values[0] else Not(Exists(field))
        case ["startswith"]:
            if field in LISTS or not all(isinstance(one, str) and one for one in values):
                raise Wrong(where, "must be text, and the attribute no list")
            return StartsWith(field, tuple(_plain(one, where) for one in values))
        case [modifier] if modifier in _OPERATORS:
            if field in LISTS or len(values) != 1 or not _is_number(values[0]):
                raise Wrong(where, "must be one number, and the attribute no list")
            return Compare(field, _OPERATORS[modifier], values[0])
    raise Wrong(where, f"modifier {modifiers[0]} is not supported; cased, exists, gt, gte, lt, lte and startswith are")


def _equals(field: str, values: list[Any], where: str) -> Condition:
    parts: list[Condition] = []
    present = tuple(_scalar(one, where) for one in values if one is not None)
    if present:
        parts.append(Equals(field, present))
    if len(present) < len(values):  # Sigma's null: the field is not there
        parts.append(Not(Exists(field)))
    return any_of(parts)


def _scalar(value: object, where: str) -> Scalar:
    if isinstance(value, str):
        return _plain(value, where)
    if isinstance(value, bool) or _is_number(value):
        return value  # type: ignore[return-value]
    raise Wrong(where, f"must be text, a number, true, false or null, not {type(value).__name__}")


def _plain(value: str, where: str) -> str:
    if not value or "*" in value or "?" in value or "\\" in value:
        raise Wrong(where, "must be text without wildcards and backslashes; for a beginning there is startswith")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -(2**63) <= value < 2**63


# --- The condition ------------------------------------------------------------------------------------------


class _Parser:
    """``not`` binds more than ``and``, and that more than ``or``."""

    def __init__(self, text: str, selections: Mapping[str, Condition]) -> None:
        self._words = _WORDS.findall(text)
        self._selections = selections
        self._used: set[str] = set()

    def parsed(self) -> Condition:
        condition = self._either()
        if self._words:
            raise self._wrong(f"{self._words[0]!r} is not expected there")
        if unused := self._selections.keys() - self._used:
            raise self._wrong(f"does not mention {', '.join(sorted(unused))}")
        return condition

    def _either(self) -> Condition:
        parts = [self._both()]
        while self._next_is("or"):
            parts.append(self._both())
        return any_of(parts)

    def _both(self) -> Condition:
        parts = [self._one()]
        while self._next_is("and"):
            parts.append(self._one())
        return all_of(parts)

    def _one(self) -> Condition:
        if self._next_is("not"):
            return Not(self._one())
        if self._next_is("("):
            inner = self._either()
            if not self._next_is(")"):
                raise self._wrong("a parenthesis is not closed")
            return inner
        word = self._words.pop(0) if self._words else ""
        if word in ("1", "any", "all") and self._next_is("of"):
            return self._several(all_of if word == "all" else any_of)
        if word in _KEYWORDS or not word:
            raise self._wrong("the name of a selection is missing" + (f" before {word!r}" if word else " at its end"))
        if word not in self._selections:
            raise self._wrong(f"there is no selection {word}")
        self._used.add(word)
        return self._selections[word]

    def _several(self, joined: Callable[[Iterable[Condition]], Condition]) -> Condition:
        pattern = self._words.pop(0) if self._words else ""
        names = [
            name
            for name in self._selections
            # Sigma leaves names with an underscore out of "them".
            if (not name.startswith("_") if pattern == "them" else fnmatchcase(name, pattern))
        ]
        if not names:
            raise self._wrong(f"there is no selection {pattern or 'after of'}")
        self._used.update(names)
        return joined(self._selections[name] for name in names)

    def _next_is(self, word: str) -> bool:
        if self._words and self._words[0] == word:
            del self._words[0]
            return True
        return False

    def _wrong(self, reason: str) -> Wrong:
        return Wrong("detection.condition", reason)
