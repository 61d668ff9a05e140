"""What is promised of every event, restated here: names, types, bounds, and who may be called a user."""

from __future__ import annotations

import math
from typing import Any

from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.sdk._logs import ReadableLogRecord

NAMES = {"jwt.issued", "jwt.validated", "jwt.rejected", "jwt.unverified"}
REASONS = {
    *("expired", "not_yet_valid", "invalid_signature", "invalid_algorithm", "invalid_audience", "invalid_issuer"),
    *("invalid_subject", "invalid_jti", "missing_claim", "invalid_claim", "malformed", "invalid_key"),
    *("key_unavailable", "revoked", "wrong_type", "refused", "application_error"),
}
CHECKS = {"signature", "exp", "nbf", "iat", "aud", "iss", "sub", "jti", "revocation"}
OUTCOMES = {"valid", "invalid", "unverified"}
TYPES = {
    **dict.fromkeys(
        ("jwt.jti", "jwt.sub", "jwt.iss", "jwt.client_id", "jwt.sid", "jwt.alg", "jwt.kid", "jwt.typ"), "text"
    ),
    **dict.fromkeys(("jwt.act.sub", "jwt.cnf", "jwt.token_use", "jwt.fingerprint", "user.id", "user.hash"), "text"),
    **dict.fromkeys(("jwt.validation.outcome", "jwt.validation.reason", "jwt.action", "audit.record.id"), "text"),
    **dict.fromkeys(("jwt.aud", "jwt.validation.checks", "jwt.scope.granted"), "texts"),
    **dict.fromkeys(("jwt.iat", "jwt.nbf", "jwt.exp", "jwt.expires_in"), "int"),
    "jwt.verified": "bool",
}
WORDS = {
    "jwt.token_use": {"access", "refresh", "id"},
    "jwt.validation.outcome": OUTCOMES,
    "jwt.validation.reason": REASONS,
}
ALGORITHMS = {f"{kind}{bits}" for kind in ("HS", "RS", "ES", "PS") for bits in (256, 384, 512)} | {
    *("none", "EdDSA", "ES256K", "ES521"),
}


def exported(records: list[ReadableLogRecord]) -> list[LogRecord]:
    """The records as a Collector receives them, through the official encoder."""
    request = ExportLogsServiceRequest.FromString(encode_logs(records).SerializeToString())
    return [
        record for resource in request.resource_logs for scope in resource.scope_logs for record in scope.log_records
    ]


def broken_promises(record: LogRecord, given: ReadableLogRecord) -> list[str]:
    """What is wrong with an exported event, in words that quote nothing from a token."""
    attributes = {attribute.key: value(attribute.value) for attribute in record.attributes}
    broken = []
    if len(attributes) != len(given.log_record.attributes or {}):
        broken.append("an attribute was lost on its way through the encoder")
    name, reason = record.event_name, attributes.get("jwt.validation.reason")
    if name not in NAMES:
        broken.append("unknown event name")
    if value(record.body) != (f"{name}: {reason}" if reason else name):
        broken.append("a body is not the name and the reason")
    if not record.time_unix_nano or not record.severity_text:
        broken.append("no time or no severity")
    for key, found in attributes.items():
        kind = TYPES.get(key, "any" if key.startswith("jwt.claims.") else "unknown")
        if not _is(kind, found):
            broken.append(f"{key} is not of type {kind}")
        if key in WORDS and found not in WORDS[key]:
            broken.append(f"{key} is none of its words")
    if "jwt.verified" not in attributes or "audit.record.id" not in attributes:
        broken.append("jwt.verified or audit.record.id is missing")
    if not set(attributes.get("jwt.validation.checks", ())) <= CHECKS:
        broken.append("unknown check")
    if not attributes["jwt.verified"] and attributes.keys() & {"user.id", "user.hash"}:
        broken.append("an unverified subject became a user")
    return broken


def value(given: AnyValue) -> Any:
    """An attribute's value: lists as lists, which are never nested."""
    kind = given.WhichOneof("value")
    if kind == "array_value":
        return [value(item) for item in given.array_value.values]
    return None if kind is None else getattr(given, kind)


def _is(kind: str, found: Any) -> bool:
    if kind == "text":
        return isinstance(found, str) and 0 < len(found) <= 256 and found.isprintable()
    if kind == "int":
        return type(found) is int and -(2**63) <= found < 2**63
    if kind == "bool":
        return isinstance(found, bool)
    if kind == "texts":
        return isinstance(found, list) and 0 < len(found) <= 64 and all(_is("text", item) for item in found)
    if kind == "any":
        if isinstance(found, list):
            one_kind = len({type(item) for item in found}) == 1
            return (
                0 < len(found) <= 64
                and one_kind
                and not any(isinstance(item, list) for item in found)
                and all(map(_is_scalar, found))
            )
        return _is_scalar(found)
    return False


def _is_scalar(found: Any) -> bool:
    if isinstance(found, float):
        return math.isfinite(found)
    return _is("text", found) or _is("int", found) or _is("bool", found)
