"""Checkpoints: what a stream holds up to here, signed.

A checkpoint is a record like the others, with a JWT (EdDSA) about the record before it and about itself: its own hash
can be signed, since the proof is not chained. Whoever changes a record changes every hash after it, and cannot sign the
new ones.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value
from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.events import INFO, AuditEvent


class Signer:
    """Signs checkpoints with an Ed25519 key.

    Args:
        path: the private key, in a PEM file (PKCS #8, without a passphrase).

    Raises:
        ValueError: it is no such key; OSError: it cannot be read; ImportError: ``cryptography`` is not installed.
    """

    def __init__(self, path: Path) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (TypeError, ValueError):
            raise ValueError("no private key in PEM, or one with a passphrase") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("no Ed25519 key")
        self._key: Any = key
        self.kid = _thumbprint(key.public_key().public_bytes_raw())

    def proof(self, claims: Mapping[str, str | int]) -> str:
        """The claims, signed."""
        import jwt

        token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))  # or it would be recorded as one that was issued
        try:
            return jwt.encode(dict(claims), self._key, "EdDSA", headers={"kid": self.kid})
        finally:
            detach(token)


def checkpoint() -> AuditEvent:
    """A checkpoint of now, not signed yet."""
    attributes = {
        semconv.RECORD_ID: str(uuid.UUID(bytes=secrets.token_bytes(16), version=4)),
        semconv.ACTOR_ID: "opentelemetry.instrumentation.pyjwt",
    }
    return AuditEvent(semconv.CHECKPOINT, time.time_ns(), INFO, semconv.CHECKPOINT, attributes)


def _thumbprint(public: bytes) -> str:
    """RFC 7638, of an Ed25519 key as a JWK (RFC 8037 §2)."""
    jwk = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(public)}
    return _base64url(hashlib.sha256(json.dumps(jwk, separators=(",", ":")).encode()).digest())


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
