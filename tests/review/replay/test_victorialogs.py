"""The alerts for vmalert, as they are committed, in VictoriaLogs: all that is planted is found, and no decoy."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.review.findings import review
from opentelemetry.instrumentation.pyjwt.review.model import LEVELS
from opentelemetry.instrumentation.pyjwt.review.rules import load
from opentelemetry.instrumentation.pyjwt.review.sources import find
from tests.beside import beside
from tests.review.planted import EVENTS, EXPECTED
from tests.review.planting import START, Event
from tests.review.replay.victoria import VictoriaLogs, victorialogs, vmalert
from tests.review.tally import Case, Tally, case_of
from tests.review.written import write
from tools.alerts.__main__ import ALERTS
from tools.alerts.common import SINGLE_WINDOW

SECOND = 10**9
ALERT_FILE = ALERTS / "victorialogs" / "rules.yaml"
GROUPS: dict[str, dict[str, Any]] = {group["name"]: group for group in yaml.safe_load(ALERT_FILE.read_text())["groups"]}
RULES = {rule.name: rule for rule in load()}
#: Here an empty field is an absent one, so that these decoys cannot be told from what is planted.
SEEN = [
    event
    for event in EVENTS
    if "no-issuer" not in f"{event.attributes.get(semconv.JTI)}{event.attributes.get(semconv.SUB)}"
]
#: What vmalert, and the alert itself, put beside the key.
OWN_LABELS = {"alertname", "alertgroup", "stats_result", "severity"}
#: Seconds: the longest time between two looks is a divisor of it.
CYCLE = 180


@pytest.fixture(scope="module")
def programs() -> Path:
    """What `make victorialogs` builds, or has built."""
    return beside("victorialogs")


@pytest.fixture
def logs(programs: Path, tmp_path: Path) -> Iterator[VictoriaLogs]:
    with victorialogs(programs, tmp_path) as running:
        yield running


def known(rule: str, level: str, key: dict[str, str | None]) -> Case:
    return case_of(rule, level, {name: value for name, value in key.items() if value})


def worst(found: Iterable[Case]) -> set[Case]:
    """An alert that escalates fires beside the one that it escalates from."""
    levels: dict[tuple[Any, ...], str] = {}
    for rule, level, key in found:
        levels[rule, key] = max(level, levels.get((rule, key), level), key=LEVELS.index)
    return {(rule, level, key) for (rule, key), level in levels.items()}


def moments(interval: int, window: int, shift: float) -> Iterator[float]:
    """Whenever an alert looks, for as long as anything is in its window."""
    times = sorted({event.time_unix_nano / SECOND for event in SEEN})
    for number in range(int(times[-1] + window - START) // interval + 1):
        moment = START + number * interval + shift
        place = bisect_left(times, moment - window)
        if place < len(times) and times[place] <= moment:
            yield moment


@pytest.mark.parametrize("phase", [0, 0.4], ids=["even", "odd"])
def test_looks_find_what_is_planted(phase: float, logs: VictoriaLogs, tally: Callable[[str], Tally]) -> None:
    logs.take(SEEN)
    found: set[Case] = set()
    lasting = {}
    for name, group in GROUPS.items():
        interval = int(group["interval"].removesuffix("s"))
        window = RULES[name].window
        lasting[name] = (window - interval) * SECOND if window else SINGLE_WINDOW * SECOND
        for alert in group["rules"]:
            level = alert["labels"]["severity"]
            for moment in moments(interval, window or SINGLE_WINDOW, phase * interval):
                for labels, _ in logs.look(alert["expr"], moment):
                    assert labels.pop("__name__") == "found"
                    found.add(known(name, level, labels))
    # Between two looks, a burst that lasts nearly as long as the window may be gone.
    sure, lucky = [], []
    for one in EXPECTED:
        (sure if one.last - one.first <= lasting[one.rule] else lucky).append(known(*one[:3]))
    tally("VictoriaLogs").check(worst(found), sure, lucky)


def shortly_before(now: float) -> list[Event]:
    """What is planted first, moved to before a moment at which every alert would look."""
    shift = int(now) // CYCLE * CYCLE - 21 - START
    moved = []
    for at, name, attributes in SEEN:
        if at <= (START + 20) * SECOND:
            dated = {one: attributes[one] + shift for one in (semconv.IAT, semconv.EXP) if one in attributes}
            moved.append(Event(at + shift * SECOND, name, attributes | dated))
    return moved


def test_vmalert_fires_for_what_a_review_finds(
    programs: Path, logs: VictoriaLogs, tally: Callable[[str], Tally], tmp_path: Path
) -> None:
    # It looks at multiples of the interval, up to a cycle after these events: after a window of a minute, that is.
    late = {name for name, rule in RULES.items() if 0 < rule.window < 2 * CYCLE}
    events = shortly_before(time.time())
    logs.take(events)
    with review(find([write(tmp_path / "copy.json", events)]), load()) as told:
        planted = {known(one.rule.name, one.level, dict(one.key)) for one in told if one.rule.name not in late}
    with vmalert(programs, tmp_path, logs, ALERT_FILE) as running:
        alerts = running.alerts()
    found = set()
    for alert in alerts:
        labels = {name: value for name, value in alert["labels"].items() if name not in OWN_LABELS}
        found.add(known(alert["name"], alert["labels"]["severity"], labels))
    assert {one[0] for one in planted} == GROUPS.keys() - late - {"scope-gap"}  # which is planted later
    tally("vmalert, live").check({one for one in worst(found) if one[0] not in late}, planted)
