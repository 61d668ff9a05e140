"""Verdicts: how several looks at one token become one.

Libraries look at a token several times: they peek at its header, verify it, verify it again without its
expiry, ask a blocklist. Three rules turn these looks into a verdict. A later success overrides an earlier
failure only if it made the check that failed. What a library or the framework says overrides PyJWT's success.
What the status says comes last.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import IntFlag
from functools import partial
from typing import Any, Final, NamedTuple

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.bounds import INT64_MIN, Scalar, Value, as_texts
from opentelemetry.instrumentation.pyjwt.facts import TokenFacts


class Check(IntFlag):
    """What a look at a token can check. The first row is reported, the second only orders failures."""

    SIGNATURE = 1
    EXP = 2
    NBF = 4
    IAT = 8
    AUD = 16
    ISS = 32
    SUB = 64
    JTI = 128
    REVOCATION = 256

    CALL = 1 << 16  # the application's call made sense
    STRUCTURE = 1 << 17  # the token could be parsed
    KEY = 1 << 18  # its key could be had
    ALGORITHM = 1 << 19  # its algorithm is allowed and suits the key
    CLAIM = 1 << 20  # claims that must be there, and the application's own rules


# A signature that has been checked was checked on a parsed token, with a key, in a call that made sense.
_SIGNATURE: Final = int(Check.SIGNATURE)
_SIGNATURE_AND_KEY: Final = int(Check.SIGNATURE | Check.ALGORITHM | Check.KEY)
_IMPLIED_BY_SIGNATURE: Final = int(Check.CALL | Check.STRUCTURE) | _SIGNATURE_AND_KEY
_REPORTED: Final = tuple(
    (int(check), check.name.lower()) for check in Check if check.name is not None and check <= Check.REVOCATION
)


class Look(NamedTuple):
    """One look at one token, as PyJWT's own steps showed it."""

    identity: int  # of the token as presented, see token.identity
    facts: TokenFacts
    passed: int  # Check flags that passed
    failed: int = 0  # the Check flag that failed, or none
    reason: str | None = None  # why, one of semconv's reasons
    claims_read: bool = True  # whether the caller got, or asked for, the claims


class Verdict(NamedTuple):
    """What happened to one token: an event in the making."""

    name: str
    time_unix_nano: int
    attributes: dict[str, Value]
    reason: str | None = None
    entry: Entry | None = None  # the token it is about; none for a revocation


# What Look(...) and Verdict(...) do, without a Python frame.
new_look: Callable[[tuple[int, TokenFacts, int, int, str | None, bool]], Look]
new_look = partial(tuple.__new__, Look)
_verdict: Callable[[tuple[str, int, dict[str, Value], str | None, Entry | None]], Verdict]
_verdict = partial(tuple.__new__, Verdict)


