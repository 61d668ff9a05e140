"""Why PyJWT did not accept a token, which checks it made until then, and whether the claims are to be trusted.

Where PyJWT has come to check more over the years, an older one must show that it did not.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import jwt
import pytest

from opentelemetry.instrumentation.pyjwt import action, semconv
from tests.capture import jwks
from tests.capture.failures import FAILURES, PYJWT, Failure, decode
from tests.capture.forge import forged
from tests.support import KEY, OTHER_KEY, Trail


def checks_made(event: dict[str, Any]) -> str:
    return " ".join(event.get("jwt.validation.checks", ()))


def expected_checks(failure: Failure) -> str:
    """What this PyJWT checks: subject and token id since 2.10."""
    known = jwt.PyJWT().options
    return " ".join(
        check for check in failure.checks.split() if check not in ("sub", "jti") or f"verify_{check}" in known
    )


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.title)
@pytest.mark.parametrize("name", ["decode", "decode_complete"])
@pytest.mark.parametrize("where", [nullcontext, partial(action, "test")], ids=["alone", "action"])
def test_a_failed_decode_says_why(
    failure: Failure, name: str, where: Callable[[], AbstractContextManager[None]], trail: Trail
) -> None:
    token = failure.token()
    trail.clear()
    with where():
        error = decode(failure, token, name)
    (event,) = trail.events
    if failure.since > PYJWT:
        assert (error, event["event"]) == (None, "jwt.validated")
        return
    assert error is not None
    assert event["event"] == "jwt.rejected"
    assert event["jwt.validation.reason"] == failure.reason
    assert event["jwt.validation.outcome"] == "invalid"
    assert event["jwt.verified"] is failure.verified
    assert checks_made(event) == expected_checks(failure)
    assert "user.id" not in event or failure.verified
    assert trail.encoded()


def test_every_reason_pyjwt_can_give_is_in_the_table() -> None:
    of_libraries = {semconv.TOKEN_REVOKED, semconv.WRONG_TYPE}
    of_key_clients = {semconv.KEY_UNAVAILABLE}
    start = list(vars(semconv)).index("EXPIRED")
    end = list(vars(semconv)).index("APPLICATION_ERROR")
    every = set(list(vars(semconv).values())[start : end + 1])
    assert {failure.reason for failure in FAILURES} == every - of_libraries - of_key_clients


@pytest.mark.parametrize(
    "failure", [failure for failure in FAILURES if failure.verified], ids=lambda failure: failure.title
)
def test_a_verified_rejection_names_the_user(failure: Failure, trail: Trail) -> None:
    token = failure.token()
    trail.clear()
    decode(failure, token)
    (event,) = trail.events
    assert event.get("user.id") == event.get("jwt.sub")


def test_an_unverified_rejection_shows_its_claims_but_no_user(trail: Trail) -> None:
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(forged(key=OTHER_KEY), KEY, ["HS256"])
    (event,) = trail.events
    assert (event["jwt.sub"], event["jwt.jti"], event["jwt.alg"]) == ("alice", "token-1", "HS256")
    assert event["jwt.verified"] is False
    assert "user.id" not in event


@pytest.mark.parametrize(
    ("header", "reason"),
    [({"alg": "HS256", "kid": 7}, "malformed"), ({"alg": "HS256", "crit": ["x"], "x": 1}, "malformed")],
    ids=["kid", "crit"],
)
def test_a_bad_header_is_malformed_when_it_is_read_alone(header: dict[str, Any], reason: str, trail: Trail) -> None:
    if "crit" in header and not hasattr(jwt.PyJWS, "_validate_crit"):
        assert jwt.get_unverified_header(forged(header)) == header
        assert trail.names == []
        return
    with pytest.raises(jwt.InvalidTokenError):
        jwt.get_unverified_header(forged(header))
    assert trail.names == [f"jwt.rejected: {reason}"]


def look_up(kid: str) -> None:
    with pytest.raises(jwt.PyJWKClientError):
        jwt.PyJWKClient(jwks.NOBODY).get_signing_key(kid)


def peek(token: str) -> object:
    return jwt.decode(token, options={"verify_signature": False})


@pytest.mark.parametrize("read", [jwt.get_unverified_header, peek])
def test_a_key_that_cannot_be_had_is_the_verdict_on_the_token_that_names_it(
    read: Callable[[str], object], trail: Trail
) -> None:
    token = jwks.signed("key-9")
    trail.clear()
    with action("test"):
        read(token)
        look_up("key-9")
    assert trail.names == ["jwt.rejected: key_unavailable"]
    assert trail.events[0]["jwt.kid"] == "key-9"
    assert trail.events[0]["jwt.verified"] is False


def test_a_key_that_cannot_be_had_says_nothing_of_other_tokens(trail: Trail) -> None:
    token = jwks.signed("key-1")
    trail.clear()
    with action("test"):
        jwt.get_unverified_header(token)
        look_up("key-9")
    look_up("key-9")
    assert trail.names == []


@pytest.mark.parametrize("header", [{"alg": "HS256", "b64": False}, {"alg": "HS256", "b64": False, "crit": ["b64"]}])
def test_a_key_that_brings_its_algorithm_needs_no_algorithms(header: dict[str, Any], trail: Trail) -> None:
    """Since PyJWT 2.10 a ``PyJWK`` says how it is to be used: the call is in order, and the token is not."""
    key = base64.urlsafe_b64encode(KEY.encode()).decode().rstrip("=")
    with pytest.raises((jwt.InvalidTokenError, TypeError)):
        jwt.decode(forged(header, b""), jwt.PyJWK({"kty": "oct", "k": key, "alg": "HS256"}))
    assert trail.names == [f"jwt.rejected: {'malformed' if PYJWT >= (2, 10) else 'application_error'}"]
