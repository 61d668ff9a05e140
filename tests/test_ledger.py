"""The ledger: several looks at a token in one request become one verdict."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt.bounds import frozen
from opentelemetry.instrumentation.pyjwt.facts import TokenFacts
from opentelemetry.instrumentation.pyjwt.ledger import Ledger
from opentelemetry.instrumentation.pyjwt.verdict import Check, Entry, Verdict
from tests.looks import (
    SIGNATURE,
    VERIFIED,
    Step,
    bad_signature,
    deny,
    exchanged,
    expired,
    failed,
    header_read,
    look,
    mint,
    no_key,
    passed,
    peek,
    refuse,
    scopes,
    settled,
    shown,
    without_exp,
)


def decide(*steps: Step, status: int | None = 200) -> list[Verdict]:
    """The verdicts on a request that saw this."""
    ledger = Ledger()
    for step in steps:
        assert step(ledger) == []  # nothing is due before the response starts
    verdicts = ledger.close(status)
    assert ledger.close(500) == []
    return verdicts


ROWS: dict[str, tuple[list[Step], int | None, list[str]]] = {
    "nothing": ([], 200, []),
    "verified": ([look()], 200, ["jwt.validated"]),
    "verified, no status": ([look()], None, ["jwt.validated"]),
    "verified twice": ([look(), look()], 200, ["jwt.validated"]),
    "read unverified": ([peek()], 200, ["jwt.unverified"]),
    "read unverified, 401": ([peek()], 401, ["jwt.unverified"]),
    "header read": ([header_read()], 200, []),
    "header read, then claims unverified": ([header_read(), peek()], 200, ["jwt.unverified"]),
    "header read, then verified": ([header_read(), look()], 200, ["jwt.validated"]),
    "read unverified, then verified": ([peek(), look()], 200, ["jwt.validated"]),
    "verified, then read unverified": ([look(), peek()], 200, ["jwt.validated"]),
    "key rotation": ([bad_signature, look()], 200, ["jwt.validated"]),
    "key rotation, the other way": ([look(), bad_signature], 200, ["jwt.validated"]),
    "another key's algorithm, then verified": (
        [failed(Check.ALGORITHM, "invalid_algorithm"), look()],
        200,
        ["jwt.validated"],
    ),
    "no key fits": ([bad_signature, bad_signature], 401, ["jwt.rejected: invalid_signature"]),
    "two failures: the last": (
        [bad_signature, failed(Check.ALGORITHM, "invalid_key")],
        401,
        ["jwt.rejected: invalid_key"],
    ),
    "expired, then more leeway": ([expired, look()], 200, ["jwt.validated"]),
    "expired, then without exp": ([expired, without_exp], 200, ["jwt.rejected: expired"]),
    "without exp, then expired": ([without_exp, expired], 401, ["jwt.rejected: expired"]),
    "expired, then a peek": ([expired, peek()], 401, ["jwt.rejected: expired"]),
    "without exp alone": ([without_exp], 200, ["jwt.validated"]),
    "another audience, then the right one": (
        [failed(Check.AUD, "invalid_audience", VERIFIED), look(VERIFIED | Check.AUD)],
        200,
        ["jwt.validated"],
    ),
    "another audience, then none asked for": (
        [failed(Check.AUD, "invalid_audience", VERIFIED), look()],
        200,
        ["jwt.rejected: invalid_audience"],
    ),
    "a wrong call, then a right one": ([failed(Check.CALL, "application_error"), look()], 200, ["jwt.validated"]),
    "peek, then no key": ([peek(), no_key], 401, ["jwt.rejected: key_unavailable"]),
    "no key, then one": ([no_key, look()], 200, ["jwt.validated"]),
    "verified, then another endpoint's key missing": ([look(), no_key], 200, ["jwt.validated"]),
    "peek, its key unavailable": ([peek(), lambda it: it.key_unavailable("k")], 401, ["jwt.rejected: key_unavailable"]),
    "another's key unavailable": ([peek(), lambda it: it.key_unavailable("x")], 200, ["jwt.unverified"]),
    "verified, a key unavailable": ([look(), lambda it: it.key_unavailable("k")], 200, ["jwt.validated"]),
    "verified, then revoked": ([look(), refuse("revoked")], 401, ["jwt.rejected: revoked"]),
    "verified, then of the wrong type": ([look(), refuse("wrong_type")], 401, ["jwt.rejected: wrong_type"]),
    "verified, then refused": ([look(), refuse("refused", "t1")], 200, ["jwt.rejected: refused"]),
    "settled, then revoked": ([look(), settled, refuse("revoked")], 401, ["jwt.validated"]),
    "revoked, then settled": ([look(), refuse("revoked"), settled], 401, ["jwt.rejected: revoked"]),
    "settled, then another refused": (
        [look(), settled, look(token="t2")],
        401,
        ["jwt.validated", "jwt.rejected: refused"],
    ),
    "revoked, then decoded again": ([look(), refuse("revoked"), look()], 401, ["jwt.rejected: revoked"]),
    "revoked before it was verified": ([peek(), refuse("revoked", "t1")], 401, ["jwt.rejected: revoked"]),
    "revoked before, then verified": ([peek(), refuse("revoked"), look()], 401, ["jwt.rejected: revoked"]),
    "of the wrong type, then taken by another": (
        [look(), refuse("wrong_type"), passed("wrong_type")],
        200,
        ["jwt.validated"],
    ),
    "of the wrong type, another taken": (
        [look(), look(token="t2"), refuse("wrong_type", "t1"), passed("wrong_type", "t2")],
        401,
        ["jwt.rejected: wrong_type", "jwt.validated"],
    ),
    "refused, and of the right type": (
        [look(), refuse("refused"), passed("wrong_type")],
        401,
        ["jwt.rejected: refused"],
    ),
    "revoked by one list, not on another": (
        [look(), refuse("revoked"), passed("revoked")],
        401,
        ["jwt.rejected: revoked"],
    ),
    "revoked, and of the wrong type": (
        [look(), refuse("revoked"), refuse("wrong_type")],
        401,
        ["jwt.rejected: revoked"],
    ),
    "of the wrong type, and revoked": (
        [look(), refuse("wrong_type"), refuse("revoked")],
        401,
        ["jwt.rejected: revoked"],
    ),
    "not on the list": ([look(), passed("revoked")], 200, ["jwt.validated"]),
    "nothing to pass": ([passed("revoked"), passed("wrong_type")], 200, []),
    "nothing to refuse": ([refuse("revoked")], 401, []),
    "another refused": ([look(), refuse("revoked", "t9")], 200, ["jwt.validated"]),
    "of the wrong type, then of the right one": (
        [look(), refuse("wrong_type"), passed("wrong_type")],
        200,
        ["jwt.validated"],
    ),
    "refused, then of the right type": (
        [look(), refuse("refused"), passed("wrong_type")],
        200,
        ["jwt.rejected: refused"],
    ),
    "another of the right type": (
        [look(), refuse("wrong_type"), passed("wrong_type", "t9")],
        422,
        ["jwt.rejected: wrong_type"],
    ),
    "not revoked": ([look(), passed("revoked", "t1")], 200, ["jwt.validated"]),
    "expired, then refused": ([expired, refuse("refused")], 401, ["jwt.rejected: expired"]),
    "expired, then revoked": ([expired, refuse("revoked")], 401, ["jwt.rejected: revoked"]),
    "unread, then revoked": ([header_read(), refuse("revoked", spelling="t1")], 401, ["jwt.rejected: revoked"]),
    "unread, not revoked": ([header_read(), passed("revoked", spelling="t1")], 401, []),
    "the other one refused": (
        [look(), look(token="t2"), refuse("refused", spelling="t1")],
        200,
        ["jwt.rejected: refused", "jwt.validated"],
    ),
    "nobody knows the one refused": ([look(), refuse("refused", spelling="t9")], 200, ["jwt.validated"]),
    "minted, and refused": ([mint(), refuse("refused", spelling="new")], 200, ["jwt.issued"]),
    "verified, 401": ([look()], 401, ["jwt.rejected: refused"]),
    "verified, 403": ([look()], 403, ["jwt.denied"]),
    "verified, 404": ([look()], 404, ["jwt.validated"]),
    "verified, 500": ([look()], 500, ["jwt.validated"]),
    "expired, 403": ([expired], 403, ["jwt.rejected: expired"]),
    "expired, yet served": ([expired], 200, ["jwt.rejected: expired"]),
    "scope granted": ([look(scope="a b"), scopes("a")], 200, ["jwt.validated"]),
    "scope granted, yet 403": ([look(scope="a b"), scopes("a")], 403, ["jwt.denied"]),
    "scope missing, 403": ([look(scope="a"), scopes("a b")], 403, ["jwt.denied"]),
    "scope missing, 401": ([look(scope="a"), scopes("b")], 401, ["jwt.denied"]),
    "scope missing, yet served": ([look(scope="a"), scopes("b")], 200, ["jwt.denied"]),
    "scope asked for first": ([scopes("b"), look(scope="a")], 200, ["jwt.denied"]),
    "scope as told": ([look(), scopes("b", "b c")], 200, ["jwt.validated"]),
    "the application's own yes": ([look(), scopes("b", allowed=True)], 200, ["jwt.validated"]),
    "the application's own no": ([look(scope="b"), scopes("b", allowed=False)], 200, ["jwt.denied"]),
    "one of two scopes missing": ([look(scope="a"), scopes("a"), scopes("b")], 200, ["jwt.denied"]),
    "scope of no token": ([scopes("b")], 403, []),
    "scope missing, but revoked": ([look(), scopes("b"), refuse("revoked")], 403, ["jwt.rejected: revoked"]),
    "no permission, yet served": ([look(), deny], 200, ["jwt.denied"]),
    "no permission, 401": ([look(scope="a"), scopes("a"), deny], 401, ["jwt.denied"]),
    "no permission, but expired": ([expired, deny], 403, ["jwt.rejected: expired"]),
    "no permission, but revoked": ([look(), deny, refuse("revoked")], 403, ["jwt.rejected: revoked"]),
    "no permission, then another token": (
        [look(), deny, look(token="t2")],
        200,
        ["jwt.denied", "jwt.validated"],
    ),
    "no permission, and no token": ([deny, look()], 200, ["jwt.validated"]),
    "minted": ([mint()], 200, ["jwt.issued"]),
    "minted twice": ([mint(), mint()], 200, ["jwt.issued"]),
    "minted, then decoded": ([mint(), look(token="new")], 200, ["jwt.issued"]),
    "minted, then decoded, 403": ([mint(), look(token="new")], 403, ["jwt.issued"]),
    "minted, then decoded in another spelling": ([mint(), look(token="new", spelling="New")], 200, ["jwt.issued"]),
    "verified, then encoded again": ([look(), mint("t1")], 200, ["jwt.validated"]),
    "refresh": (
        [look(token_use="refresh"), mint("a", token_use="access"), mint("r", token_use="refresh")],
        200,
        ["jwt.validated", "jwt.refreshed", "jwt.refreshed"],
    ),
    "verified, then encoded anew with a longer life": (
        [look(exp=1000), mint("t1", "T1", exp=1300)],
        200,
        ["jwt.validated", "jwt.refreshed"],
    ),
    "verified, then encoded anew with the same": ([look(exp=1000), mint("t1", "T1", exp=1000)], 200, ["jwt.validated"]),
    "expired, then encoded anew": (
        [failed(Check.EXP, "expired", SIGNATURE, exp=1000), mint("t1", "T1", exp=1300)],
        200,
        ["jwt.rejected: expired", "jwt.issued"],
    ),
    "encoded anew, and once more with another claim": (
        [look(exp=1000), mint("t1", "T1", exp=1300), mint("t1", "T2", exp=1300, sid="s")],
        200,
        ["jwt.validated", "jwt.refreshed"],
    ),
    "minted twice, the second time with a longer life": (
        [mint(exp=1000), mint(spelling="New", exp=1300)],
        200,
        ["jwt.issued"],
    ),
    "minted with an access token": ([look(token_use="access"), mint()], 200, ["jwt.validated", "jwt.issued"]),
    "minted with an expired refresh token": (
        [failed(Check.EXP, "expired", SIGNATURE, token_use="refresh"), mint()],
        200,
        ["jwt.rejected: expired", "jwt.issued"],
    ),
    "minted with an unverified refresh token": (
        [peek(token_use="refresh"), mint()],
        200,
        ["jwt.unverified", "jwt.issued"],
    ),
    "two tokens, 403 is about the last": ([look(), look(token="t2")], 403, ["jwt.validated", "jwt.denied"]),
    "two tokens, the first again": (
        [look(), look(token="t2"), look()],
        401,
        ["jwt.rejected: refused", "jwt.validated"],
    ),
    "two tokens, one bad": (
        [look(), failed(Check.EXP, "expired", token="t2")],
        200,
        ["jwt.validated", "jwt.rejected: expired"],
    ),
    "one token in two spellings": ([look(), look(spelling="T1")], 200, ["jwt.validated"]),
    "a forgery with its jti": (
        [look(), failed(SIGNATURE, "invalid_signature", spelling="T1")],
        200,
        ["jwt.validated", "jwt.rejected: invalid_signature"],
    ),
    "one jti, two uses": (
        [look(token_use="access"), look(spelling="T1", token_use="refresh")],
        200,
        ["jwt.validated"] * 2,
    ),
    "one jti, two issuers": ([look(), look(spelling="T1", iss="you")], 200, ["jwt.validated"] * 2),
    "a revocation": ([lambda it: it.revoked({"jwt.jti": "t9"})], 204, ["jwt.revoked"]),
}


@pytest.mark.parametrize("title", ROWS)
def test_looks_become_a_verdict(title: str) -> None:
    steps, status, verdicts = ROWS[title]
    assert shown(decide(*steps, status=status)) == verdicts


def attributes_of(*steps: Step, status: int | None = 200) -> dict[str, Any]:
    (verdict,) = decide(*steps, status=status)
    return frozen(verdict.attributes)


def test_the_outcome_goes_with_the_event() -> None:
    assert attributes_of(look())["jwt.validation.outcome"] == "valid"
    assert attributes_of(look(), status=403)["jwt.validation.outcome"] == "valid"
    assert attributes_of(expired)["jwt.validation.outcome"] == "invalid"
    assert attributes_of(peek())["jwt.validation.outcome"] == "unverified"
    assert "jwt.validation.outcome" not in attributes_of(mint())


def test_checks_of_all_looks_are_told() -> None:
    assert attributes_of(expired, without_exp)["jwt.validation.checks"] == ("signature", "exp")
    assert attributes_of(without_exp)["jwt.validation.checks"] == ("signature",)
    assert attributes_of(look(), refuse("revoked"))["jwt.validation.checks"] == ("signature", "exp", "revocation")
    assert attributes_of(look(), passed("revoked"))["jwt.validation.checks"] == ("signature", "exp", "revocation")
    assert "revocation" not in attributes_of(look(), refuse("wrong_type"))["jwt.validation.checks"]
    assert "revocation" not in attributes_of(look(), passed("wrong_type"))["jwt.validation.checks"]
    assert "jwt.validation.checks" not in attributes_of(peek())


def test_a_forgery_does_not_change_what_was_verified() -> None:
    assert attributes_of(look(), peek(sub="mallory"))["jwt.sub"] == "alice"
    assert attributes_of(peek(sub="mallory"), look())["jwt.sub"] == "alice"
    assert attributes_of(peek(), refuse("revoked"))["jwt.verified"] is False


def test_a_renewed_token_has_the_old_one_for_a_parent() -> None:
    old, new = decide(look(exp=1000, token_use="access"), mint("t1", "T1", exp=1300, token_use="access"))
    assert (old.attributes["jwt.exp"], new.attributes["jwt.exp"]) == (1000, 1300)
    assert new.attributes["jwt.parent.jti"] == new.attributes["jwt.jti"] == "t1"


def test_scopes_are_told_apart() -> None:
    told = attributes_of(look(scope="a c"), scopes("a b"), scopes("c a d"))
    assert told["jwt.scope.granted"] == ("a", "c")
    assert told["jwt.scope.required"] == ("a", "b", "c", "d")
    assert told["jwt.scope.missing"] == ("b", "d")
    assert told["jwt.scope.outcome"] == "insufficient"
    told = attributes_of(look(scope="a"), scopes("b", "a b"))
    assert (told["jwt.scope.granted"], told["jwt.scope.outcome"]) == (("a", "b"), "sufficient")
    assert "jwt.scope.missing" not in told
    told = attributes_of(look(scope="a:*"), scopes("a:b c", allowed=False, missing="c"))
    assert (told["jwt.scope.missing"], told["jwt.scope.outcome"]) == (("c",), "insufficient")
    told = attributes_of(look(scope="a"), scopes("b", "b c"), scopes("a"))
    assert (told["jwt.scope.granted"], told["jwt.scope.outcome"]) == (("a", "b", "c"), "sufficient")
    assert "jwt.scope.outcome" not in attributes_of(look(scope="a"))
    assert "jwt.scope.granted" not in attributes_of(look(), scopes("b"))


def test_tokens_minted_in_a_refresh_name_the_last_refresh_token() -> None:
    verdicts = decide(look(token="r1", token_use="refresh"), look(token="r2", token_use="refresh"), mint("a"))
    assert verdicts[2].attributes["jwt.parent.jti"] == "r2"
    r1, r2 = (look(token=token, token_use="refresh") for token in ("r1", "r2"))
    assert decide(r1, r2, r1, mint("a"))[2].attributes["jwt.parent.jti"] == "r1"
    verdicts = decide(mint("a"), look(token="r1", token_use="refresh"))  # minted before it was checked
    assert (verdicts[0].name, verdicts[0].attributes["jwt.parent.jti"]) == ("jwt.refreshed", "r1")
    verdicts = decide(look(token="r1", token_use="refresh"), refuse("revoked"), mint("a"))
    assert "jwt.parent.jti" not in verdicts[1].attributes


def test_tokens_minted_name_what_was_exchanged() -> None:
    access = look(token="a1", token_use="access")
    old, new = decide(access, exchanged, mint("a2"))
    assert (old.name, new.name, new.attributes["jwt.parent.jti"]) == ("jwt.validated", "jwt.refreshed", "a1")
    refresh = look(token="r1", token_use="refresh")
    assert decide(refresh, access, exchanged, mint("a2"))[2].attributes["jwt.parent.jti"] == "a1"
    assert shown(decide(access, exchanged, refuse("revoked"), mint("a2"))) == ["jwt.rejected: revoked", "jwt.issued"]
    assert shown(decide(exchanged, mint("a2"))) == ["jwt.issued"]


def test_what_was_exchanged_may_be_no_jwt() -> None:
    old, new = decide(
        look(token="a1"), partial(exchanged, entry=Entry(7, TokenFacts({}, None, None, None, False), None)), mint("a2")
    )
    assert (old.name, new.name) == ("jwt.validated", "jwt.refreshed")
    assert "jwt.parent.jti" not in new.attributes


def test_the_current_token_is_the_one_verified_last_and_accepted() -> None:
    ledger = Ledger()
    assert ledger.token() is None
    peek()(ledger)
    assert ledger.token() is None
    look(token="t1")(ledger)
    look(token="t2")(ledger)
    assert ledger.token().jti == "t2"  # type: ignore[union-attr]
    refuse("revoked")(ledger)
    assert ledger.token().jti == "t1"  # type: ignore[union-attr]
    failed(Check.EXP, "expired", SIGNATURE, token="t1")(ledger)
    assert ledger.token() is None
