"""VictoriaLogs: rules for vmalert, in LogsQL. Attributes are fields of their own names.

Each look counts what the window before it holds: the query names its window itself, and the interval of the group says
only how often that is done.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.review.conditions import all_of, fields_of
from opentelemetry.instrumentation.pyjwt.review.model import (
    LIFETIME,
    LISTS,
    Compare,
    Condition,
    Equals,
    Key,
    Level,
    Rule,
    Scalar,
    StartsWith,
)
from opentelemetry.instrumentation.pyjwt.review.plan import groups
from tools.alerts.common import SINGLE_WINDOW, Language, Query, as_yaml, levels, notes, step


class _LogsQL(Language):
    conjunction = " "
    disjunction = " or "

    def equals(self, test: Equals) -> str:
        name = _quoted(test.field)
        if test.field in LISTS:  # as JSON: ["a","b"]
            items = "|".join(re.escape(json.dumps(one, ensure_ascii=False)) for one in test.values)
            return f"{name}:~{_quoted(items)}"
        words = [_quoted(_text(one)) for one in test.values]
        return f"{name}:={words[0]}" if len(words) == 1 else f"{name}:in({', '.join(words)})"

    def compare(self, test: Compare) -> str:
        return f"{_quoted(test.field)}:{test.operator}{test.value}"

    def starts_with(self, test: StartsWith) -> str:
        tests = [f"{_quoted(test.field)}:={_quoted(one)}*" for one in test.prefixes]
        return tests[0] if len(tests) == 1 else f"({' or '.join(tests)})"

    def exists(self, field: str) -> str:
        return f"{_quoted(field)}:*"

    def negated(self, part: Condition) -> str:
        return f"!{self.written(part)}"


_LOGSQL: Final = _LogsQL()


def generate(rules: Sequence[Rule]) -> str:
    return as_yaml(
        {
            "groups": [
                {
                    "name": rule.name,
                    "type": "vlogs",
                    "interval": f"{step(rule)}s",
                    "rules": [
                        _rule(rule, level, _query(rule, key, condition, escalated))
                        for level, escalated in levels(rule)
                        for key, condition in groups(rule, rule.condition)
                    ],
                }
                for rule in rules
            ]
        },
        "Each look counts the window before it; the next comes a twentieth of the window later. A replay by vmalert",
        "itself would cut time into pieces instead: it does not know windows that a query names.",
    )


def _rule(rule: Rule, level: Level, query: str) -> dict[str, Any]:
    return {
        "alert": rule.name,
        "expr": Query(query),
        "labels": {"severity": level},
        "annotations": notes(rule),
    }


def _query(rule: Rule, key: Key, condition: Condition, escalated: bool) -> str:
    by = ", ".join(map(_quoted, key.attributes))
    counts, made, spare = _counts(rule)
    bounds = [f"found:{rule.comparison}{rule.threshold}"]
    window = rule.window or SINGLE_WINDOW
    steps = [_found(condition, window)]
    if rule.then is not None:
        # The time of the last of those that come after, beside each of those that come before.
        after = all_of([rule.then, *([key.condition] if key.condition else [])])
        last = f"{_found(after, window)} | math _time as moment | stats by ({by}) max(moment) as after"
        steps += [f"join by ({by}) (\n  {last}\n) inner", "math _time as moment", "filter moment:lt_field(after)"]
    if escalated and rule.escalation:
        more = rule.escalation
        counts.append(f"count_uniq({_quoted(more.field)}) as others")
        bounds.append(f"others:{more.comparison}{more.threshold}")
        spare.append("others")
    steps += [f"stats by ({by}) {', '.join(counts)}", *made, f"filter {' '.join(bounds)}"]
    steps += [f"delete {', '.join(spare)}"] if spare else []
    return "\n| ".join(steps)


def _counts(rule: Rule) -> tuple[list[str], list[str], list[str]]:
    """What is counted, what is made of it, and what is then no longer needed."""
    if rule.field:
        return [f"count_uniq({_quoted(rule.field)}) as found"], [], []
    record = _quoted(semconv.RECORD_ID)
    # An id is counted once however often it came; what has none is nothing that could have come before.
    counts = [f"count_uniq({record}) as named", f"count() if (!{record}:*) as unnamed"]
    return counts, ["math named + unnamed as found"], ["named", "unnamed"]


def _found(condition: Condition, window: int) -> str:
    """The events of a window that count."""
    if LIFETIME not in fields_of(condition):
        return f"_time:{window}s {' '.join(_LOGSQL.conjuncts(condition))}"
    issued = f"{_quoted(semconv.IAT)} default (_time / 1000000000)"
    return (
        f"_time:{window}s {_quoted(semconv.EXP)}:*\n"
        f"| math {_quoted(semconv.EXP)} - ({issued}) as {_quoted(LIFETIME)}\n"
        f"| filter {' '.join(_LOGSQL.conjuncts(condition))}"
    )


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
