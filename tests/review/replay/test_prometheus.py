"""The alerts for Prometheus, as they are committed, tried by promtool on what metrics tell of what is planted."""

from __future__ import annotations

import json
import shutil
import subprocess
from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from opentelemetry.instrumentation.pyjwt import semconv
from tests.review.planted import EVENTS
from tests.review.planting import START
from tests.review.tally import Tally, case_of
from tools.alerts.__main__ import ALERTS

FILE = ALERTS / "prometheus" / "rules.yaml"
((GROUP,),) = [yaml.safe_load(FILE.read_text())["groups"]]
COUNTER = "jwt_validation_duration_seconds_count"
MINUTE = 60 * 10**9
MINUTES = 30
WINDOW = 5
#: The reason that each alert is about.
ABOUT = {"algorithm-confusion": "invalid_algorithm"}


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool not found: it comes with Prometheus")
    return found


def counters(minutes_before: int, but: Sequence[str] = ()) -> dict[str, list[int | None]]:
    """Verifications by reason, a value a minute; before its first, a counter is not there, or at 0."""
    times: dict[str, list[int]] = {}
    for event in EVENTS:
        if event.name in (semconv.VALIDATED, semconv.REJECTED):
            times.setdefault(event.attributes.get(semconv.REASON, ""), []).append(event.time_unix_nano)
    series: dict[str, list[int | None]] = {}
    for reason, moments in times.items():
        if reason not in but:
            counts = [bisect_right(sorted(moments), START * 10**9 + number * MINUTE) for number in range(MINUTES)]
            series[reason] = [0] * minutes_before + [count if minutes_before else count or None for count in counts]
    return series


def trial(series: dict[str, list[int | None]], firing: dict[str, Sequence[int]]) -> dict[str, Any]:
    """What promtool is to see: at each minute, whether each alert fires."""
    length = max(map(len, series.values()))
    alerts = {rule["alert"]: rule for rule in GROUP["rules"]}
    return {
        "interval": "1m",
        "input_series": [
            {
                "series": f'{COUNTER}{{jwt_validation_reason="{reason}"}}' if reason else COUNTER,
                "values": " ".join("_" if value is None else str(value) for value in values),
            }
            for reason, values in series.items()
        ],
        "alert_rule_test": [
            {
                "eval_time": f"{minute}m",
                "alertname": name,
                "exp_alerts": [{"exp_labels": rule["labels"], "exp_annotations": rule["annotations"]}]
                if minute in firing[name]
                else [],
            }
            for name, rule in alerts.items()
            for minute in range(length)
        ],
    }


def tried(promtool: str, folder: Path, *trials: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    file = folder / "trials.yaml"
    # JSON is YAML.
    file.write_text(json.dumps({"rule_files": [str(FILE)], "evaluation_interval": "1m", "tests": trials}))
    return subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False)


def quiet() -> dict[str, Sequence[int]]:
    return {rule["alert"]: () for rule in GROUP["rules"]}


def test_they_fire_while_the_planted_is_in_their_window(
    promtool: str, tally: Callable[[str], Tally], tmp_path: Path
) -> None:
    assert quiet().keys() == ABOUT.keys()
    # All of it was in the first minute: seen at its end, and for five minutes from there.
    firing = {name: range(1, 1 + WINDOW) for name in ABOUT}
    born = trial(counters(0), firing)
    later = trial(counters(10), {name: range(11, 11 + WINDOW) for name in ABOUT})
    decoys = [trial(counters(before, [*ABOUT.values()]), quiet()) for before in (0, 10)]
    # A counter that comes with more than 0 has counted; five minutes later, if it stands still, it is nothing new.
    still = trial({reason: [7] * 20 for reason in ABOUT.values()}, {name: range(WINDOW) for name in ABOUT})
    twice = {name: (*range(WINDOW), *range(10, 10 + WINDOW)) for name in ABOUT}
    once_more, restarted = (
        trial({reason: [7] * 10 + [then] * 10 for reason in ABOUT.values()}, twice) for then in (8, 1)
    )
    done = tried(promtool, tmp_path, born, later, *decoys, still, once_more, restarted)
    assert done.returncode == 0, done.stdout + done.stderr
    told = [case_of(name, GROUP["rules"][0]["labels"]["severity"], {}) for name in ABOUT]
    tally("Prometheus").check(told, told)


def test_promtool_tells_an_alert_that_did_not_fire(promtool: str, tmp_path: Path) -> None:
    wrong = trial(counters(0), {name: range(MINUTES) for name in ABOUT})
    assert tried(promtool, tmp_path, wrong).returncode != 0
