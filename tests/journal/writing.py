"""A journal as the format's description has it, written plainly and without a line of the product."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

START = 1_790_000_000_000_000_000
Record = dict[str, Any]


def hash_of(record: Record) -> str:
    """RFC 8785 over the record, without what is not chained; no floats, and names in ASCII."""
    kept = {name: value for name, value in record.items() if name != "observedTimeUnixNano"}
    kept["attributes"] = sorted(
        (
            one
            for one in record["attributes"]
            if not one["key"].startswith(("audit.integrity.", "geo.")) and one["key"] != "event.name"
        ),
        key=lambda one: one["key"],
    )
    text = json.dumps(kept, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def value(content: Any) -> dict[str, Any]:
    if isinstance(content, bool):
        return {"boolValue": content}
    if isinstance(content, int):
        return {"intValue": str(content)}
    if isinstance(content, list):
        return {"arrayValue": {"values": [value(item) for item in content]}}
    return {"stringValue": content}


def record_of(name: str, number: int, attributes: dict[str, Any]) -> Record:
    """A log record, in the order of members that the journal happens to have."""
    reason = attributes.get("jwt.validation.reason")
    time = START + number * 1_000_000
    found = {
        "timeUnixNano": str(time),
        "observedTimeUnixNano": str(time + 1_000),
        "severityNumber": 13 if reason else 9,
        "severityText": "WARN" if reason else "INFO",
        "eventName": name,
        "body": {"stringValue": f"{name}: {reason}" if reason else name},
        "attributes": [{"key": key, "value": value(content)} for key, content in attributes.items()],
    }
    if number % 3 == 0:  # within a span, sampled or not
        found |= {"traceId": f"{number:032x}", "spanId": f"{number:016x}", "flags": number % 2}
    return found


def request_of(*records: Record) -> dict[str, Any]:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    scope = {"name": "opentelemetry.instrumentation.pyjwt", "version": "0.1"}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": scope, "logRecords": list(records)}]}]}


def line_of(*records: Record) -> bytes:
    return json.dumps(request_of(*records), separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Signer:
    """An Ed25519 key and what verifies it."""

    def __init__(self) -> None:
        self.private = Ed25519PrivateKey.generate()
        raw = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.jwk = {"crv": "Ed25519", "kty": "OKP", "x": unpadded(raw)}
        self.kid = unpadded(hashlib.sha256(json.dumps(self.jwk, separators=(",", ":")).encode()).digest())
        self.private_pem = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.pem = self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.private_pem = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, **claims: Any) -> str:
        return jwt.encode({**claims, "iat": START // 10**9}, self.private, "EdDSA", headers={"kid": self.kid})


class Stream:
    """Writes one stream of a journal; ``claims``: what its checkpoints say, given ``hash`` and ``digest``."""

    def __init__(
        self,
        signer: Signer | None = None,
        stream_id: str | None = None,
        claims: Callable[[str, str], dict[str, str]] = lambda hash_, digest: {"hash": hash_, "digest": digest},
    ) -> None:
        self.id = stream_id or uuid.uuid4().hex
        self.records: list[Record] = []
        self.segments: list[list[Record]] = [[]]
        self._signer = signer
        self._claims = claims

    def write(self, name: str = "jwt.validated", **attributes: Any) -> Record:
        """A record; ``__`` in a name stands for a dot."""
        number = len(self.records) + 1
        prev_hash = hash_of(self.records[-1]) if self.records else "0" * 64
        given = {key.replace("__", "."): content for key, content in attributes.items()}
        given |= {"audit.record.id": str(uuid.uuid4())}
        given |= {
            "audit.sequence.stream_id": self.id,
            "audit.sequence.number": number,
            "audit.sequence.prev_hash": prev_hash,
        }
        record = record_of(name, number, given)
        if name == "jwt.audit.checkpoint" and self._signer:
            claims = self._claims(prev_hash, hash_of(record))
            token = self._signer.sign(stream_id=self.id, number=number, **claims)
            record["attributes"].append({"key": "audit.integrity.value", "value": value(token)})
        self.records.append(record)
        self.segments[-1].append(record)
        return record

    def checkpoint(self) -> Record:
        return self.write("jwt.audit.checkpoint")

    def rotate(self) -> None:
        """A checkpoint, and a new segment."""
        self.checkpoint()
        self.segments.append([])

    def name(self, segment: int) -> str:
        first = sum(len(one) for one in self.segments[:segment]) + 1
        return f"{self.id}.{first:012d}.jsonl"

    def save(self, folder: Path) -> list[Path]:
        """The segments' files."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.id}.lock").touch()
        paths = []
        for index, records in enumerate(self.segments):
            path = folder / self.name(index)
            path.write_bytes(b"".join(map(line_of, records)))
            paths.append(path)
        return paths

    def checkpoints(self) -> list[Record]:
        return [record for record in self.records if record["eventName"] == "jwt.audit.checkpoint"]


def some(stream: Stream, count: int, *, every: int = 100, rotate: int = 250) -> Stream:
    """Fill up to ``count`` records of all kinds, the last a checkpoint."""
    while len(stream.records) < count - 1:
        number = len(stream.records) + 1
        if number % rotate == 0:
            stream.rotate()
        elif number % every == 0:
            stream.checkpoint()
        elif number % 7 == 0:
            stream.write("jwt.rejected", jwt__jti=f"t{number}", jwt__validation__reason="expired", jwt__verified=True)
        else:
            stream.write(
                jwt__jti=f"t{number % 20}",
                jwt__sub="álice" if number % 50 else "\U0001d518lice",
                jwt__iss="https://issuer.example",
                jwt__verified=True,
                jwt__exp=1_790_000_900,
                jwt__aud=["shop", 'bill\n"ing"'],
                http__route="/orders/{id}",
                http__request__method="GET",
                http__response__status_code=200,
                client__address="2001:db8::1e5",
                geo__country__iso_code="DE",
            )
    stream.checkpoint()
    return stream


def copied(record: Record) -> Record:
    """A record as a Collector's file exporter writes it, with what a pipeline adds."""
    found = json.loads(json.dumps(record))
    found["observedTimeUnixNano"] = str(START + 77)
    found["attributes"] = sorted(found["attributes"], key=lambda one: one["key"], reverse=True)
    found["attributes"] += [
        {"key": "event.name", "value": {"stringValue": record["eventName"]}},
        {"key": "geo.city_name", "value": {"stringValue": "Bonn"}},
    ]
    if not found.get("flags"):
        found.pop("flags", None)
    found.setdefault("traceId", "")
    found.setdefault("spanId", "")
    return found
