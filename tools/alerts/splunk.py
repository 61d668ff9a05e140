"""Splunk: scheduled searches, each of which reads one window and the time since the last search, and slides over it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.review.conditions import any_of, fields_of
from opentelemetry.instrumentation.pyjwt.review.model import (
    LIFETIME,
    LISTS,
    And,
    Compare,
    Condition,
    Equals,
    Exists,
    Key,
    Rule,
    Scalar,
    StartsWith,
)
from opentelemetry.instrumentation.pyjwt.review.plan import cases
from tools.alerts.common import NOTE, QUIET, SEARCH_EVERY, Language, attributes_of, lines, look_back

_SEVERITIES: Final = {"informational": 2, "low": 2, "medium": 3, "high": 4, "critical": 5}
_HEAD: Final = (
    f"# {NOTE}",
    "#",
    "# Attributes are fields of their own names, as the Collector's splunk_hec exporter sends them; event.name is the",
    "# name of the event. Where they are searched is said by a macro, jwt_audit, which is yours to define:",
    "#",
    "#   [jwt_audit]",
    "#   definition = index=main sourcetype=pyjwt",
    "",
)


class _Eval(Language):
    """Expressions of eval and where. A comparison with what is absent is null, which ``if`` takes for false."""

    def equals(self, test: Equals) -> str:
        field = f"'{test.field}'"
        if test.field in LISTS:
            pattern = "|".join(map(re.escape, map(str, test.values)))
            return f"isnotnull(mvfind({field},{_quoted(f'^({pattern})$')}))"
        words = [_word(one) for one in test.values if isinstance(one, (str, bool))]
        tests = [f"{_number(test.field)}={one}" for one in test.values if not isinstance(one, (str, bool))]
        if len(words) == 1:
            tests.append(f"{field}={words[0]}")
        elif words:
            tests.append(f"in({field},{','.join(words)})")
        return tests[0] if len(tests) == 1 else f"({' OR '.join(tests)})"

    def compare(self, test: Compare) -> str:
        return f"{_number(test.field)}{test.operator}{test.value}"

    def starts_with(self, test: StartsWith) -> str:
        tests = [f"substr('{test.field}',1,{len(one)})={_quoted(one)}" for one in test.prefixes]
        return tests[0] if len(tests) == 1 else f"({' OR '.join(tests)})"

    def exists(self, field: str) -> str:
        return f"isnotnull('{field}')"

    def negated(self, part: Condition) -> str:
        return f"isnull('{part.field}')" if isinstance(part, Exists) else f"if({self.written(part)},0,1)=1"


_EVAL: Final = _Eval()


def generate(rules: Sequence[Rule]) -> str:
    return lines(_HEAD) + "\n".join(map(_stanza, rules))


def _stanza(rule: Rule) -> str:
    keys = [_column(one) for one in attributes_of(rule.keys)]
    settings = {
        "description": f"{rule.title}. {rule.description} What to do: {rule.response}",
        "search": " \\\n".join(_search(rule)),
        "dispatch.earliest_time": f"-{look_back(rule)}s",
        "dispatch.latest_time": "now",
        "enableSched": "1",
        "cron_schedule": f"*/{SEARCH_EVERY // 60} * * * *",
        "counttype": "number of events",
        "relation": "greater than",
        "quantity": "0",
        "alert.track": "1",
        "alert.severity": str(_SEVERITIES[rule.level]),
        "alert.digest_mode": "0",
        "alert.suppress": "1",
        "alert.suppress.fields": ",".join(["level", *keys]),
        "alert.suppress.period": f"{max(look_back(rule), QUIET)}s",
    }
    return f"[jwt-audit {rule.name}]\n" + lines([f"{name} = {value}" for name, value in settings.items()])


def _search(rule: Rule) -> list[str]:
    """The pipeline: events that count, their keys, a window that slides over them, and what is too many in it."""
    keys = [key for key, _ in cases(rule)]
    attributes = attributes_of(keys)
    by = " ".join(map(_column, attributes))
    steps = [
        f'`jwt_audit` "{semconv.EVENT_NAME}" IN ({", ".join(_events(rule))})',
        f'| dedup "{semconv.RECORD_ID}" keepempty=true',
    ]
    if LIFETIME in fields_of(rule.condition):
        steps.append(f'| eval "{LIFETIME}"={_number(semconv.EXP)}-coalesce({_number(semconv.IAT)},_time)')
    wanted = rule.condition if rule.then is None else any_of((rule.condition, rule.then))
    choices = [f"{_EVAL.written(own) if own else 'true()'},{place}" for place, (_, own) in enumerate(cases(rule), 1)]
    steps += [
        f"| where {' AND '.join(_EVAL.conjuncts(wanted))}",
        f"| eval group=case({','.join(choices)})",
        "| where isnotnull(group)",
        f"| eval {', '.join(_key(one, keys) for one in attributes)}",
    ]
    worst = ""
    if rule.window:
        counts, bound = f"sum(value) AS found min(_time) AS since BY {by}", f"found{rule.comparison}{rule.threshold}"
        values = {"value": "1"}
        if rule.then is not None:
            values["value"] = f"if({_EVAL.written(rule.condition)},1,0)"
            bound += f" AND {_EVAL.written(rule.then)}"
        elif rule.field:
            values["value"] = f"'{rule.field}'"
            counts = counts.replace("sum(", "dc(")
        if rule.escalation:
            values["other"], counts = f"'{rule.escalation.field}'", f"dc(other) AS others {counts}"
            worst = " max(others) AS others"
        steps += [
            f"| eval {', '.join(f'{name}={value}' for name, value in values.items())}",
            "| sort 0 _time",
            f"| streamstats time_window={rule.window}s {counts}",
            f"| where {bound}",
        ]
    else:
        steps.append("| eval found=1, since=_time")
    level = f'"{rule.level}"'
    if escalation := rule.escalation:
        level = f'if(others{escalation.comparison}{escalation.threshold},"{escalation.level}",{level})'
    total = "max(found)" if rule.window else "sum(found)"
    records = f'values("{semconv.RECORD_ID}") AS records'
    return [
        *steps,
        f"| stats {total} AS count min(since) AS first max(_time) AS last {records}{worst} BY {by}",
        f'| eval rule="{rule.name}", level={level}',
    ]


def _events(rule: Rule) -> list[str]:
    """Names of the events that a rule can be about, quoted: the index finds them fast, in upper case too."""
    named: list[Scalar] = []
    for condition in (rule.condition, *([rule.then] if rule.then else [])):
        parts = condition.parts if isinstance(condition, And) else (condition,)
        here = [one.values for one in parts if isinstance(one, Equals) and one.field == semconv.EVENT_NAME]
        named += here[0] if here else semconv.EVENTS
    return [_word(one) for one in dict.fromkeys(named)]


def _column(attribute: str) -> str:
    return f"key_{re.sub(r'[^A-Za-z0-9]', '_', attribute)}"


def _key(attribute: str, keys: Sequence[Key]) -> str:
    """A column of the key: ``stats`` leaves out rows that have none, so that what is absent must be told."""
    places = [str(place) for place, key in enumerate(keys, 1) if attribute in key.attributes]
    value = f"""coalesce('{attribute}',"(absent)")""" if attribute == semconv.ISS else f"'{attribute}'"
    if len(places) == len(keys):
        return f"{_column(attribute)}={value}"
    return f'{_column(attribute)}=if(in(group,{",".join(places)}),{value},"-")'


def _number(field: str) -> str:
    return f"tonumber('{field}')"


def _word(value: Scalar) -> str:
    return _quoted(str(value).lower() if isinstance(value, bool) else str(value))


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
