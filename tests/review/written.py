"""Planted events as files, in the forms that there are of them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.journal.writing import line_of, value
from tests.review.planting import Event


def record_of(event: Event, named: str = "eventName") -> dict[str, Any]:
    """A log record; its event is named by the field, by the attribute, or by the body alone."""
    attributes = dict(event.attributes)
    if named == "attribute":
        attributes["event.name"] = event.name
    found: dict[str, Any] = {
        "timeUnixNano": str(event.time_unix_nano),
        "body": {"stringValue": "whatever" if named == "attribute" else f"{event.name}: why"},
        "attributes": [{"key": name, "value": value(one)} for name, one in attributes.items()],
    }
    if named == "eventName":
        found["eventName"] = event.name
    return found


def write(path: Path, events: Iterable[Event], *, named: str = "eventName", a_line: int = 1) -> Path:
    """OTLP JSON lines, with so many records each; compressed where the name ends in .gz."""
    records = [record_of(event, named) for event in events]
    lines = b"".join(line_of(*records[place : place + a_line]) for place in range(0, len(records), a_line))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)
    return path


def found_in(told: str) -> list[tuple[Any, ...]]:
    """Findings of the command's JSON, in a form that can be compared."""
    return [as_found(**one) for one in json.loads(told)["findings"]]


def as_found(
    rule: str, level: str, key: dict[str, Any], count: int, first: Any, last: Any, **_: Any
) -> tuple[Any, ...]:
    return rule, level, tuple(sorted(key.items(), key=str)), count, first, last


def sorted_by_text(found: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(found, key=str)
