"""Elasticsearch: detection rules in ES|QL, as Kibana imports them (one JSON object a line).

ES|QL has no window that slides over events. So each event is counted in every one of the windows that it falls in: a
window begins every twentieth of its length, and all that a search has read are looked at. A search reads one window
more than the time since the last search; what two searches find is told of once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.review.conditions import any_of, fields_of, tests_of
from opentelemetry.instrumentation.pyjwt.review.model import (
    LIFETIME,
    LISTS,
    Compare,
    Condition,
    Equals,
    Exists,
    Key,
    Level,
    Rule,
    Scalar,
    StartsWith,
)
from opentelemetry.instrumentation.pyjwt.review.plan import cases
from tools.alerts.common import LOOKS, QUIET, SEARCH_EVERY, Language, attributes_of, levels, look_back

_INDEX: Final = "logs-*.otel-*"
_RISK: Final = {"informational": 1, "low": 21, "medium": 47, "high": 73, "critical": 99}
_TACTICS: Final = {
    "initial-access": ("TA0001", "Initial Access"),
    "persistence": ("TA0003", "Persistence"),
    "privilege-escalation": ("TA0004", "Privilege Escalation"),
    "credential-access": ("TA0006", "Credential Access"),
    "discovery": ("TA0007", "Discovery"),
    "lateral-movement": ("TA0008", "Lateral Movement"),
    "collection": ("TA0009", "Collection"),
}
_MILLISECONDS: Final = "TO_LONG(TO_DATETIME(@timestamp))"
_PRECISION: Final = 40000  # up to so many, different values are counted nearly exactly; the most there is


class _Esql(Language):
    """A comparison with what is absent is null, which ``WHERE`` takes for false and ``NOT`` leaves as it is."""

    def equals(self, test: Equals) -> str:
        if test.field in LISTS:
            joined = f'CONCAT("\\n", MV_CONCAT({test.field}, "\\n"), "\\n")'
            tests = [f"LOCATE({joined}, {_quoted(chr(10) + str(one) + chr(10))}) > 0" for one in test.values]
            return tests[0] if len(tests) == 1 else f"({' OR '.join(tests)})"
        words = [_word(one) for one in test.values]
        return f"{test.field} == {words[0]}" if len(words) == 1 else f"{test.field} IN ({', '.join(words)})"

    def compare(self, test: Compare) -> str:
        return f"{test.field} {test.operator} {test.value}"

    def starts_with(self, test: StartsWith) -> str:
        tests = [f"STARTS_WITH({test.field}, {_quoted(one)})" for one in test.prefixes]
        return tests[0] if len(tests) == 1 else f"({' OR '.join(tests)})"

    def exists(self, field: str) -> str:
        return f"{field} IS NOT NULL"

    def negated(self, part: Condition) -> str:
        return f"{part.field} IS NULL" if isinstance(part, Exists) else f"NOT COALESCE({self.written(part)}, false)"


_ESQL: Final = _Esql()


def generate(rules: Sequence[Rule]) -> str:
    made = [_rule(rule, level, escalated) for rule in rules for level, escalated in levels(rule)]
    return "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in made)


def mappings(rules: Sequence[Rule]) -> str:
    """A component template with every field of the rules: ES|QL refuses a query for one that no record has had yet."""
    types = dict.fromkeys((semconv.EVENT_NAME, semconv.RECORD_ID), "keyword")
    for rule in rules:
        conditions = [rule.condition, *([rule.then] if rule.then else [])]
        conditions += [key.condition for key in rule.keys if key.condition]
        names = set().union(*map(fields_of, conditions), attributes_of(rule.keys))
        names |= {rule.field, rule.escalation.field if rule.escalation else ""} - {""}
        for name in names - {LIFETIME}:
            types.setdefault(name, "keyword")
        for test in (one for condition in conditions for one in tests_of(condition)):
            if isinstance(test, Compare):
                types[test.field] = "long"
            elif isinstance(test, Equals) and isinstance(test.values[0], bool):
                types[test.field] = "boolean"
        if LIFETIME in names:
            types |= dict.fromkeys((semconv.EXP, semconv.IAT), "long")
    types.pop(LIFETIME, None)
    properties = {
        f"attributes.{name}": {"type": kind} | ({"ignore_above": 1024} if kind == "keyword" else {})
        for name, kind in sorted(types.items())
    }
    return json.dumps({"template": {"mappings": {"properties": properties}}}, indent=2) + "\n"


def _rule(rule: Rule, level: Level, escalated: bool) -> dict[str, Any]:
    return {
        "rule_id": f"{rule.id}-{level}" if escalated else rule.id,
        "name": rule.name,
        "description": f"{rule.title}. {rule.description}",
        "note": rule.response,
        "severity": level,
        "risk_score": _RISK[level],
        "type": "esql",
        "language": "esql",
        "query": "\n".join(_query(rule, escalated)),
        "from": f"now-{look_back(rule)}s",
        "to": "now",
        "interval": f"{SEARCH_EVERY}s",
        "enabled": True,
        "version": 1,
        "max_signals": 100,
        "alert_suppression": {
            "group_by": ["group", *attributes_of(rule.keys)],
            "duration": {"value": max(look_back(rule), QUIET), "unit": "s"},
            "missing_fields_strategy": "suppress",
        },
        "references": list(rule.references),
        "false_positives": list(rule.false_positives),
        "tags": ["JWT", *rule.tags],
        "threat": _threats(rule.tags),
    }


def _query(rule: Rule, escalated: bool) -> list[str]:
    keys = [key for key, _ in cases(rule)]
    attributes = attributes_of(keys)
    steps = [f"FROM {_INDEX}"]
    if LIFETIME in fields_of(rule.condition):
        steps.append(f"| EVAL {LIFETIME} = {semconv.EXP} - COALESCE({semconv.IAT}, {_MILLISECONDS} / 1000)")
    wanted = rule.condition if rule.then is None else any_of((rule.condition, rule.then))
    choices = [f"{_ESQL.written(own) if own else 'true'}, {_name(key)}" for key, own in cases(rule)]
    steps += [
        f"| WHERE {' AND '.join(_ESQL.conjuncts(wanted))}",
        f"| EVAL group = CASE({', '.join(choices)}, null)",
        "| WHERE group IS NOT NULL",
        # What is no part of an event's key would split the group.
        *(f"| EVAL {one} = {_chosen(one, keys)}" for one in attributes if _partly(one, keys)),
    ]
    if rule.window:
        steps += [
            f"| EVAL step = {_MILLISECONDS} / {rule.window * 1000 // LOOKS}",
            f"| EVAL back = [{', '.join(map(str, range(LOOKS)))}]",
            "| MV_EXPAND back",
            "| EVAL window = step - back",
        ]
    by = ", ".join(["group", *attributes])
    windows = f"{by}, window" if rule.window else by
    steps.append(f"| STATS {', '.join(_counts(rule))} BY {windows}")
    steps += [f"| WHERE {one}" for one in _bounds(rule, escalated)]
    if rule.window:
        steps.append(f"| STATS count = MAX(count), first = MIN(first), last = MAX(last) BY {by}")
    steps.append(f'| EVAL rule = "{rule.name}", seconds = {rule.window}')
    return steps


def _counts(rule: Rule) -> list[str]:
    counted = rule.field or semconv.RECORD_ID
    counts = ["first = MIN(@timestamp)", "last = MAX(@timestamp)"]
    if rule.then is None:
        counts.insert(0, f"count = COUNT_DISTINCT({counted}, {_PRECISION})")
        if rule.escalation:
            counts.append(f"others = COUNT_DISTINCT({rule.escalation.field}, {_PRECISION})")
        return counts
    # Times as text, which sorts as they do; the id tells records of one moment apart.
    moment = "TO_STRING(TO_DATETIME(@timestamp))"
    before, after = _ESQL.written(rule.condition), _ESQL.written(rule.then)
    return [
        f"count = COUNT_DISTINCT({counted}, {_PRECISION}) WHERE {before}",
        f'before = VALUES(CONCAT({moment}, " ", {semconv.RECORD_ID})) WHERE {before}',
        f"after = MAX({moment}) WHERE {after}",
        *counts,
    ]


def _bounds(rule: Rule, escalated: bool) -> list[str]:
    bounds = [f"count {rule.comparison} {rule.threshold}"]
    if escalated and rule.escalation:
        bounds.append(f"others {rule.escalation.comparison} {rule.escalation.threshold}")
    if rule.then:
        bounds.append(f"MV_SLICE(MV_SORT(before), {rule.least - 1}) < after")
    return bounds


def _name(key: Key) -> str:
    return _quoted(" ".join(key.attributes))


def _partly(attribute: str, keys: Sequence[Key]) -> bool:
    return not all(attribute in key.attributes for key in keys)


def _chosen(attribute: str, keys: Sequence[Key]) -> str:
    named = [_name(key) for key in keys if attribute in key.attributes]
    return f"CASE(group IN ({', '.join(named)}), {attribute}, null)"


def _threats(tags: Sequence[str]) -> list[dict[str, Any]]:
    """MITRE ATT&CK, as Kibana has it: techniques under the tactic that stands before them among the tags."""
    threats: list[dict[str, Any]] = []
    for tag in (one.removeprefix("attack.") for one in tags if one.startswith("attack.")):
        if tag in _TACTICS:
            id_, name = _TACTICS[tag]
            threats.append({"framework": "MITRE ATT&CK", "tactic": _known("tactics", id_, name), "technique": []})
        elif threats and re.fullmatch(r"t\d{4}(\.\d{3})?", tag):
            whole, _, part = tag.upper().partition(".")
            technique = _known("techniques", whole, whole)
            if part:
                technique["subtechnique"] = [_known("techniques", f"{whole}.{part}", f"{whole}.{part}")]
            threats[-1]["technique"].append(technique)
    return threats


def _known(kind: str, id_: str, name: str) -> dict[str, Any]:
    return {"id": id_, "name": name, "reference": f"https://attack.mitre.org/{kind}/{id_.replace('.', '/')}/"}


def _word(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else _quoted(value) if isinstance(value, str) else str(value)


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
