"""The same rules without DuckDB: asked by plain Python, and by pySigma's backend for SQLite.

Started by review.py; the second needs no more than pySigma and its backend.
"""

from __future__ import annotations

import json
import resource
import sqlite3
import sys
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

RULES = Path(__file__).parents[1] / "collector-config" / "alerts" / "rules"
PATIENCE = 120  # seconds for one query

Event = dict[str, Any]


def events_in(paths: list[Path]) -> Iterator[Event]:
    for path in paths:
        with open(path, "rb") as lines:
            for line in lines:
                for resource_logs in json.loads(line)["resourceLogs"]:
                    for scope in resource_logs["scopeLogs"]:
                        for record in scope["logRecords"]:
                            event = {one["key"]: _value(one["value"]) for one in record["attributes"]}
                            event["event.name"], event["time"] = record["eventName"], int(record["timeUnixNano"])
                            yield event


def _value(value: dict[str, Any]) -> Any:
    ((kind, content),) = value.items()
    if kind == "intValue":
        return int(content)
    return [_value(one) for one in content["values"]] if kind == "arrayValue" else content


# --- Plain Python -------------------------------------------------------------------------------------------


def python(paths: list[Path]) -> dict[str, float]:
    from opentelemetry.instrumentation.pyjwt.review.rules import load

    started = time.perf_counter()
    events = list({event["audit.record.id"]: event for event in events_in(paths)}.values())
    events.sort(key=lambda event: event["time"])
    loaded = time.perf_counter()
    found = sum(_asked(rule, events) for rule in load())
    done = time.perf_counter()
    return {"load": loaded - started, "rules": done - loaded, "all": done - started, "found": found}


def _asked(rule: Any, events: list[Event]) -> int:
    """How many keys have a finding."""
    windows: dict[Any, deque[Event]] = defaultdict(deque)
    counted: dict[Any, Counter[Any]] = defaultdict(Counter)
    found = set()
    for event in events:
        before = _holds(rule.condition, event)
        after = rule.then is not None and _holds(rule.then, event)
        key = _key(rule, event) if before or after else None
        if key is None:
            continue
        if not rule.window:
            found.add(key)
            continue
        window, values = windows[key], counted[key]
        if before:
            window.append(event)
            values[event.get(rule.field)] += 1
        while window and window[0]["time"] < event["time"] - rule.window * 10**9:
            old = window.popleft().get(rule.field)
            values[old] -= 1
            if not values[old]:
                del values[old]
        number = len(values) - (None in values) if rule.field else len(window)
        if number >= rule.least and (after or rule.then is None):
            found.add(key)
    return len(found)


def _key(rule: Any, event: Event) -> Any:
    for key in rule.keys:
        if key.condition is None or _holds(key.condition, event):
            return tuple(event.get(one) for one in key.attributes)
    return None


def _holds(condition: Any, event: Event) -> bool:
    match type(condition).__name__:
        case "And":
            return all(_holds(one, event) for one in condition.parts)
        case "Or":
            return any(_holds(one, event) for one in condition.parts)
        case "Not":
            return not _holds(condition.part, event)
        case "Compare":
            value = event.get(condition.field)
            if condition.field == "jwt.lifetime" and "jwt.exp" in event:
                value = event["jwt.exp"] - event.get("jwt.iat", event["time"] // 10**9)
            bounds = {"<": int.__lt__, "<=": int.__le__, ">": int.__gt__, ">=": int.__ge__}
            return value is not None and bounds[condition.operator](value, condition.value)
        case "Exists":
            return condition.field in event
    value = event.get(condition.field)
    return any(one in condition.values for one in value) if isinstance(value, list) else value in condition.values


# --- pySigma, SQLite ----------------------------------------------------------------------------------------


def sqlite(paths: list[Path]) -> dict[str, float]:
    from sigma.backends.sqlite import sqliteBackend
    from sigma.collection import SigmaCollection

    queries = [
        query
        for file in sorted(RULES.glob("*.yml"))
        for query in sqliteBackend().convert(SigmaCollection.from_yaml(file.read_text()))
    ]
    started = time.perf_counter()
    connection = sqlite3.connect(":memory:")
    names: list[str] = []
    for event in events_in(paths):
        if not set(event) <= set(names):
            fresh = [one for one in event if one not in names]
            if not names:
                connection.execute(f"CREATE TABLE logs (timestamp, {', '.join(f'`{one}`' for one in fresh)})")
            else:
                for one in fresh:
                    connection.execute(f"ALTER TABLE logs ADD COLUMN `{one}`")
            names += fresh
        at = datetime.fromtimestamp(event["time"] / 1e9, timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")
        values = [json.dumps(one) if isinstance(one, list) else one for one in map(event.get, names)]
        places = ", ".join("?" * len(names))
        columns = ", ".join(f"`{one}`" for one in names)
        connection.execute(f"INSERT INTO logs (timestamp, {columns}) VALUES (?, {places})", [at, *values])
    loaded = time.perf_counter()
    found = 0
    for query in queries:
        deadline = time.perf_counter() + PATIENCE
        connection.set_progress_handler(lambda until=deadline: time.perf_counter() > until, 10_000)  # type: ignore[misc]
        try:
            found += len(connection.execute(query).fetchall())
        except sqlite3.OperationalError as error:
            print(f"  SQLite, after {time.perf_counter() - deadline + PATIENCE:.0f} s: {error}", file=sys.stderr)
    done = time.perf_counter()
    return {"load": loaded - started, "rules": done - loaded, "all": done - started, "found": found}


if __name__ == "__main__":
    told = {"python": python, "sqlite": sqlite}[sys.argv[2]]([Path(one) for one in sys.argv[3:]])
    print(json.dumps({**told, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
