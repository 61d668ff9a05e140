"""The ledger of a request: which tokens were seen in it, until the request is decided.

A request is decided when its response starts: the status is known, and no byte has been sent. Then each token
in the ledger gets its one verdict. What is seen after that has its verdict at once, and again only if it changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from threading import Lock
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.bounds import Value
from opentelemetry.instrumentation.pyjwt.facts import TokenFacts
from opentelemetry.instrumentation.pyjwt.verdict import (
    Check,
    Entry,
    Look,
    Scope,
    Verdict,
    judge,
    judge_revocation,
    key_of,
    preview,
)

#: Tokens remembered once the request is decided, so that each is told of once.
LATE_LIMIT: Final = 1024
_RENEWED: Final = "renewed"


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
        "_index",
        "_lock",
        "_pending_scopes",
        "_revocations",
        "actor",
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
        self._index: dict[object, Entry] = {}  # by identity, and by what makes two spellings one token
        self._revocations: list[Verdict] = []
        self._pending_scopes: tuple[Scope, ...] = ()  # asked for before there was a token
        self._lock = Lock()
        self.muted = muted
        self.closed = False
        self.status: int | None = None  # HTTP status code, once known
        self.span: Any = None  # the request's SERVER span, opaque here
        self.current: Entry | None = None  # the token verified or refused last
        self.actor: str | None = None  # whoever a library found the request to be from, in plain

    def refine(self, describe: Callable[[], Mapping[str, Value]]) -> None:
        """Take the request's attributes from a framework further in, which knows its route."""
        if self._attributes is None:
            self._describe = describe

    # --- what is seen ---------------------------------------------------------------------------------------

    def presented(self, look: Look, origin: object = None) -> list[Verdict]:
        """A token was looked at. Gives the verdicts due now: none while the request is undecided."""
        with self._lock:
            entry = self._find(look.identity, look.facts)
            if entry is None:
                entry = self._enter(Entry(look.identity, look.facts, origin))
            else:
                entry.origin = origin
                entry.time_unix_nano = time.time_ns()
            entry.add(look)
            self._index_by_key(entry)
            if entry.conclusive:
                self.current = entry
                if self._pending_scopes and entry.accepted:
                    entry.scopes, self._pending_scopes = entry.scopes + self._pending_scopes, ()
            return self._due(entry)

    def minted(self, identity: int, facts: TokenFacts, origin: object = None) -> list[Verdict]:
        """A token was minted. A token already known is encoded again by libraries for their own ends, and anew
        where that gives it a longer life."""
        with self._lock:
            known = self._find_minted(identity, facts)
            if known is not None and not known.outlived_by(facts):
                if known.minted:
                    known.facts = facts
                return []
            entry = self._enter(Entry(identity, facts, origin, minted=True))
            entry.renewed = known
            if known is None:
                self._index_by_key(entry)
            else:
                self._index[_RENEWED, key_of(facts)] = entry
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
            entry = self._meant(jti)
            if entry is None:
                return []
            if entry.refusal != semconv.TOKEN_REVOKED:  # which outweighs all that is said after it
                entry.refusal = reason
            if reason == semconv.TOKEN_REVOKED:
                entry.checks |= int(Check.REVOCATION)
            self.current = entry
            return self._due(entry)

    def passed(self, reason: str, *, jti: str | None = None) -> list[Verdict]:
        """A token passed the check that refuses with ``reason``: the one with ``jti``, or else the current one.

        What was refused for that reason, as one kind of token, is taken back. Not so if it was revoked: one list
        says nothing about what is on another.
        """
        with self._lock:
            entry = self._meant(jti)
            if entry is None:
                return []
            if reason == semconv.TOKEN_REVOKED:
                entry.checks |= int(Check.REVOCATION)
            elif entry.refusal == reason:
                entry.refusal = None
            return self._due(entry)

    def scope_checked(
        self, required: Iterable[str], granted: Iterable[str] | None = None, allowed: bool | None = None
    ) -> list[Verdict]:
        """Scopes were compared, for the current token or, before there is one, for the next."""
        scope = Scope(
            tuple(dict.fromkeys(required)), None if granted is None else tuple(dict.fromkeys(granted)), allowed
        )
        with self._lock:
            entry = self.current
            if entry is None or not entry.accepted:
                self._pending_scopes = (*self._pending_scopes, scope)
                return []
            entry.scopes = (*entry.scopes, scope)
            return self._due(entry)

    def denied(self) -> list[Verdict]:
        """A permission check said no to the current token, for reasons that need not be scopes."""
        with self._lock:
            if (entry := self.current) is None or not entry.accepted:
                return []
            entry.denied = True
            return self._due(entry)

    def revoked(self, attributes: dict[str, Value]) -> list[Verdict]:
        """A token was put on a revocation list."""
        with self._lock:
            verdict = judge_revocation(attributes)
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
            verdicts = [verdict for entry in self._entries if (verdict := judge(entry, parent)) is not None]
            verdicts += self._revocations
            return verdicts

    def shown_on(self, span: object) -> Mapping[str, Value] | None:
        """What ``span`` shows, as things stand: the token verified or refused last, else one read, else one minted.

        The SERVER span shows a token of the request, another one that was looked at below it.
        """
        with self._lock:
            entry = self.current if span is self.span else None
            if entry is None:
                here = (one for one in self._entries if span is self.span or one.origin[1] is span)
                entry = max(here, key=_telling, default=None)
            if entry is None:
                return None
            if self.closed and entry.judged is not None:
                return entry.judged
            verdict = preview(entry)
            return None if verdict is None else verdict.attributes

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

    def _find(self, identity: int, facts: TokenFacts) -> Entry | None:
        """The entry of a token presented: by the token itself or, where its claims can be trusted, by its jti."""
        entry = self._index.get(identity)
        if entry is None and facts.verified and self._index and (key := key_of(facts)) is not None:
            entry = self._index.get(key)
        return entry

    def _find_minted(self, identity: int, facts: TokenFacts) -> Entry | None:
        """The entry of a token that is minted: one seen before or, if that was renewed, the newer one."""
        entry = self._index.get(identity)
        if entry is None and self._index and (key := key_of(facts)) is not None:
            entry = self._index.get((_RENEWED, key)) or self._index.get(key)
        return entry

    def _enter(self, entry: Entry) -> Entry:
        if self.closed and len(self._entries) >= LATE_LIMIT:
            self._entries.clear()  # a WebSocket may stay open for days
            self._index.clear()
        self._entries.append(entry)
        self._index[entry.identity] = entry
        return entry

    def _index_by_key(self, entry: Entry) -> None:
        if (entry.minted or entry.facts.verified) and (key := key_of(entry.facts)) is not None:
            self._index.setdefault(key, entry)

    def _meant(self, jti: str | None) -> Entry | None:
        """The presented token with ``jti``; without one, the token verified or refused last, or else seen last."""
        if jti is None and self.current is not None:
            return self.current
        for entry in reversed(self._entries):
            if not entry.minted and jti in (None, entry.facts.jti):
                return entry
        return None

    def _due(self, entry: Entry) -> list[Verdict]:
        """After the response has started a verdict is due at once, and again only if it changes."""
        if not self.closed:
            return []
        verdict = judge(entry, self._parent() if entry.minted else None)
        return [] if verdict is None else [verdict]

    def _parent(self) -> Entry | None:
        """The refresh token that tokens minted in this request come from: the last valid one presented."""
        refresh = [entry for entry in self._entries if entry.accepted and entry.facts.token_use == "refresh"]
        return max(refresh, key=lambda entry: entry.time_unix_nano, default=None)


def _telling(entry: Entry) -> tuple[bool, bool, int]:
    """How much a token tells of its request: one refused or verified most, one minted least, a later one more."""
    return entry.conclusive, not entry.minted, entry.time_unix_nano


_current: ContextVar[Ledger | None] = ContextVar("opentelemetry_pyjwt_ledger", default=None)

#: The ledger of the request being served, in this context; and how capture sets and resets it.
current_ledger = _current.get
enter_ledger = _current.set
leave_ledger = _current.reset
