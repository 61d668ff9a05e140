"""Alerts of every engine: as the rules have them today, with nothing of a rule left out."""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import yaml

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.review.model import And, Compare, Condition, Equals, Not, Or, Rule
from opentelemetry.instrumentation.pyjwt.review.rules import load
from tools.alerts import duckdb, elasticsearch, loki, prometheus, splunk, victorialogs
from tools.alerts.__main__ import ALERTS, FILES
from tools.alerts.common import SEARCH_EVERY

RULES = load(ALERTS / "rules")
WINDOWED = [rule for rule in RULES if rule.window]


def queries_of_groups(text: str) -> dict[str, list[str]]:
    rules = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    return {rule["alert"]: [one["expr"] for one in rules if one["alert"] == rule["alert"]] for rule in rules}


def queries_of_splunk(text: str) -> dict[str, list[str]]:
    return {name.removeprefix("jwt-audit "): [stanza["search"]] for name, stanza in stanzas(text).items()}


def queries_of_elasticsearch(text: str) -> dict[str, list[str]]:
    rules = [json.loads(line) for line in text.splitlines()]
    return {rule["name"]: [one["query"] for one in rules if one["name"] == rule["name"]] for rule in rules}


def queries_of_duckdb(text: str) -> dict[str, list[str]]:
    views = [view.split('" AS\n') for view in text.split('CREATE VIEW "')[1:]]
    return {name: [query] for name, query in views}


