"""Reads a journal back with nothing of ours: the chain recomputed, each line through the official protobuf parser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from tests.forwarder.receiver import records_of

SEGMENT = re.compile(r"([0-9a-f]{32})\.(\d{12,})\.jsonl")


class Record(dict[str, Any]):
    """A record's attributes, with ``event`` for its name; :attr:`raw` is as it stands in the line."""

    def __init__(self, raw: dict[str, Any]) -> None:
        super().__init__({one["key"]: plain(one["value"]) for one in raw["attributes"]}, event=raw["eventName"])
        assert len(self) == len(raw["attributes"]) + 1, "an attribute is there twice"
        self.raw = raw


def plain(value: dict[str, Any]) -> Any:
    ((kind, inner),) = value.items()
    if kind == "arrayValue":
        return [plain(one) for one in inner["values"]]
    return int(inner) if kind == "intValue" else inner


def lines(directory: Path) -> Iterator[tuple[str, int, bytes]]:
    """Stream, number that the segment begins with, and line, for each whole line in order."""
    for path in sorted(directory.glob("*.jsonl")):
        match = SEGMENT.fullmatch(path.name)
        assert match is not None, path.name
        *whole, torn = path.read_bytes().split(b"\n")
        assert len(torn) < 65536
        for line in whole:
            yield match[1], int(match[2]), line


def read(directory: Path, *, parse: bool = True) -> dict[str, list[Record]]:
    """The records of each stream, whose chain has been checked. ``parse``: with the protobuf parser, too."""
    streams: dict[str, list[Record]] = {}
    previous: dict[str, str] = {}
    begun: dict[str, int] = {}
    for stream_id, first, line in lines(directory):
        request = json.loads(line)
        ((logs,),) = ([one["scopeLogs"] for one in request["resourceLogs"]],)
        (raw,) = logs[0]["logRecords"]
        record = Record(raw)
        records = streams.setdefault(stream_id, [])
        if begun.get(stream_id) != first:  # a segment begins
            assert len(records) + 1 == first
            begun[stream_id] = first
        assert record["audit.sequence.stream_id"] == stream_id
        assert record["audit.sequence.number"] == len(records) + 1
        assert record["audit.sequence.prev_hash"] == previous.get(stream_id, "0" * 64)
        previous[stream_id] = hashed(raw)
        records.append(record)
        if parse:
            official(line, raw)
    return streams


def records(directory: Path) -> list[Record]:
    """All records but checkpoints."""
    return [one for stream in read(directory).values() for one in stream if one["event"] != "jwt.audit.checkpoint"]


def hashed(raw: dict[str, Any]) -> str:
    """By the rules as they are written down; for records without doubles, which json prints in its own way."""
    kept = {name: value for name, value in raw.items() if name != "observedTimeUnixNano"}
    kept["attributes"] = sorted(
        (one for one in raw["attributes"] if not re.match(r"audit\.integrity\.|geo\.|event\.name$", one["key"])),
        key=lambda one: one["key"],
    )
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def official(line: bytes, raw: dict[str, Any]) -> Any:
    """A record's line as the official parser has it."""
    request = parsed(json.loads(line))
    (one,) = request.resource_logs[0].scope_logs[0].log_records
    assert (one.event_name, one.body.string_value) == (raw["eventName"], raw["body"]["stringValue"])
    assert len(one.attributes) == len(raw["attributes"])
    return request


def parsed(request: dict[str, Any]) -> Any:
    """An export request as the official parser has it. Ids are hex in OTLP's JSON, and base64 in protobuf's."""
    for record in records_of(request):
        for name, length in (("traceId", 16), ("spanId", 8)):
            if name in record:
                value = bytes.fromhex(record[name])
                assert len(value) == length
                record[name] = base64.b64encode(value).decode()
    return json_format.ParseDict(request, ExportLogsServiceRequest())
