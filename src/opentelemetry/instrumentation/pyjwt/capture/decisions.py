"""What libraries and frameworks decide about the request's token, told to its ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from opentelemetry.instrumentation.pyjwt import audit, semconv
from opentelemetry.instrumentation.pyjwt.audit import Audit
from opentelemetry.instrumentation.pyjwt.bounds import Value, as_text
from opentelemetry.instrumentation.pyjwt.facts import TokenFacts
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.ledger import Ledger, current_ledger
from opentelemetry.instrumentation.pyjwt.token import identity
from opentelemetry.instrumentation.pyjwt.verdict import Check, Look

_copying: Final[ContextVar[bool]] = ContextVar("opentelemetry_pyjwt_copying", default=False)

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
def exchanged(*, opaque: bool = False) -> None:
    """The request's token is exchanged for a new one, without being one of those meant for nothing else.

    Args:
        opaque: not a token that was decoded, but something that is no JWT.
    """
    if (request := _request()) is not None:
        request[1].exchanged(opaque=opaque)


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
    active = audit.active
    if active is None or (scene := active.scene()) is None or scene[1] is None:
        return
    look = Look(identity(token), active.reader.read_raw(token), 0, int(Check.CLAIM), reason, claims_read=False)
    active.presented(scene, look)


@guarded(None)
def revoke_token(token: object, *, reason: str) -> None:
    """A token was put on a revocation list as it is, whether or not it has a jti.

    Args:
        token: the token itself.
        reason: why, in a word.
    """
    active = audit.active
    if active is None or (scene := active.scene()) is None:
        return
    shown = active.reader.read_raw(token).shown
    told: dict[str, Value] = {name: shown[name] for name in _IDENTITY if name in shown}
    active.revoked(scene, told | {semconv.REVOCATION_REASON: reason}, None)


_IDENTITY: Final = (semconv.JTI, semconv.FINGERPRINT, semconv.ISS, semconv.TOKEN_USE)


@guarded(None)
def scope_checked(
    required: Iterable[str], granted: Iterable[str] | None = None, *, allowed: bool | None = None
) -> None:
    """Scopes are required of the request's token: the one verified last or, before there is one, the next.

    Args:
        required: what the endpoint requires; nothing required is nothing to tell, unless it was denied.
        granted: what is granted, where that is known to be something else than the token's own claims say.
        allowed: what was decided; unset, the token must grant all that is required.
    """
    scopes = _texts(required)
    if (request := _request()) is not None and (scopes or allowed is False):
        active, ledger = request
        active.emit(ledger, ledger.scope_checked(scopes, None if granted is None else _texts(granted), allowed))


def _texts(scopes: Iterable[str]) -> list[str]:
    """Members of an enumeration are the scopes they stand for."""
    return [str.__str__(scope) if isinstance(scope, str) else str(scope) for scope in scopes]


@guarded(None)
def authenticated(subject: object) -> None:
    """The request is from ``subject``, by a verified claim that need not be ``sub``."""
    ledger = current_ledger()
    if ledger is not None and subject is not None:
        ledger.actor = str(subject)
