"""What libraries and frameworks decide about the request's token, told to its ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from opentelemetry.instrumentation.pyjwt import audit
from opentelemetry.instrumentation.pyjwt.audit import Audit
from opentelemetry.instrumentation.pyjwt.bounds import as_text
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
def refuse(reason: str, *, jti: object = None, accepted_only: bool = False) -> None:
    """A token is refused, whatever PyJWT said of it.

    Args:
        reason: ``revoked``, ``wrong_type``, ``refused`` or another of the reasons (:mod:`~..semconv`).
        jti: which token; unset, the one verified or refused last.
        accepted_only: only if nothing else has said no to that one, which would tell more.
    """
    if (request := _request()) is not None:
        active, ledger = request
        if accepted_only and (ledger.current is None or not ledger.current.accepted):
            return
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
def scope_checked(
    required: Iterable[str], granted: Iterable[str] | None = None, *, allowed: bool | None = None
) -> None:
    """Scopes are required of the request's token: the one verified last or, before there is one, the next.

    Args:
        required: what the endpoint requires; nothing required is nothing to tell.
        granted: what is granted, where that is known to be something else than the token's own claims say.
        allowed: what was decided; unset, the token must grant all that is required.
    """
    if (request := _request()) is not None and (scopes := _texts(required)):
        active, ledger = request
        active.emit(ledger, ledger.scope_checked(scopes, None if granted is None else _texts(granted), allowed))


@guarded(None)
def deny() -> None:
    """A permission check of the framework's own says no to the request's token, for whatever reason."""
    if (request := _request()) is not None:
        active, ledger = request
        active.emit(ledger, ledger.denied())


def _texts(scopes: Iterable[str]) -> list[str]:
    """Members of an enumeration are the scopes they stand for."""
    return [str.__str__(scope) if isinstance(scope, str) else str(scope) for scope in scopes]


@guarded(None)
def authenticated(subject: object) -> None:
    """The request is from ``subject``, by a verified claim that need not be ``sub``."""
    ledger = current_ledger()
    if ledger is not None and subject is not None:
        ledger.actor = str(subject)
