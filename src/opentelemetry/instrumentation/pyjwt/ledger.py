"""The ledger of a request: which tokens were seen in it, and the verdict on each.

Libraries look at one token several times: they peek at its header, verify it, verify it again without its
expiry, ask a blocklist. A ledger collects these looks and gives one verdict for each token once the request
is decided, that is when its response starts. Outside a request a ledger lives for one look.

Three rules turn looks into a verdict. A later success overrides an earlier failure only if it made the check
that failed. What a library or the framework says overrides PyJWT's success. What the status says comes last.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from enum import IntFlag
from threading import Lock
from typing import Any, Final, NamedTuple

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.bounds import INT64_MIN, Value, as_texts
from opentelemetry.instrumentation.pyjwt.token import TokenFacts


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
    ALGORITHM = 1 << 20  # its algorithm is allowed and suits the key
    CLAIM = 1 << 19  # claims that must be there, and the application's own rules


# A signature that has been checked was checked on a parsed token, with a key, in a call that made sense.
_SIGNATURE: Final = int(Check.SIGNATURE)
_SIGNATURE_AND_KEY: Final = int(Check.SIGNATURE | Check.ALGORITHM | Check.KEY)
_IMPLIED_BY_SIGNATURE: Final = int(Check.CALL | Check.STRUCTURE) | _SIGNATURE_AND_KEY
_REVOCATION: Final = int(Check.REVOCATION)
_REPORTED: Final = tuple((int(check), check.name.lower()) for check in Check if check.name and check <= Check.REVOCATION)


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


class Entry:
    """One token in one request: everything its looks have shown."""

    __slots__ = (
        "checks",
        "claims_read",
        "facts",
        "failures",
        "identity",
        "key",
        "minted",
        "origin",
        "refusal",
        "reported",
        "scopes",
        "status",
        "time_unix_nano",
    )

    def __init__(self, identity: int, facts: TokenFacts, *, minted: bool, origin: object) -> None:
        self.identity = identity
        self.facts = facts
        self.minted = minted
        self.origin = origin  # where it was seen: opaque here, the emitter's business
        self.key = _key(facts) if minted else None
        self.checks = 0
        self.failures: list[tuple[int, str]] = []  # (check, reason), outstanding, oldest first
        self.refusal: str | None = None  # what a library or a revocation list said
        self.claims_read = False
        self.scopes: list[_Scope] = []
        self.status: int | None = None  # the response's, if it is about this token
        self.reported: tuple[str, str | None] | None = None
        self.time_unix_nano = 0

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

    def add(self, look: Look) -> None:
        """Take one more look into account."""
        verified = bool(look.passed & _SIGNATURE)
        if verified or not self.facts.verified:
            self.facts = look.facts
        self.checks |= look.passed | look.failed
        self.claims_read |= look.claims_read
        if verified:
            self.key = _key(look.facts)
            made = look.passed | _IMPLIED_BY_SIGNATURE
            self.failures = [failure for failure in self.failures if not failure[0] & made]
        # That some other key does not fit says nothing against a signature one key has verified.
        if look.failed and not (look.failed & _SIGNATURE_AND_KEY and self.facts.verified):
            self.failures = [failure for failure in self.failures if failure[0] != look.failed]
            self.failures.append((look.failed, look.reason or semconv.REFUSED))


class _Scope(NamedTuple):
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


class Ledger:
    """The tokens of one request, or of one piece of work without one.

    Args:
        describe: gives the request's attributes (method, route, client, user agent) when an event needs them.
        muted: nothing at all is recorded.
    """

    __slots__ = (
        "_attributes",
        "_describe",
        "_entries",
        "_lock",
        "_pending_scopes",
        "_revocations",
        "closed",
        "current",
        "muted",
        "span",
        "status",
    )

    def __init__(self, describe: Callable[[], Mapping[str, Value]] | None = None, *, muted: bool = False) -> None:
        self._describe = describe
        self._attributes: dict[str, Value] | None = None
        self._entries: list[Entry] = []
        self._revocations: list[Verdict] = []
        self._pending_scopes: list[_Scope] = []  # asked for before there was a token
        self._lock = Lock()
        self.muted = muted
        self.closed = False
        self.status: int | None = None  # HTTP status code, once known
        self.span: Any = None  # the request's SERVER span, opaque here
        self.current: Entry | None = None  # the token verified or refused last

    # --- what is seen ---------------------------------------------------------------------------------------

    def presented(self, look: Look, origin: object = None) -> list[Verdict]:
        """A token was looked at. Gives the verdicts due now: none while the request is undecided."""
        with self._lock:
            entry = self._find(look.identity, look.facts)
            if entry is None:
                entry = Entry(look.identity, look.facts, minted=False, origin=origin)
                self._entries.append(entry)
            entry.add(look)
            entry.origin = origin
            entry.time_unix_nano = time.time_ns()
            if entry.conclusive:
                self.current = entry
                if self._pending_scopes and entry.accepted:
                    entry.scopes, self._pending_scopes = entry.scopes + self._pending_scopes, []
            return self._due(entry)

    def minted(self, identity: int, facts: TokenFacts, origin: object = None) -> list[Verdict]:
        """A token was minted. A token already known is encoded again by libraries for their own ends."""
        with self._lock:
            entry = self._find(identity, facts, trusted=True)
            if entry is not None:
                if entry.minted:
                    entry.facts = facts
                return []
            entry = Entry(identity, facts, minted=True, origin=origin)
            entry.time_unix_nano = time.time_ns()
            self._entries.append(entry)
            return self._due(entry)

    def key_unavailable(self, kid: object) -> list[Verdict]:
        """The key ``kid`` could not be had: the newest unverified token that names it is not accepted."""
        with self._lock:
            for entry in reversed(self._entries):
                if not entry.facts.verified and not entry.minted and entry.facts.kid == kid:
                    look = Look(entry.identity, entry.facts, 0, int(Check.KEY), semconv.KEY_UNAVAILABLE)
                    entry.add(look)
                    self.current = entry
                    return self._due(entry)
            return []

    def refused(self, reason: str, *, jti: str | None = None) -> list[Verdict]:
        """A library or a revocation list refused a token: the one with ``jti``, or else the current one."""
        with self._lock:
            entry = self.current if jti is None else None
            for candidate in reversed(self._entries):
                if entry is None and not candidate.minted and jti in (None, candidate.facts.jti):
                    entry = candidate
            if entry is None:
                return []
            entry.refusal = reason
            if reason == semconv.TOKEN_REVOKED:
                entry.checks |= _REVOCATION
            self.current = entry
            return self._due(entry)

    def scope_checked(
        self, required: Iterable[str], granted: Iterable[str] | None = None, allowed: bool | None = None
    ) -> list[Verdict]:
        """Scopes were compared, for the current token or, before there is one, for the next."""
        scope = _Scope(
            tuple(dict.fromkeys(required)), None if granted is None else tuple(dict.fromkeys(granted)), allowed
        )
        with self._lock:
            entry = self.current
            if entry is None or not entry.accepted:
                self._pending_scopes.append(scope)
                return []
            entry.scopes.append(scope)
            return self._due(entry)

    def revoked(self, attributes: dict[str, Value]) -> list[Verdict]:
        """A token was put on a revocation list."""
        with self._lock:
            verdict = Verdict(semconv.REVOKED, time.time_ns(), attributes)
            if self.closed:
                return [verdict]
            self._revocations.append(verdict)
            return []

    # --- what is decided --------------------------------------------------------------------------------------

    def close(self, status: int | None = None) -> list[Verdict]:
        """The request is decided: the verdicts on all its tokens. Again: none."""
        with self._lock:
            if self.closed:
                return []
            self.closed = True
            self.status = status
            if not self._entries and not self._revocations:
                return []
            if self.current is not None:
                self.current.status = status
            parent = self._parent()
            verdicts = [verdict for entry in self._entries if (verdict := self._judge(entry, parent)) is not None]
            verdicts += self._revocations
            return verdicts

    def preview(self, identity: int) -> Verdict | None:
        """What the verdict on a presented token would be now; it stays open."""
        with self._lock:
            for entry in self._entries:
                if entry.identity == identity and not entry.minted:
                    name, reason = _outcome(entry)
                    if name != semconv.UNVERIFIED or entry.claims_read:
                        attributes = _presented_attributes(entry, name, reason)
                        return Verdict(name, entry.time_unix_nano, attributes, reason, entry)
            return None

    def attributes(self) -> Mapping[str, Value]:
        """The request's own attributes, read once and kept for what comes after the response started."""
        if self._attributes is None:
            self._attributes = dict(self._describe()) if self._describe is not None else {}
            if self.status is not None:
                self._attributes[semconv.HTTP_STATUS] = self.status
            self._describe = None
        return self._attributes

    def token(self) -> TokenFacts | None:
        """The token verified last and accepted so far."""
        with self._lock:
            accepted = [entry for entry in self._entries if entry.accepted]
            if self.current is not None and self.current.accepted:
                return self.current.facts
            return accepted[-1].facts if accepted else None

    # --- parts ----------------------------------------------------------------------------------------------

    def _find(self, identity: int, facts: TokenFacts, trusted: bool = False) -> Entry | None:
        """The entry of a token: by the token itself or, where its claims can be trusted, by its jti."""
        for entry in self._entries:
            if entry.identity == identity:
                return entry
        if (trusted or facts.verified) and (key := _key(facts)) is not None:
            for entry in self._entries:
                if entry.key == key:
                    return entry
        return None

    def _due(self, entry: Entry) -> list[Verdict]:
        """After the response has started a verdict is due at once, and again only if it changes."""
        if not self.closed:
            return []
        verdict = self._judge(entry, self._parent())
        return [] if verdict is None else [verdict]

    def _parent(self) -> Entry | None:
        """The refresh token that tokens minted in this request come from: the last valid one presented."""
        for entry in reversed(self._entries):
            if entry.accepted and entry.facts.token_use == "refresh":
                return entry
        return None

    def _judge(self, entry: Entry, parent: Entry | None) -> Verdict | None:
        facts = entry.facts
        if entry.minted:
            if entry.reported:
                return None
            name, reason, attributes = semconv.ISSUED, None, dict(facts.attributes)
            if parent is not None:
                name = semconv.REFRESHED
                if parent.facts.jti is not None:
                    attributes[semconv.PARENT_JTI] = parent.facts.jti
        else:
            name, reason = _outcome(entry)
            if entry.reported == (name, reason) or (name == semconv.UNVERIFIED and not entry.claims_read):
                return None
            attributes = _presented_attributes(entry, name, reason)
        entry.reported = (name, reason)
        return Verdict(name, entry.time_unix_nano, attributes, reason, entry)


