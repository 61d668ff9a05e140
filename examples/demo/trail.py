"""The audit trail: the events, read back from the journal, and their words for people."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

Attributes = dict[str, Any]


class Event(NamedTuple):
    """One log record."""

    time: datetime
    body: str
    attributes: Attributes
    span_id: str | None

    @property
    def verdict(self) -> str:
        return self.body.removeprefix("jwt.").partition(":")[0]

    @property
    def action(self) -> str:
        return f"{self.attributes.get('http.request.method', '')} {self.attributes.get('http.route', '')}"

    @property
    def client(self) -> str:
        return str(self.attributes.get("client.address", ""))

    @property
    def token(self) -> str:
        """The token's id, short."""
        jti, fingerprint = self.attributes.get("jwt.jti"), self.attributes.get("jwt.fingerprint", "")
        return jti[:8] if jti else fingerprint[:7] and f"#{fingerprint[:7]}"


def read(journal: Path) -> list[Event]:
    """The events in a journal, in the order in which they happened."""
    records = [
        record
        for segment in journal.glob("*.jsonl")
        for line in segment.read_text().splitlines()
        for resource in json.loads(line)["resourceLogs"]
        for scope in resource["scopeLogs"]
        for record in scope["logRecords"]
        if record["eventName"] != "jwt.audit.checkpoint"
    ]
    return [
        Event(
            datetime.fromtimestamp(int(record["timeUnixNano"]) / 1e9),
            record["body"]["stringValue"],
            attributes_of(record),
            record.get("spanId"),
        )
        for record in sorted(records, key=lambda record: int(record["timeUnixNano"]))
    ]


def attributes_of(item: dict[str, Any]) -> Attributes:
    """The attributes of a record or a span."""
    return {attribute["key"]: _value(attribute["value"]) for attribute in item["attributes"]}


def _value(value: dict[str, Any]) -> Any:
    ((kind, content),) = value.items()
    if kind == "arrayValue":
        return [_value(item) for item in content.get("values", ())]
    return int(content) if kind == "intValue" else content


def reason_of(event: Event) -> str:
    """Why the token was rejected, in words."""
    get = event.attributes.get
    reason = str(get("jwt.validation.reason"))
    if reason == "expired" and get("jwt.expires_in") < 0:
        return f"expired {duration(-get('jwt.expires_in'))} ago"
    if reason == "invalid_algorithm":
        return f"{reason} ({get('jwt.alg')})"
    return reason


def lacking(event: Event) -> str:
    """What the token has or lacks that it was denied, in words: "lacks orders:write"."""
    get = event.attributes.get
    missing, granted = get("jwt.scope.missing"), get("jwt.scope.granted", ())
    words = f"lacks {' '.join(missing)}" if missing else f"has only {' '.join(granted)}"
    return f"{words} (refresh token)" if get("jwt.token_use") == "refresh" else words


def duration(seconds: int) -> str:
    """In the greatest unit that fits."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
