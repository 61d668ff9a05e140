"""``jwt.validation.checks`` are the checks PyJWT made, not those somebody asked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import jwt
import pytest

from opentelemetry.instrumentation.pyjwt import action
from tests.capture.entry_points import attempt
from tests.capture.forge import forged
from tests.support import ISSUER, KEY, OTHER_KEY, Trail, claims, mint

NOW = claims()["iat"]
PEEK = {"verify_signature": False}
EXPIRED = partial(mint, exp=NOW - 10, iat=NOW - 100)
# What PyJWT has by itself beyond signature, exp and iat, for a token with sub and jti: since 2.10.
OF_STRINGS = " ".join(check for check in ("sub", "jti") if f"verify_{check}" in jwt.PyJWT().options)


class Case(NamedTuple):
    """A call that succeeds and the checks that it makes."""

    title: str
    checks: str
    token: Callable[[], str] = mint
    call: dict[str, Any] = {}  # noqa: RUF012  # never changed


CASES = [
    Case("the usual claims", "signature exp iat"),
    Case("nothing to check", "signature", partial(mint, exp=None, iat=None, sub=None, jti=None)),
    Case("no exp", "signature iat", partial(mint, exp=None)),
    Case("nbf", "signature exp nbf iat", partial(mint, nbf=NOW - 10)),
    Case("exp not wanted", "signature iat", mint, {"options": {"verify_exp": False}}),
    Case("exp not wanted, expired", "signature iat", EXPIRED, {"options": {"verify_exp": False}}),
    Case(
        "iat and nbf not wanted",
        "signature exp",
        partial(mint, nbf=NOW),
        {"options": {"verify_iat": False, "verify_nbf": False}},
    ),
    Case("leeway", "signature exp iat", EXPIRED, {"leeway": 600}),
    Case("leeway as timedelta", "signature exp iat", EXPIRED, {"leeway": timedelta(minutes=10)}),
    Case("issuer", "signature exp iat iss", mint, {"issuer": ISSUER}),
    Case("no issuer given", "signature exp iat", mint, {"issuer": None, "options": {"verify_iss": True}}),
    Case("issuer not wanted", "signature exp iat", mint, {"issuer": "me", "options": {"verify_iss": False}}),
    Case("audience", "signature exp iat aud", partial(mint, aud=["a", "b"]), {"audience": "a"}),
    Case("audiences", "signature exp iat aud", partial(mint, aud="a"), {"audience": ("a", "c")}),
    Case("empty audience, none given", "signature exp iat", partial(mint, aud=[])),
    Case("audience not wanted", "signature exp iat", partial(mint, aud="a"), {"options": {"verify_aud": False}}),
    Case(
        "audience and issuer", "signature exp iat aud iss", partial(mint, aud="a"), {"audience": "a", "issuer": ISSUER}
    ),
    Case("required and there", "signature exp iat", mint, {"options": {"require": ["exp", "sub"]}}),
]


def checks_of(trail: Trail) -> str:
    (event,) = trail.events
    return " ".join(event.get("jwt.validation.checks", ()))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_checks_made_are_told(case: Case, trail: Trail) -> None:
    token = case.token()
    trail.clear()
    jwt.decode(token, KEY, algorithms=["HS256"], **case.call)
    has_strings = case.title != "nothing to check"
    assert checks_of(trail) == " ".join(filter(None, (case.checks, OF_STRINGS if has_strings else "")))
    assert trail.names == ["jwt.validated"]
    assert trail.events[0]["jwt.verified"] is True


@pytest.mark.parametrize("call", [{"options": {"verify_exp": False}}, {"leeway": 600}], ids=["not checked", "leeway"])
def test_an_expired_token_that_was_accepted_shows_since_when(call: dict[str, Any], trail: Trail) -> None:
    token = EXPIRED()
    trail.clear()
    jwt.decode(token, KEY, ["HS256"], **call)
    assert -120 < trail.events[0]["jwt.expires_in"] < 0


def test_a_token_that_is_good_shows_for_how_long(trail: Trail) -> None:
    token = mint()
    trail.clear()
    jwt.decode(token, KEY, ["HS256"])
    assert 0 < trail.events[0]["jwt.expires_in"] <= 300


@pytest.mark.parametrize(("key", "name"), [(KEY, "jwt.validated"), (OTHER_KEY, "jwt.rejected: invalid_signature")])
def test_an_instance_that_does_not_want_signatures_checks_them_all_the_same(key: str, name: str, trail: Trail) -> None:
    instance = jwt.PyJWT({"verify_signature": False})
    token = mint()
    trail.clear()
    attempt(lambda: instance.decode(token, key, ["HS256"]))
    assert trail.names == [name]
    assert trail.events[0]["jwt.verified"] is (key == KEY)
    if key == KEY:
        wanted = [check for check in ("exp", "iat", "sub", "jti") if instance.options.get(f"verify_{check}")]
        assert checks_of(trail) == " ".join(["signature", *wanted])


@pytest.mark.parametrize("where", ["alone", "action"])
def test_a_peek_is_no_validation(where: str, trail: Trail) -> None:
    token = mint()
    trail.clear()
    if where == "action":
        with action("test"):
            jwt.decode(token, options=PEEK)
    else:
        jwt.decode(token, KEY, ["HS256"], options=PEEK)  # a key and algorithms do not make it one
    (event,) = trail.events
    assert event["event"] == "jwt.unverified"
    assert event["jwt.validation.outcome"] == "unverified"
    assert event["jwt.verified"] is False
    assert event["jwt.sub"] == "alice"
    assert "user.id" not in event
    assert "jwt.validation.checks" not in event
    assert "jwt.validation.reason" not in event


def test_a_peek_can_check_the_expiry(trail: Trail) -> None:
    good, late = mint(), EXPIRED()
    trail.clear()
    jwt.decode(good, options={**PEEK, "verify_exp": True})
    assert trail.names == ["jwt.unverified"]
    assert checks_of(trail) == "exp"
    trail.clear()
    attempt(lambda: jwt.decode(late, options={**PEEK, "verify_exp": True}))
    assert trail.names == ["jwt.rejected: expired"]
    assert checks_of(trail) == "exp"
    assert trail.events[0]["jwt.verified"] is False
    assert trail.events[0]["jwt.exp"] == NOW - 10


def test_a_forged_peek_shows_the_claims_that_were_read(trail: Trail) -> None:
    jwt.decode(forged(None, claims(sub="mallory"), key=OTHER_KEY), options=PEEK)
    (event,) = trail.events
    assert (event["event"], event["jwt.sub"]) == ("jwt.unverified", "mallory")


def test_a_jws_that_is_verified_within_a_decode_does_not_verify_the_jwt(trail: Trail) -> None:
    """A payload may hold a token of its own; its signature is not that of the token around it."""
    inner = jwt.api_jws.encode(b"{}", KEY, "HS256")

    class Nesting(jwt.PyJWT):
        def _decode_payload(self, decoded: dict[str, Any]) -> Any:
            jwt.api_jws.decode(inner, KEY, ["HS256"])
            return super()._decode_payload(decoded)

    token = mint()
    trail.clear()
    Nesting().decode(token, options=PEEK)
    assert trail.names == ["jwt.unverified"]
    assert trail.events[0]["jwt.verified"] is False


def test_a_subject_asked_for_is_checked(trail: Trail) -> None:
    """``subject=`` exists since PyJWT 2.10."""
    token = mint()
    trail.clear()
    if "verify_sub" not in jwt.PyJWT().options:
        with pytest.warns(DeprecationWarning, match="subject"):  # what 2.8 makes of it
            jwt.decode(token, KEY, ["HS256"], subject="bob")
        assert trail.names == ["jwt.validated"]
        return
    attempt(lambda: jwt.decode(token, KEY, ["HS256"], subject="bob"))
    assert trail.names == ["jwt.rejected: invalid_subject"]
    assert checks_of(trail) == "signature exp iat sub"