class Entry:
    """One token in one request: everything its looks have shown."""

    checks = 0  # Check flags of the checks made
    failures: tuple[tuple[int, str], ...] = ()  # (check, reason), outstanding, oldest first
    refusal: str | None = None  # what a library or a revocation list said
    claims_read = False
    denied = False  # whether a permission check said no
    scopes: tuple[Scope, ...] = ()
    status: int | None = None  # the response's, if it is about this token
    renewed: Entry | None = None  # the token that this one, minted with its jti, prolongs
    reported: tuple[str, str | None] | None = None
    judged: dict[str, Value] | None = None  # attributes of the last verdict

    def __init__(self, identity: int, facts: TokenFacts, origin: Any, *, minted: bool = False) -> None:
        self.identity = identity
        self.facts = facts
        self.origin = origin  # where it was seen last: opaque here, the emitter's business
        self.minted = minted
        self.time_unix_nano = time.time_ns()

    @property
    def accepted(self) -> bool:
        """Verified, and nothing said no to it."""
        return self.facts.verified and not self.failures and self.refusal is None and not self.minted

    @property
    def conclusive(self) -> bool:
        """Verified or refused, rather than minted or merely read."""
        return not self.minted and (self.facts.verified or bool(self.failures) or self.refusal is not None)

    @property
    def sufficient(self) -> bool:
        """Whether every scope asked for so far was granted."""
        return all(scope.judge(self.facts)[0] for scope in self.scopes)

    def outlived_by(self, minted: TokenFacts) -> bool:
        """Whether a token minted with the jti of this one, which was presented, is a new one: it expires later."""
        own, new = self.facts.shown.get(semconv.EXP), minted.shown.get(semconv.EXP)
        return not self.minted and isinstance(own, int) and isinstance(new, int) and new > own

    def add(self, look: Look) -> None:
        """Take one more look into account."""
        _, facts, passed, failed, reason, claims_read = look
        verified = passed & _SIGNATURE
        if verified or not self.facts.verified:
            self.facts = facts
        self.checks |= passed | failed
        if claims_read:
            self.claims_read = True
        if verified and self.failures:
            made = passed | _IMPLIED_BY_SIGNATURE
            self.failures = tuple(failure for failure in self.failures if not failure[0] & made)
        # That some other key does not fit says nothing against a signature one key has verified.
        if failed and not (failed & _SIGNATURE_AND_KEY and self.facts.verified):
            others = tuple(failure for failure in self.failures if failure[0] != failed)
            self.failures = (*others, (failed, reason or semconv.REFUSED))


class Scope(NamedTuple):
    """A comparison of what an endpoint requires with what a token grants."""

    required: tuple[str, ...]
    granted: tuple[str, ...] | None  # as told; None: what the token grants
    allowed: bool | None  # the application's own decision, if it told

    def judge(self, facts: TokenFacts) -> tuple[bool, tuple[str, ...]]:
        """Whether the scope suffices, and what is missing."""
        granted = self.granted if self.granted is not None else facts.scopes or ()
        missing = tuple(scope for scope in self.required if scope not in granted)
        if self.allowed is None:
            return not missing, missing
        return self.allowed, () if self.allowed else missing


def judge(entry: Entry, parent: Entry | None) -> Verdict | None:
    """The verdict on a token as its request is decided; ``None`` if there is none, or none that is new.

    Args:
        entry: the token.
        parent: the refresh token that tokens minted in this request come from.
    """
    if entry.minted:
        if entry.reported:
            return None
        name, reason, attributes = semconv.ISSUED, None, entry.facts.shown.copy()
        if entry.renewed is not None and entry.renewed.accepted:
            parent = entry.renewed
        if parent is not None:
            name = semconv.REFRESHED
            if (jti := parent.facts.shown.get(semconv.JTI)) is not None:
                attributes[semconv.PARENT_JTI] = jti
        verdict: Verdict | None = Verdict(name, entry.time_unix_nano, attributes, reason, entry)
    else:
        verdict = preview(entry)
    if verdict is None:
        return None
    entry.judged = verdict.attributes
    if entry.reported == (verdict.name, verdict.reason):
        return None
    entry.reported = (verdict.name, verdict.reason)
    return verdict


def preview(entry: Entry) -> Verdict | None:
    """What the verdict on a token is as things stand; ``None`` if only its header was read."""
    if entry.minted:
        return judge_minted_alone(entry.facts)
    name, reason = _outcome(entry)
    if name == semconv.UNVERIFIED and not entry.claims_read:
        return None
    attributes = _attributes(entry.facts, entry.checks, entry.time_unix_nano, name, reason)
    if entry.scopes:
        _add_scopes(attributes, entry)
    return _verdict((name, entry.time_unix_nano, attributes, reason, entry))