def stanzas(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(comment_prefixes=("#",), delimiters=("=",))
    parser.read_string(text.replace("\\\n|", "\n  |"))
    return {name: dict(parser[name]) for name in parser.sections()}


Engine = tuple[Callable[[Sequence[Rule]], str], Callable[[str], dict[str, list[str]]], Callable[[str], str]]
SAME: Callable[[str], str] = str
ENGINES: dict[str, Engine] = {
    "splunk": (splunk.generate, queries_of_splunk, SAME),
    "elasticsearch": (elasticsearch.generate, queries_of_elasticsearch, SAME),
    "loki": (loki.generate, queries_of_groups, lambda name: name.replace(".", "_")),
    "duckdb": (duckdb.generate, queries_of_duckdb, SAME),
    "victorialogs": (victorialogs.generate, queries_of_groups, SAME),
}


def values_of(condition: Condition | None) -> set[str]:
    match condition:
        case And(parts) | Or(parts):
            return set().union(*map(values_of, parts))
        case Not(part):
            return values_of(part)
        case Equals(_, values):
            return {str(one).lower() if isinstance(one, bool) else str(one) for one in values}
        case Compare(_, operator, value):
            return {operator, str(value)}
    return set()


def test_all_files_are_compared() -> None:
    made = {str(path.relative_to(ALERTS)) for path in ALERTS.glob("*/*") if path.parent.name != "rules"}
    assert made == FILES.keys()


@pytest.mark.parametrize("name", FILES)
def test_what_is_committed_is_what_the_rules_make(name: str) -> None:
    assert (ALERTS / name).read_text(encoding="utf-8") == FILES[name](RULES), "make alerts"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_engine_asks_for_all_of_a_rule(engine: str, rule: Rule) -> None:
    generate, read, named = ENGINES[engine]
    # Numbers that nothing else can have put there.
    changed = replace(rule, threshold=1234, window=13 * 20 * 60 if rule.window else 0)
    text = generate([changed])
    queries = read(text)[rule.name]
    levels = {rule.level, rule.escalation.level if rule.escalation else rule.level}
    assert all(level in text for level in levels)
    whole = "\n".join(queries).replace("\\\\.", ".")
    for key in rule.keys:
        assert all(named(one) in whole for one in key.attributes)
    for value in values_of(rule.condition) | values_of(rule.then):
        assert value in whole
    if rule.field:
        assert named(rule.field) in whole
    if rule.window:
        assert all("1234" in query for query in queries)
        # In Elasticsearch a window is as many steps as begin in it.
        assert all(("780000" if engine == "elasticsearch" else "15600s") in query for query in queries)
    if rule.escalation:
        assert named(rule.escalation.field) in whole


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_more_than_is_not_at_least(engine: str, rule: Rule) -> None:
    if not rule.window:
        return
    generate, _, _ = ENGINES[engine]
    made = [generate([replace(rule, comparison=one)]) for one in (">", ">=")]
    assert made[0] != made[1]


@pytest.mark.parametrize("engine", ENGINES)
def test_no_engine_cuts_time_into_pieces(engine: str) -> None:
    text = ENGINES[engine][0](RULES)
    assert not re.search(r"\b(bin|bucket|date_trunc|timechart|tumbl\w*)\b|span=|by \(_time:", text, re.IGNORECASE)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_scheduled_searches_read_whole_windows(rule: Rule) -> None:
    """The window before the oldest event that the search before has not seen."""
    stanza = stanzas(splunk.generate([rule]))[f"jwt-audit {rule.name}"]
    assert stanza["cron_schedule"] == f"*/{SEARCH_EVERY // 60} * * * *"
    assert -int(stanza["dispatch.earliest_time"].removesuffix("s")) >= rule.window + SEARCH_EVERY
    for line in elasticsearch.generate([rule]).splitlines():
        made = json.loads(line)
        assert int(made["from"].removeprefix("now-").removesuffix("s")) >= rule.window + int(made["interval"][:-1])


@pytest.mark.parametrize("generate", [loki.generate, victorialogs.generate])
def test_looks_overlap(generate: Callable[[Sequence[Rule]], str]) -> None:
    groups: dict[str, Any] = {group["name"]: group for group in yaml.safe_load(generate(RULES))["groups"]}
    for rule in RULES:
        assert int(groups[rule.name]["interval"].removesuffix("s")) <= max(rule.window // 20, 1) or not rule.window


@pytest.mark.parametrize("generate", [loki.generate, victorialogs.generate])
def test_what_escalates_is_a_second_alert_of_the_same_name(generate: Callable[[Sequence[Rule]], str]) -> None:
    (group,) = [one for one in yaml.safe_load(generate(RULES))["groups"] if one["name"] == "token-multi-region"]
    assert {(one["alert"], one["labels"]["severity"]) for one in group["rules"]} == {
        ("token-multi-region", "medium"),
        ("token-multi-region", "high"),
    }


def test_metrics_are_asked_only_what_they_know() -> None:
    queries = queries_of_groups(prometheus.generate(RULES))
    assert queries.keys() == {"algorithm-confusion"}
    assert "invalid_algorithm" in queries["algorithm-confusion"][0]


def test_names_in_prometheus_are_those_of_the_metric() -> None:
    text = prometheus.generate(RULES)
    assert f"{semconv.VALIDATION_DURATION.replace('.', '_')}_seconds_count" in text
    assert semconv.REASON.replace(".", "_") in text


def test_elasticsearch_knows_every_field_before_it_has_come() -> None:
    properties = json.loads(elasticsearch.mappings(RULES))["template"]["mappings"]["properties"]
    types = {name.removeprefix("attributes."): one["type"] for name, one in properties.items()}
    queries = " ".join(one for made in queries_of_elasticsearch(elasticsearch.generate(RULES)).values() for one in made)
    asked = semconv.ATTRIBUTES & set(re.findall(r"[a-z_]+(?:\.[a-z_]+)+", queries))
    assert {semconv.JTI, semconv.FINGERPRINT, semconv.COUNTRY} <= asked <= types.keys()
    assert (types[semconv.VERIFIED], types[semconv.HTTP_STATUS], types[semconv.IAT]) == ("boolean", "long", "long")
    assert {types[name] for name in (semconv.JTI, semconv.REASON, semconv.CHECKS, semconv.EVENT_NAME)} == {"keyword"}
