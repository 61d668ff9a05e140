"""Every planted case is found, and no decoy is, in whatever files the events are."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt.review.columns import attributes_of
from opentelemetry.instrumentation.pyjwt.review.compact import compact
from opentelemetry.instrumentation.pyjwt.review.database import database
from opentelemetry.instrumentation.pyjwt.review.findings import Finding, review
from opentelemetry.instrumentation.pyjwt.review.model import LEVELS
from opentelemetry.instrumentation.pyjwt.review.rules import load
from opentelemetry.instrumentation.pyjwt.review.sources import find
from tests.review.planted import EVENTS, EXPECTED
from tests.review.planting import Expected
from tests.review.tally import Tally, case_of
from tests.review.written import write
from tools.alerts.__main__ import ALERTS

UNIQUE = len(EVENTS) - 18  # of six rules with windows, one record is delivered four times


def reviewed(*paths: Path, **options: Any) -> tuple[list[Finding], int, int]:
    with review(find(paths), load(), **options) as found:
        return list(found), found.events, found.skipped


def counted(found: list[Any]) -> Counter[tuple[Any, ...]]:
    return Counter(
        (
            one.rule if isinstance(one.rule, str) else one.rule.name,
            one.level,
            tuple(sorted(one.key.items())),
            one.count,
            one.first,
            one.last,
        )
        for one in found
    )


@pytest.fixture
def shuffled() -> list[Any]:
    """Files of several processes are in no order together."""
    return random.Random(7).sample(EVENTS, len(EVENTS))


@pytest.mark.parametrize("form", ["journal", "copy", "bodies", "halves", "archive"])
def test_all_that_is_planted_and_nothing_else(form: str, shuffled: list[Any], tmp_path: Path) -> None:
    folder = tmp_path / "trail"
    if form == "journal":
        write(folder / f"{'a' * 32}.000000000001.jsonl", shuffled)
    elif form == "copy":
        write(folder / "copy.json.gz", shuffled, named="attribute", a_line=100)
    elif form == "bodies":
        write(folder / "copy.ndjson", shuffled, named="body", a_line=7)
    elif form == "halves":
        write(folder / "deep" / "one.json", shuffled[:4000])
        write(folder / "two.json.gz", shuffled[4000:], a_line=500)
    else:
        made = write(tmp_path / "copy.json", shuffled)
        compact(find([made]), folder, attributes_of(load()), lambda size: None)
    found, events, skipped = reviewed(folder)
    assert counted(found) == counted(EXPECTED)
    assert (events, skipped) == (UNIQUE, 0)


def test_the_views_for_duckdb_find_the_same(tally: Callable[[str], Tally], tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    compact(find([write(tmp_path / "copy.json", EVENTS)]), archive, attributes_of(load()), lambda size: None)
    text = (ALERTS / "duckdb" / "rules.sql").read_text(encoding="utf-8")
    events = " ".join(line.removeprefix("--") for line in text.split("them:\n--\n")[1].split("--\n--")[0].splitlines())
    with database() as opened:
        opened.rows(events.replace("archive/", f"{archive}/").partition(";")[0])
        opened.connection.execute(text)
        found = [
            Expected(rule.name, LEVELS[level], key, *more)
            for rule in load()
            for level, key, *more in opened.rows(f'SELECT level, key, count, first, last FROM "{rule.name}"')
        ]
    tally("DuckDB").check(*([case_of(*one[:3]) for one in cases] for cases in (found, EXPECTED)))
    assert counted(found) == counted(EXPECTED)


def test_the_worst_comes_first(tmp_path: Path) -> None:
    found, _, _ = reviewed(write(tmp_path / "copy.json", EVENTS))
    assert {one.level for one in found} == {"critical", "high", "medium", "low"}
    order = [(-LEVELS.index(one.level), -one.count, one.first) for one in found]
    assert order == sorted(order)


def test_samples_are_records_of_the_key(tmp_path: Path) -> None:
    found, _, _ = reviewed(write(tmp_path / "copy.json", EVENTS))
    by_id = {event.attributes.get("audit.record.id"): event for event in EVENTS}
    for one in found:
        assert len(one.sample) <= min(5, one.count + (one.rule.then is not None))
        assert bool(one.sample) == ("no-record-id" not in str(one.key))
        for event in map(by_id.__getitem__, one.sample):
            assert {name: event.attributes.get(name) for name in one.key} == one.key
            assert one.first <= event.time_unix_nano <= one.last
    (several,) = [one for one in found if "agents-together" in str(one.key)]
    assert {by_id[one].attributes["geo.country.iso_code"] for one in several.sample} == {"DE", "FR"}
    (guessed,) = [one for one in found if one.key == {"client.address": "guess.more"}]
    assert "jwt.validated" in {by_id[one].name for one in guessed.sample}, "what came of it is among them"


def test_rules_of_the_design_are_all_planted() -> None:
    assert {one.rule for one in EXPECTED} == {rule.name for rule in load()}
