"""Checkpoints: signed, part of the chain, when they are due, and never audited themselves."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor, action
from tests.journal import book
from tests.support import Trail, mint


def pem(path: Path, key: Any, password: bytes | None = None) -> Path:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    return path


def off() -> None:
    PyJWTInstrumentor().uninstrument()


def names(directory: Path) -> list[int]:
    return [int(path.name.split(".")[1]) for path in sorted(directory.glob("*.jsonl"))]


@pytest.fixture
def key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def proofs(directory: Path, key: ed25519.Ed25519PrivateKey) -> list[int]:
    """Numbers of the checkpoints, each of which has been checked."""
    public = key.public_key()
    point = urlsafe_b64encode(public.public_bytes_raw()).rstrip(b"=").decode()
    jwk = f'{{"crv":"Ed25519","kty":"OKP","x":"{point}"}}'
    thumbprint = urlsafe_b64encode(hashlib.sha256(jwk.encode()).digest()).rstrip(b"=").decode()
    found = []
    for stream_id, stream in book.read(directory).items():
        for one in stream:
            assert (one["event"] == "jwt.audit.checkpoint") is ("audit.integrity.value" in one)
            if one["event"] == "jwt.audit.checkpoint":
                proof = one["audit.integrity.value"]
                claims = jwt.decode(proof, public, ["EdDSA"])
                assert claims == {
                    "stream_id": stream_id,
                    "number": one["audit.sequence.number"],
                    "hash": one["audit.sequence.prev_hash"],
                    "digest": book.hashed(one.raw),
                    "iat": int(one.raw["timeUnixNano"]) // 10**9,
                }
                assert jwt.get_unverified_header(proof) == {"alg": "EdDSA", "typ": "JWT", "kid": thumbprint}
                assert (one["audit.action"], one["audit.actor.type"]) == ("CHECKPOINT", "service")
                assert one["audit.record.id"]
                found.append(one["audit.sequence.number"])
    return found


def test_checkpoints_come_with_time_with_rotation_and_at_the_end(
    journal: Any, directory: Path, tmp_path: Path, key: ed25519.Ed25519PrivateKey, turn_back: Any
) -> None:
    active = journal(signing_key=pem(tmp_path / "key.pem", key))
    mint()
    active.tick()
    turn_back(active, 60)
    active.tick()  # 2
    turn_back(active, 60)
    active.tick()  # nothing has happened since
    mint()
    mint()
    turn_back(active, 3600)
    active.tick()  # 5, the last of its segment
    mint()
    off()  # 7
    assert proofs(directory, key) == [2, 5, 7]
    assert names(directory) == [1, 6]


def test_each_segment_that_is_full_ends_with_a_checkpoint(
    journal: Any, directory: Path, tmp_path: Path, key: ed25519.Ed25519PrivateKey
) -> None:
    journal(signing_key=str(pem(tmp_path / "key.pem", key)), rotate_bytes="10KiB")
    for _ in range(20):
        with action("job"):
            mint()
    off()
    assert [number + 1 for number in proofs(directory, key)[:-1]] == names(directory)[1:]
    assert len(names(directory)) > 2


def test_checkpoints_are_not_audited_and_ask_for_no_trace(
    instrument: Callable[..., Trail], directory: Path, tmp_path: Path, key: ed25519.Ed25519PrivateKey
) -> None:
    trail = instrument(journal=directory, journal_signing_key=pem(tmp_path / "key.pem", key))
    with trail.tracer_provider.get_tracer("test").start_as_current_span("work"):
        mint()
        off()
    assert [one["event"] for (stream,) in [book.read(directory).values()] for one in stream] == [
        "jwt.issued",
        "jwt.audit.checkpoint",
    ]
    assert trail.spans[0].attributes["jwt.jti"] == "token-1"  # type: ignore[index]


@pytest.mark.parametrize("kind", ["absent", "text", "other", "passphrase"])
def test_a_key_that_cannot_sign_is_said_once_and_the_chain_goes_on(
    kind: str, journal: Any, directory: Path, tmp_path: Path, key: ed25519.Ed25519PrivateKey, caplog: Any
) -> None:
    path = tmp_path / "key.pem"
    if kind == "text":
        path.write_text("SECRET")
    elif kind == "other":
        pem(path, ec.generate_private_key(ec.SECP256R1()))
    elif kind == "passphrase":
        pem(path, key, b"secret")
    journal(signing_key=path)
    mint()
    off()
    (record,) = caplog.records
    assert f"OTEL_PYTHON_PYJWT_JOURNAL_SIGNING_KEY: {path}: " in record.getMessage()
    assert "SECRET" not in caplog.text
    assert [one["event"] for one in book.records(directory)] == ["jwt.issued"]
