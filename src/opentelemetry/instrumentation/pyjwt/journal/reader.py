"""Reads log records from lines of OTLP JSON, and where each stands in its stream."""

from __future__ import annotations

import json
import re
from typing import Any, Final, NamedTuple

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.journal.chain import digest

Record = dict[str, Any]

_INTEGER: Final = re.compile("-?(?:0|[1-9][0-9]{0,18})")  # of 64 bits
_KINDS: Final[dict[str, type | tuple[type, ...]]] = {
    "stringValue": str,
    "boolValue": bool,
    "doubleValue": (int, float, str),
    "bytesValue": str,
    "kvlistValue": dict,
}


class NoRecordError(ValueError):
    """A line, or a part of it, is no log record; the text says why."""


class Link(NamedTuple):
    """A record's place in its stream, and its hash."""

    stream_id: str
    number: int
    prev_hash: str
    digest: str


def records(text: bytes) -> list[Record]:
    """The log records of a line: an export request of OTLP JSON.

    Raises:
        NoRecordError: it is none, or holds what two readers may read differently.
    """
    try:
        request = _decode(text.decode())
        found = [
            record
            for resource in _only(request, "resourceLogs", ("resourceLogs",))
            for scope in _only(resource, "scopeLogs", ("resource", "scopeLogs", "schemaUrl"))
            for record in _only(scope, "logRecords", ("scope", "logRecords", "schemaUrl"))
        ]
    except (ValueError, RecursionError) as error:
        raise NoRecordError(f"no export request: {error or type(error).__name__}") from None
    if not found or not all(isinstance(record, dict) for record in found):
        raise NoRecordError("an export request without a log record")
    return found


def _only(value: Any, name: str, names: tuple[str, ...]) -> list[Any]:
    """The list of that name in an object that has no other members than these."""
    if not isinstance(value, dict) or not value.keys() <= set(names) or not isinstance(value.get(name), list):
        raise NoRecordError(f"{name} is not what it should be")
    found: list[Any] = value[name]
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NoRecordError("a name is there twice")
    return found


def _refuse(constant: str) -> object:
    raise NoRecordError(f"{constant} is no JSON")


_decode: Final = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse).decode


def attributes_of(record: Record) -> dict[str, Any]:
    """The attributes of a record, as Python's values.

    Raises:
        NoRecordError: they are not as OTLP has them, or one is there twice.
    """
    given = record.get("attributes", [])
    try:
        found = {attribute["key"]: _value(attribute["value"]) for attribute in given}
        if len(found) < len(given):
            raise NoRecordError("an attribute is there twice")
        return found
    except (TypeError, LookupError, AttributeError, RecursionError):
        raise NoRecordError("attributes that are none") from None


def _value(value: dict[str, Any]) -> Any:
    if len(value) != 1:
        raise NoRecordError("an attribute without a value, or with several")
    ((kind, content),) = value.items()
    if kind == "intValue":
        if type(content) is int:
            return content
        if isinstance(content, str) and _INTEGER.fullmatch(content):
            return int(content)
    elif kind == "arrayValue":
        return [_value(item) for item in content.get("values", ())]
    elif kind in _KINDS and isinstance(content, _KINDS[kind]):
        return content
    raise NoRecordError("an attribute whose value is none")


def link_of(record: Record, attributes: dict[str, Any]) -> Link | None:
    """Where a record stands in its stream; ``None`` if it has no place in any.

    Raises:
        NoRecordError: a part of its place is missing or of the wrong kind, or it cannot be hashed.
    """
    place = [attributes.get(name) for name in (semconv.STREAM_ID, semconv.SEQUENCE_NUMBER, semconv.PREV_HASH)]
    if place == [None, None, None]:
        return None
    stream_id, number, prev_hash = place
    if not isinstance(stream_id, str) or not isinstance(prev_hash, str) or type(number) is not int:
        raise NoRecordError("audit.sequence.* is not whole")
    if not 0 < number < 2**63:  # as many as a 64-bit field holds
        raise NoRecordError("audit.sequence.number is out of range")
    try:
        return Link(stream_id, number, prev_hash, digest(record))
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise NoRecordError(f"no canonical form: {error}") from None
