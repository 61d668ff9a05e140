"""Reads what a Collector's file exporter has written, and what it should have, with the official protobuf classes."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from opentelemetry.proto.logs.v1.logs_pb2 import ResourceLogs


def lines(directory: Path) -> Iterator[bytes]:
    """Those that are whole, of every file."""
    for path in sorted(directory.glob("*.jsonl")):
        yield from path.read_bytes().split(b"\n")[:-1]


def records(directory: Path) -> Iterator[dict[str, Any]]:
    """Each record within its resource and scope, as if it had been sent alone."""
    for line in lines(directory):
        for resource in json.loads(line)["resourceLogs"]:
            for scope in resource["scopeLogs"]:
                for record in scope["logRecords"]:
                    yield {**resource, "scopeLogs": [{**scope, "logRecords": [record]}]}


def attributes(one: dict[str, Any]) -> dict[str, Any]:
    (record,) = one["scopeLogs"][0]["logRecords"]
    return {attribute["key"]: attribute["value"] for attribute in record["attributes"]}


def by_id(directory: Path, read: Callable[[dict[str, Any]], Any]) -> dict[str, list[Any]]:
    """What ``read`` makes of each record, as often as it is there, by ``audit.record.id``."""
    found = defaultdict(list)
    for one in records(directory):
        found[attributes(one)["audit.record.id"]["stringValue"]].append(read(one))
    return dict(found)


def message(one: dict[str, Any], added: tuple[str, ...] = ()) -> bytes:
    """All that protobuf can tell of a record, less what was ``added``; attributes in the order of their names."""
    (record,) = one["scopeLogs"][0]["logRecords"]
    kept = [attribute for attribute in record["attributes"] if attribute["key"] not in added]
    ids = {
        name: base64.b64encode(bytes.fromhex(record[name])).decode()  # hex in OTLP's JSON, base64 in protobuf's
        for name in ("traceId", "spanId")
        if name in record
    }
    whole = record | ids | {"attributes": sorted(kept, key=lambda attribute: attribute["key"])}
    scope = {**one["scopeLogs"][0], "logRecords": [whole]}
    parsed = json_format.ParseDict({**one, "scopeLogs": [scope]}, ResourceLogs())
    text: bytes = parsed.SerializeToString(deterministic=True)
    return text


def name(one: dict[str, Any]) -> str:
    return str(one["scopeLogs"][0]["logRecords"][0]["eventName"])
