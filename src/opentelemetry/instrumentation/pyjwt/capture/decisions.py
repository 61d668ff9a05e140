"""What libraries and frameworks decide about the request's token, told to its ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, overload

from opentelemetry.instrumentation.pyjwt import audit, semconv
from opentelemetry.instrumentation.pyjwt.audit import Audit
from opentelemetry.instrumentation.pyjwt.bounds import as_text
from opentelemetry.instrumentation.pyjwt.facts import TokenFacts
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.ledger import Ledger, current_ledger
from opentelemetry.instrumentation.pyjwt.token import identity
from opentelemetry.instrumentation.pyjwt.verdict import Entry, Look, Scope

_copying: Final[ContextVar[bool]] = ContextVar("opentelemetry_pyjwt_copying", default=False)

#: In place of a token that is none: a random string which a library exchanges for tokens.
OPAQUE: Final = ""

#: Whether what is encoded right now is no token in its own right.
is_copying: Final = _copying.get


@contextmanager
def copying() -> Iterator[None]:
    """A library encodes a token again, for its own books: within, nothing is minted."""
    token = _copying.set(True)
    try:
        yield
    finally:
        _copying.reset(token)


def _request() -> tuple[Audit, Ledger] | None:
    """The running audit and the request's ledger, unless nothing is recorded here."""
    active, ledger = audit.active, current_ledger()
    return None if active is None or ledger is None or ledger.muted else (active, ledger)


@guarded(None)
def accepted_token() -> TokenFacts | None:
    """The request's token that was verified last, unless something has said no to it since: one refused after that
    has the reason already, and a library that swallows PyJWT's exceptions adds none."""
    entry = None if (request := _request()) is None else request[1].current
    return entry.facts if entry is not None and entry.accepted else None


@guarded(None)
def refuse(reason: str, *, jti: object = None) -> None:
    """A token is refused, whatever PyJWT said of it.

    Args:
        reason: ``revoked``, ``wrong_type``, ``refused`` or another of the reasons (:mod:`~..semconv`).
        jti: which token; unset, the one verified or refused last.
    """
    if (request := _request()) is not None:
        active, ledger = request
        active.emit(ledger, ledger.refused(reason, jti=as_text(jti, active.settings.string_limit)))


@guarded(None)
def passed(reason: str, *, jti: object = None) -> None:
    """A token passed the check that refuses with ``reason``.

    Args:
        reason: ``revoked``: a revocation list was asked, and does not hold it. Any other: takes such a refusal back.
        jti: which token; unset, the one verified or refused last.
    """
    if (request := _request()) is not None:
        active, ledger = request
        active.emit(ledger, ledger.passed(reason, jti=as_text(jti, active.settings.string_limit)))


@guarded(None)
def settle() -> None:
    """The request's token has ended itself: that it is not good any more is what the response will say."""
    if (request := _request()) is not None:
        request[1].settled()


@guarded(None)
def refuse_token(token: object, reason: str) -> None:
    """A request's token is refused for what it lacks or what it came with, even if nobody has looked at it yet.

    Args:
        token: the token itself.
        reason: why (:mod:`~..semconv`).
    """
    if (request := _request_of(token)) is not None:
        active, ledger, key = request
        active.emit(ledger, ledger.refused(reason, identity=key))


@guarded(None)
def passed_token(token: object, reason: str) -> None:
    """A request's token passed the check that refuses with ``reason``, even if nobody has looked at it yet.

    Args:
        token: the token itself.
        reason: as :func:`passed` has it.
    """
    if (request := _request_of(token)) is not None:
        active, ledger, key = request
        active.emit(ledger, ledger.passed(reason, identity=key))


def _request_of(token: object) -> tuple[Audit, Ledger, int] | None:
    """The running audit, and the request's ledger, which knows the token from now on by this identity."""
    active = audit.active
    if active is None or (scene := active.scene()) is None or (ledger := scene[1]) is None:
        return None
    key = identity(token)
    known = ledger.presented_as(key)
    if known is None or not known.facts.verified:  # of a header that was read alone little is known
        active.presented(scene, Look(key, active.reader.read_raw(token), 0, claims_read=False))
    return active, ledger, key


