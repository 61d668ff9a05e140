"""What is ours in a Collector's copy, as the journal wrote it.

Between the two lies protobuf, for which absent and zero are the same, and a file that others write to as well.
"""

from __future__ import annotations

from typing import Any, Final

from opentelemetry.instrumentation.pyjwt.journal import reader
from opentelemetry.instrumentation.pyjwt.journal.reader import Link, NoRecordError, Record

_SEQUENCE: Final = "audit.sequence."
_NOTHING: Final[tuple[Any, ...]] = ("", 0, "0", [], {}, None)
_JOINT: Final = b'}{"resourceLogs":'  # which no string of JSON holds like this
#: How lines of other signals begin, which a file exporter may be given as well.
SIGNALS: Final = (b'{"resourceSpans":', b'{"resourceMetrics":', b'{"resourceProfiles":')


def records(text: bytes) -> list[tuple[Record, dict[str, Any], Link]]:
    """The journal's records in a line, with their attributes and places; others' are passed over.

    Raises:
        NoRecordError: it is no export request, or what says it is the journal's is no record.
    """
    found = []
    for record in all_records(text):
        if not _ours(record):
            continue
        attributes = reader.attributes_of(record)
        written = as_written(record)
        link = reader.link_of(written, attributes)
        if link is not None:
            found.append((written, attributes, link))
    return found


def all_records(text: bytes) -> list[Record]:
    """All log records in a line, which may hold several requests: a file exporter's newline is a write of its own.

    Raises:
        NoRecordError: it is no export request.
    """
    if text.startswith(SIGNALS):
        return []
    requests = text.replace(_JOINT, _JOINT.replace(b"{", b"\n{")).split(b"\n")
    return [record for request in requests for record in reader.records(request)]


def _ours(record: Record) -> bool:
    try:
        return any(attribute["key"].startswith(_SEQUENCE) for attribute in record.get("attributes") or ())
    except (TypeError, LookupError, AttributeError):
        raise NoRecordError("attributes that are none") from None


def as_written(record: Record) -> Record:
    """A record whose attributes are as OTLP has them, as the journal wrote it.

    Of what protobuf takes for absent, the journal writes the flags of a span and empty lists. It writes 64-bit
    integers as strings, for which a number is as good.
    """
    found = _present(record)
    if "traceId" in found:
        found.setdefault("flags", 0)
    if type(found.get("timeUnixNano")) is int:
        found["timeUnixNano"] = str(found["timeUnixNano"])
    if "attributes" in found:
        found["attributes"] = [
            _present(one) | {"key": one["key"], "value": _value(one["value"])} for one in found["attributes"]
        ]
    return found


def _present(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if value not in _NOTHING}


def _value(value: dict[str, Any]) -> dict[str, Any]:
    ((kind, content),) = value.items()
    if kind == "intValue":
        return {kind: str(content)}
    if kind == "arrayValue":
        return {kind: content | {"values": [_value(item) for item in content.get("values") or ()]}}
    return value
