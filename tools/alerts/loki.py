"""Loki: rules for its ruler, in LogQL. Attributes are structured metadata, whose names have underscores for dots.

Each look counts what the window before it holds. Loki drops repeats of a record itself (same time, text and stream).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.review.conditions import all_of, any_of, fields_of
from opentelemetry.instrumentation.pyjwt.review.model import (
    LIFETIME,
    LISTS,
    And,
    Compare,
    Condition,
    Equals,
    Exists,
    Key,
    Level,
    Not,
    Operator,
    Or,
    Rule,
    StartsWith,
)
from opentelemetry.instrumentation.pyjwt.review.plan import groups
from tools.alerts.common import SINGLE_WINDOW, Language, Query, as_yaml, levels, notes, step

_SELECTOR: Final = '{service_name=~".+"}'  # one matcher at least is asked for, and this label is there with OTLP
_OPPOSITE: Final[dict[Operator, Operator]] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_LIFETIME: Final = (
    "{{ if .jwt_exp }}{{ if .jwt_iat }}{{ sub (int .jwt_exp) (int .jwt_iat) }}"
    "{{ else }}{{ sub (int .jwt_exp) (int (unixEpoch __timestamp__)) }}{{ end }}{{ end }}"
)


class _LogQL(Language):
    """Label filters, which know no ``not``: it is moved inwards. A label that is absent is an empty one."""

    conjunction = " and "
    disjunction = " or "

    def equals(self, test: Equals, but: bool = False) -> str:
        name = _name(test.field)
        numbers = [one for one in test.values if not isinstance(one, (str, bool))]
        if test.field in LISTS:  # as JSON: ["a","b"]
            items = "|".join(re.escape(json.dumps(one, ensure_ascii=False)) for one in test.values)
            return f"{name}{'!~' if but else '=~'}{_quoted(f'.*({items}).*')}"
        words = [str(one).lower() if isinstance(one, bool) else str(one) for one in test.values]
        if len(words) == 1 and not numbers:
            return f"{name}{'!=' if but else '='}{_quoted(words[0])}"
        return f"{name}{'!~' if but else '=~'}{_quoted('|'.join(map(re.escape, words)))}"

    def compare(self, test: Compare) -> str:
        return f"{_name(test.field)} {test.operator} {test.value}"

    def starts_with(self, test: StartsWith, but: bool = False) -> str:
        pattern = f"({'|'.join(map(re.escape, test.prefixes))}).*"
        return f"{_name(test.field)}{'!~' if but else '=~'}{_quoted(pattern)}"

    def exists(self, field: str) -> str:
        return f'{_name(field)}!=""'

    def negated(self, part: Condition) -> str:
        match part:
            case Equals():
                return self.equals(part, but=True)
            case StartsWith():
                return self.starts_with(part, but=True)
            case Exists(field):
                return f'{_name(field)}=""'
            case Compare(field, operator, value):
                return f'({_name(field)}="" or {self.compare(Compare(field, _OPPOSITE[operator], value))})'
            case Not(inner):
                return self.written(inner)
            case And(parts):
                return self.written(any_of(map(Not, parts)))
            case Or(parts):
                return self.written(all_of(map(Not, parts)))


_LOGQL: Final = _LogQL()


def generate(rules: Sequence[Rule]) -> str:
    return as_yaml(
        {
            "groups": [
                {
                    "name": rule.name,
                    "interval": f"{step(rule)}s",
                    "rules": [_rule(rule, level, escalated) for level, escalated in levels(rule)],
                }
                for rule in rules
            ]
        },
        "For Loki 3.1 and later. Each look counts the window before it, and the next comes a twentieth of it later.",
    )


def _rule(rule: Rule, level: Level, escalated: bool) -> dict[str, Any]:
    return {
        "alert": rule.name,
        "expr": Query("\nor\n".join(_expression(rule, *one, escalated) for one in groups(rule, rule.condition))),
        "labels": {"severity": level},
        "annotations": notes(rule),
    }


def _expression(rule: Rule, key: Key, condition: Condition, escalated: bool) -> str:
    """What is too many, of the events with one key."""
    by = ", ".join(map(_name, key.attributes))
    bound = f"{rule.comparison} {rule.threshold}"
    if rule.shape == "value_count":
        return _values(rule.field, by, condition, rule.window, bound) + _escalation(rule, by, condition, escalated)
    if rule.then is not None:
        after = all_of([rule.then, *([key.condition] if key.condition else [])])
        first = (
            f"bottomk by ({by}) ({rule.least}, {_times(f'{by}, {_name(semconv.RECORD_ID)}', condition, rule.window)})"
        )
        return f"count by ({by}) ({first}) {bound}\nand\nmax by ({by}) ({first}) < {_times(by, after, rule.window)}"
    window = rule.window or SINGLE_WINDOW
    found = f"sum by ({by}) (count_over_time({_stream(condition)} [{window}s])) {bound}"
    return found + _escalation(rule, by, condition, escalated)


def _escalation(rule: Rule, by: str, condition: Condition, escalated: bool) -> str:
    more = rule.escalation
    if more is None or not escalated:
        return ""
    return f"\nand\n{_values(more.field, by, condition, rule.window, f'{more.comparison} {more.threshold}')}"


def _values(field: str, by: str, condition: Condition, window: int, bound: str) -> str:
    """How many different values there are."""
    each = f"sum by ({by}, {_name(field)}) (count_over_time({_stream(all_of((condition, Exists(field))))} [{window}s]))"
    return f"count by ({by}) ({each}) {bound}"


def _times(by: str, condition: Condition, window: int) -> str:
    """When the last of them was."""
    moment = "label_format moment=`{{ unixEpochNanos __timestamp__ }}` | unwrap moment"
    return f"max by ({by}) (max_over_time({_stream(condition)} | {moment} [{window}s]))"


def _stream(condition: Condition) -> str:
    filters = _LOGQL.conjuncts(condition)
    if LIFETIME in fields_of(condition):
        filters.insert(0, f"{_LOGQL.exists(semconv.EXP)} | label_format {_name(LIFETIME)}=`{_LIFETIME}`")
    return f"{_SELECTOR} | {' | '.join(filters)}"


def _name(field: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", field)


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
