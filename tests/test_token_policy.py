"""Token facts under a policy: how subjects are shown, and what stands for a token that has no jti."""

from __future__ import annotations

import hashlib
import hmac
import logging
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt import TokenFacts
from opentelemetry.instrumentation.pyjwt.token import TokenReader
from tests.capture.forge import forged
from tests.support import OTHER_KEY, mint


def read(claims: dict[str, Any], *, verified: bool = True, **policy: Any) -> TokenFacts:
    return TokenReader(**policy).read(forged(None, claims), {"alg": "HS256"}, claims, verified)


def attributes(claims: dict[str, Any], **policy: Any) -> dict[str, Any]:
    return dict(read(claims, **policy).attributes)


# --- Subjects: plain, hmac, omit ---

NAMED = {
    "sub": "alice",
    "client_id": "alice",
    "act": {"sub": "agent"},
    "owner": {"sub": "alice", "team": "alice", "of": ["alice", "bob"], "by": {"sub": "carol"}},
    "names": ["alice", "bob"],
    "login": "alice",
}
CAPTURED = ("sub", "owner", "names", "login", "act")


def test_plain_subjects_are_shown_and_become_the_user_when_verified() -> None:
    shown = attributes(NAMED, capture_claims=CAPTURED)
    assert shown["jwt.sub"] == shown["user.id"] == shown["jwt.client_id"] == shown["jwt.claims.sub"] == "alice"
    assert shown["jwt.act.sub"] == "agent"
    assert "user.hash" not in shown
    unverified = read(NAMED, verified=False).attributes
    assert unverified["jwt.sub"] == "alice"
    assert "user.id" not in unverified


def test_hmac_subjects_are_pseudonyms_everywhere() -> None:
    shown = attributes(NAMED, subject="hmac", pseudonym_key=b"k", capture_claims=CAPTURED)
    pseudonym = hmac.new(b"k", b"alice", hashlib.sha256).hexdigest()[:32]
    assert {
        shown[name] for name in ("jwt.sub", "user.hash", "jwt.client_id", "jwt.claims.sub", "jwt.claims.login")
    } == {pseudonym}
    assert shown["jwt.act.sub"] == hmac.new(b"k", b"agent", hashlib.sha256).hexdigest()[:32]
    assert shown["jwt.claims.names"] == (pseudonym, "bob")
    assert "user.id" not in shown
    assert not any(name in repr(shown) for name in ("alice", "agent", "carol"))
    unverified = read(NAMED, verified=False, subject="hmac", pseudonym_key=b"k").attributes
    assert unverified["jwt.sub"] == pseudonym
    assert "user.hash" not in unverified


def test_omitted_subjects_leave_no_trace() -> None:
    shown = attributes(NAMED, subject="omit", capture_claims=CAPTURED)
    assert not {"jwt.sub", "user.id", "user.hash", "jwt.act.sub", "jwt.client_id", "jwt.claims.sub"} & shown.keys()
    assert not any(name in repr(shown) for name in ("alice", "agent", "carol"))
    assert "bob" in repr(shown)


@pytest.mark.parametrize("subject", ["plain", "hmac", "omit"])
def test_the_application_has_the_subject_in_plain(subject: str) -> None:
    assert read(NAMED, subject=subject, pseudonym_key=b"k").sub == "alice"


def test_without_a_key_pseudonyms_are_good_for_one_process_and_a_warning_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def pseudonym(key: bytes | None) -> object:
        return read({"sub": "alice"}, subject="hmac", pseudonym_key=key).attributes["jwt.sub"]

    assert pseudonym(b"k") == pseudonym(b"k") != pseudonym(b"other")
    assert caplog.records == []
    assert pseudonym(None) != pseudonym(None)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "OTEL_PYTHON_PYJWT_PSEUDONYM_KEY" in caplog.text
    caplog.clear()
    read({"sub": "alice"}, subject="omit")  # there is no pseudonym to correlate
    assert caplog.records == []


# --- Fingerprints ---


def fingerprint(token: str, **policy: Any) -> Any:
    facts = TokenReader(**policy).read_raw(token)
    return facts.fingerprint


def test_only_a_token_without_a_whole_jti_has_a_fingerprint() -> None:
    assert fingerprint(mint()) is None
    assert fingerprint(mint(jti="a" * 256)) is None
    assert fingerprint(mint(jti="a" * 257)) is not None
    assert fingerprint(mint(jti=None)) is not None
    assert fingerprint(forged(None, {"jti": ""})) is not None


def test_a_fingerprint_is_of_header_and_payload_and_not_of_the_signature() -> None:
    token = forged(None, {"sub": "alice"})
    signed = token.rpartition(".")[0]
    assert fingerprint(token) == hashlib.sha256(signed.encode()).hexdigest()[:32]
    others = (f"{token}=", f"{signed}.", forged(None, {"sub": "alice"}, key=OTHER_KEY), token.encode())
    assert {fingerprint(other) for other in others} == {fingerprint(token)}  # type: ignore[arg-type]
    assert fingerprint(forged(None, {"sub": "bob"})) != fingerprint(token)


@pytest.mark.parametrize("subject", ["hmac", "omit"])
def test_a_fingerprint_is_keyed_where_subjects_are_not_plain(subject: str) -> None:
    """The claims of a small world can be guessed, and a bare hash of them be recognised."""
    token = forged(None, {"sub": "alice"})
    keyed = fingerprint(token, subject=subject, pseudonym_key=b"k")
    assert keyed == hmac.new(b"k", token.rpartition(".")[0].encode(), hashlib.sha256).hexdigest()[:32]
    assert keyed != fingerprint(token)
