"""Journals as the specification has them, written by hand."""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STREAM = "0123456789abcdef" * 2
OTHER = "fedcba9876543210" * 2


def line(stream: str, number: int, **more: Any) -> bytes:
    """One record as a whole export request, of the size that real ones have; its id tells stream and number."""
    attributes = {
        "audit.record.id": {"stringValue": f"{stream}-{number}"},
        "audit.sequence.stream_id": {"stringValue": stream},
        "audit.sequence.number": {"intValue": str(number)},
        "audit.sequence.prev_hash": {"stringValue": "0" * 64},
        "jwt.jti": {"stringValue": str(uuid.UUID(int=number))},
        "jwt.iss": {"stringValue": "https://issuer.example"},
        "jwt.sub": {"stringValue": 'álice "\\\n'},
        "jwt.exp": {"intValue": "1790000000"},
        "jwt.verified": {"boolValue": True},
        "jwt.validation.checks": {"arrayValue": {"values": [{"stringValue": "signature"}, {"stringValue": "exp"}]}},
        "http.response.status_code": {"intValue": "200"},
        **more,
    }
    record = {
        "timeUnixNano": "1790000000123456789",
        "observedTimeUnixNano": "1790000000123456790",
        "severityNumber": 9,
        "severityText": "INFO",
        "eventName": "jwt.validated",
        "body": {"stringValue": "jwt.validated"},
        "attributes": [{"key": key, "value": value} for key, value in attributes.items()],
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "spanId": "b7ad6b7169203331",
        "flags": 1,
    }
    scope = {"name": "opentelemetry.instrumentation.pyjwt", "version": "0.1.0"}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "orders"}}]}
    request = {
        "resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": scope, "logRecords": [record]}]}],
    }
    return json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def ids(stream: str, first: int, count: int) -> list[str]:
    return [f"{stream}-{number}" for number in range(first, first + count)]


def write(directory: Path, stream: str, first: int, count: int, tail: bytes = b"") -> Path:
    """A segment of ``count`` records, with ``tail`` after them."""
    directory.mkdir(mode=0o700, exist_ok=True)
    path = directory / f"{stream}.{first:012d}.jsonl"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
        file.writelines(line(stream, number) for number in range(first, first + count))
        file.write(tail)
    return path


@contextmanager
def writer(directory: Path, stream: str) -> Iterator[None]:
    """As if the process that writes the stream lived."""
    directory.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(directory / f"{stream}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def dead(directory: Path, stream: str) -> Path:
    """What a process leaves when it is killed: its lock file, free."""
    with writer(directory, stream):
        pass
    return directory / f"{stream}.lock"


def settled(segment: Path) -> int:
    position = segment.with_name(segment.name + ".position")
    return int(position.read_text()) if position.exists() else 0


def letters(segment: Path) -> list[Any]:
    path = segment.parent / "dead-letter" / segment.name
    return [json.loads(text) for text in path.read_text().splitlines()] if path.exists() else []