@guarded(None)
def turned_away(token: object, wanted: str, reason: str | None = None) -> None:
    """A token that was verified is not accepted. What was said against it before stands; and a token that nobody
    has looked at is not told of.

    Args:
        token: the token itself.
        wanted: the use it should have had, ``access`` or ``refresh``: one of another use is of the wrong type.
        reason: why, if that is known (:mod:`~..semconv`).
    """
    if (request := _request()) is None:
        return
    active, ledger = request
    key = identity(token)
    entry = ledger.presented_as(key)
    if entry is not None and entry.accepted:
        fits = entry.facts.token_use in (None, wanted)
        reason = reason or (semconv.REFUSED if fits else semconv.WRONG_TYPE)
        active.emit(ledger, ledger.refused(reason, identity=key))


@guarded(None)
def exchanged(token: object = None) -> None:
    """What is minted in this request is minted from this token, whatever its use.

    Args:
        token: the token itself, whatever it looks like; unset, the one verified last.
    """
    if (request := _request()) is not None:
        active, ledger = request
        entry = None
        if token is not None:
            key = identity(token)
            entry = ledger.presented_as(key) or Entry(key, active.reader.read_raw(token), None)
        ledger.exchanged(entry)


@guarded(None)
def revoke_token(token: object, *, reason: str | None = None, actor: str | None = None) -> None:
    """A token was revoked, whether or not it has a jti; one that is no JWT is not told of.

    Args:
        token: the token itself.
        reason: why, in a word.
        actor: who did it; unset, whoever the request is from.
    """
    active = audit.active
    if active is None or (facts := active.reader.read_raw(token)).alg is None:
        return
    names = (semconv.JTI, semconv.FINGERPRINT, semconv.ISS, semconv.TOKEN_USE)
    told = [(name, facts.shown.get(name)) for name in names]
    revoked([*told, (semconv.REVOCATION_REASON, reason)], actor)


def revoked(told: Iterable[tuple[str, object]], actor: str | None) -> None:
    """A token was put on a revocation list.

    Args:
        told: attributes that say which, and why.
        actor: who did it; unset, whoever the request is from, or ``anonymous``.
    """
    active = audit.active
    if active is None or (scene := active.scene()) is None:
        return
    _, ledger, _ = scene
    if actor is None and ledger is not None:
        actor = ledger.actor
        if actor is None and (token := ledger.token()) is not None:
            actor = token.sub
    by = (semconv.ACTOR_ID, (active.reader.subject(actor) if actor else None) or "anonymous")
    active.revoked(scene, {name: shown for name, value in (*told, by) if (shown := as_text(value)) is not None})


@guarded(None)
def scope_checked(
    required: Iterable[str],
    granted: Iterable[str] | None = None,
    *,
    allowed: bool | None = None,
    missing: Iterable[str] | None = None,
    token: object = None,
) -> None:
    """Scopes are required of the request's token: the one verified last or, before there is one, the next.

    Args:
        required: what the endpoint requires; nothing required is nothing to tell.
        granted: what is granted, where that is known to be something else than the token's own claims say.
        allowed: what was decided; unset, the token must grant all that is required.
        missing: what is wanting, where that is known to be something else than what is required and not granted.
        token: the token itself, where that is known; if it was not verified last, nothing is told.
    """
    if (request := _request()) is not None and (scopes := _texts(required)):
        active, ledger = request
        if token is not None and (ledger.presented_as(identity(token)) or token) is not ledger.current:
            return
        active.emit(ledger, ledger.scope_checked(Scope(scopes, _texts(granted), allowed, _texts(missing))))


@guarded(None)
def deny() -> None:
    """The framework's own permission check says no to the token verified last, and names no scopes."""
    if (request := _request()) is not None:
        active, ledger = request
        active.emit(ledger, ledger.denied())


@overload
def _texts(scopes: Iterable[str]) -> list[str]: ...
@overload
def _texts(scopes: Iterable[str] | None) -> list[str] | None: ...
def _texts(scopes: Iterable[str] | None) -> list[str] | None:
    """Members of an enumeration are the scopes they stand for."""
    if scopes is None:
        return None
    return [str.__str__(scope) if isinstance(scope, str) else str(scope) for scope in scopes]


@guarded(None)
def authenticated(subject: object) -> None:
    """The request is from ``subject``, by a verified claim that need not be ``sub``."""
    ledger = current_ledger()
    if ledger is not None and subject is not None:
        ledger.actor = str(subject)