def judge_alone(look: Look) -> Verdict | None:
    """The verdict on a look outside any request: nothing else will be known."""
    _, facts, passed, failed, reason, claims_read = look
    if failed:
        name = semconv.REJECTED
    elif facts.verified:
        name = semconv.VALIDATED
    elif claims_read:
        name = semconv.UNVERIFIED
    else:
        return None
    now = time.time_ns()
    return _verdict((name, now, _attributes(facts, passed | failed, now, name, reason), reason, None))


def judge_minted_alone(facts: TokenFacts) -> Verdict:
    """The verdict on a token minted outside any request."""
    return Verdict(semconv.ISSUED, time.time_ns(), facts.shown.copy(), None, None)


def _outcome(entry: Entry) -> tuple[str, str | None]:
    """Name of the event of a presented token, and the reason if it is a rejection."""
    if entry.refusal is not None:
        return semconv.REJECTED, entry.refusal
    if entry.failures:
        return semconv.REJECTED, entry.failures[-1][1]
    if not entry.facts.verified:
        return semconv.UNVERIFIED, None
    if entry.denied or entry.status == 403 or not entry.sufficient:
        return semconv.DENIED, None
    if entry.status == 401:
        return semconv.REJECTED, semconv.REFUSED
    return semconv.VALIDATED, None


def _attributes(facts: TokenFacts, checks: int, time_unix_nano: int, name: str, reason: str | None) -> dict[str, Value]:
    attributes = facts.shown.copy()
    exp = attributes.get(semconv.EXP)
    if exp is not None:
        left = exp - time_unix_nano // 1_000_000_000  # type: ignore[operator]  # an int
        attributes[semconv.EXPIRES_IN] = left if left > INT64_MIN else INT64_MIN
    if made := _CHECKS_OF[checks & _ALL_REPORTED]:
        attributes[semconv.CHECKS] = made
    attributes[semconv.OUTCOME] = _OUTCOMES[name]
    if reason is not None:
        attributes[semconv.REASON] = reason
    return attributes


def _add_scopes(attributes: dict[str, Value], entry: Entry) -> None:
    granted: dict[str, None] = {}
    required: dict[str, None] = {}
    missing: dict[str, None] = {}
    told = [scope.granted for scope in entry.scopes if scope.granted is not None]
    if told and len(told) < len(entry.scopes):  # some of it against the token's own scopes, which are granted too
        told.insert(0, entry.facts.scopes or ())
    for scopes in told:
        granted.update(dict.fromkeys(scopes))
    for scope in entry.scopes:
        required.update(dict.fromkeys(scope.required))
        missing.update(dict.fromkeys(scope.judge(entry.facts)[1]))
    for key, values in (
        (semconv.SCOPE_GRANTED, granted),
        (semconv.SCOPE_REQUIRED, required),
        (semconv.SCOPE_MISSING, missing),
    ):
        if values:
            attributes[key] = as_texts(list(values))
    attributes[semconv.SCOPE_OUTCOME] = "sufficient" if entry.sufficient else "insufficient"


def judge_revocation(attributes: dict[str, Value]) -> Verdict:
    """The verdict on a revocation is that it happened."""
    return Verdict(semconv.REVOKED, time.time_ns(), attributes, None, None)


def key_of(facts: TokenFacts) -> tuple[object, ...] | None:
    """What makes two spellings one token: issuer and jti; and its use, for pairs exist that share a jti."""
    jti = facts.shown.get(semconv.JTI)
    return None if jti is None else (facts.shown.get(semconv.ISS), jti, facts.token_use)


_OUTCOMES: Final = {
    semconv.VALIDATED: "valid",
    semconv.DENIED: "valid",
    semconv.REJECTED: "invalid",
    semconv.UNVERIFIED: "unverified",
}
_ALL_REPORTED: Final = sum(check for check, _ in _REPORTED)
# By flags: the names of the checks, ready made.
_CHECKS_OF: Final[tuple[list[Scalar], ...]] = tuple(
    [name for check, name in _REPORTED if flags & check] for flags in range(_ALL_REPORTED + 1)
)