def _outcome(entry: Entry) -> tuple[str, str | None]:
    """Name of the event of a presented token, and the reason if it is a rejection."""
    if entry.refusal is not None:
        return semconv.REJECTED, entry.refusal
    if entry.failures:
        return semconv.REJECTED, entry.failures[-1][1]
    if not entry.facts.verified:
        return semconv.UNVERIFIED, None
    if entry.status == 403 or not entry.sufficient:
        return semconv.DENIED, None
    if entry.status == 401:
        return semconv.REJECTED, semconv.REFUSED
    return semconv.VALIDATED, None


def _presented_attributes(entry: Entry, name: str, reason: str | None) -> dict[str, Value]:
    attributes = dict(entry.facts.attributes)
    exp = attributes.get(semconv.EXP)
    if exp is not None:
        attributes[semconv.EXPIRES_IN] = max(exp - entry.time_unix_nano // 1_000_000_000, INT64_MIN)  # type: ignore[operator]  # an int
    if checks := _CHECKS_OF[entry.checks & 511]:
        attributes[semconv.CHECKS] = checks
    attributes[semconv.OUTCOME] = _OUTCOMES[name]
    if reason is not None:
        attributes[semconv.REASON] = reason
    if entry.scopes:
        _add_scopes(attributes, entry)
    return attributes


def _add_scopes(attributes: dict[str, Value], entry: Entry) -> None:
    granted: dict[str, None] = {}
    required: dict[str, None] = {}
    missing: dict[str, None] = {}
    for scope in entry.scopes:
        granted.update(dict.fromkeys(scope.granted or ()))
        required.update(dict.fromkeys(scope.required))
        missing.update(dict.fromkeys(scope.judge(entry.facts)[1]))
    for key, scopes in (
        (semconv.SCOPE_GRANTED, granted),
        (semconv.SCOPE_REQUIRED, required),
        (semconv.SCOPE_MISSING, missing),
    ):
        if scopes:
            attributes[key] = as_texts(tuple(scopes))
    attributes[semconv.SCOPE_OUTCOME] = "sufficient" if entry.sufficient else "insufficient"


def unattended() -> Ledger:
    """A ledger for one look outside any request: its verdict is due at once."""
    ledger = Ledger()
    ledger.closed = True
    return ledger


def _key(facts: TokenFacts) -> tuple[object, ...] | None:
    """What makes two spellings one token: issuer and jti; and its use, for pairs exist that share a jti."""
    jti = facts.attributes.get(semconv.JTI)
    return None if jti is None else (facts.attributes.get(semconv.ISS), jti, facts.token_use)


_OUTCOMES: Final = {
    semconv.VALIDATED: "valid",
    semconv.DENIED: "valid",
    semconv.REJECTED: "invalid",
    semconv.UNVERIFIED: "unverified",
}
_CHECKS_OF: Final = tuple(
    tuple(name for check, name in _REPORTED if flags & check) for flags in range(int(Check.REVOCATION) * 2)
)  # by flags: the tuple of names, ready made

_current: ContextVar[Ledger | None] = ContextVar("opentelemetry_pyjwt_ledger", default=None)

#: The ledger of the request being served, in this context; and how capture sets and resets it.
current_ledger = _current.get
enter_ledger = _current.set
leave_ledger = _current.reset
