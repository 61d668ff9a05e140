"""Words for what a ledger sees: looks at tokens, refusals, scopes, minting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.instrumentation.pyjwt.ledger import Ledger
from opentelemetry.instrumentation.pyjwt.token import TokenReader
from opentelemetry.instrumentation.pyjwt.verdict import Check, Entry, Look, Scope, Verdict

READER = TokenReader()
SIGNATURE = Check.SIGNATURE
VERIFIED = SIGNATURE | Check.EXP
Step = Callable[[Ledger], list[Verdict]]


def facts(verified: bool, token: str, **claims: Any) -> Any:
    return READER.read(
        token, {"alg": "HS256", "kid": "k"}, {"jti": token, "iss": "me", "sub": "alice", **claims}, verified
    )


def look(
    passed: int = VERIFIED,
    failed: int = 0,
    reason: str | None = None,
    *,
    token: str = "t1",
    spelling: str | None = None,
    read: bool = True,
    **claims: Any,
) -> Step:
    """A look at a token: the checks that passed, the one that failed, and why."""
    seen = facts(bool(passed & SIGNATURE), token, **claims)
    return lambda ledger: ledger.presented(
        Look(hash(spelling or token), seen, int(passed), int(failed), reason, claims_read=read)
    )


def peek(**claims: Any) -> Step:
    return look(0, **claims)


def header_read(**claims: Any) -> Step:
    return look(0, read=False, **claims)


def failed(check: int, reason: str, passed: int = 0, **claims: Any) -> Step:
    return look(passed, check, reason, **claims)


def mint(token: str = "new", spelling: str | None = None, **claims: Any) -> Step:
    return lambda ledger: ledger.minted(hash(spelling or token), facts(True, token, **claims))


def refuse(reason: str, jti: str | None = None, *, spelling: str | None = None) -> Step:
    return lambda ledger: ledger.refused(reason, jti=jti, identity=None if spelling is None else hash(spelling))


def passed(reason: str, jti: str | None = None, *, spelling: str | None = None) -> Step:
    return lambda ledger: ledger.passed(reason, jti=jti, identity=None if spelling is None else hash(spelling))


def scopes(required: str, granted: str | None = None, allowed: bool | None = None, missing: str | None = None) -> Step:
    scope = Scope(
        required.split(),
        None if granted is None else granted.split(),
        allowed,
        None if missing is None else missing.split(),
    )
    return lambda ledger: ledger.scope_checked(scope)


def deny(ledger: Ledger) -> list[Verdict]:
    return ledger.denied()


def settled(ledger: Ledger) -> list[Verdict]:
    ledger.settled()
    return []


def exchanged(ledger: Ledger, entry: Entry | None = None) -> list[Verdict]:
    ledger.exchanged(entry)
    return []


def shown(verdicts: list[Verdict]) -> list[str]:
    return [f"{verdict.name}: {verdict.reason}" if verdict.reason else verdict.name for verdict in verdicts]


expired = failed(Check.EXP, "expired", SIGNATURE)
bad_signature = failed(SIGNATURE, "invalid_signature")
no_key = failed(Check.KEY, "key_unavailable")
without_exp = look(SIGNATURE)
