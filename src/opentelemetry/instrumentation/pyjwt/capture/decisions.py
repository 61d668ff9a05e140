"""What libraries and frameworks decide about the request's token, told to its ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from opentelemetry.instrumentation.pyjwt import audit
from opentelemetry.instrumentation.pyjwt.bounds import as_text
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.ledger import current_ledger

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


@guarded(None)
def refuse(reason: str, *, jti: object = None) -> None:
    """A token is refused, whatever PyJWT said of it.

    Args:
        reason: ``revoked``, ``wrong_type``, ``refused`` or another of the reasons (:mod:`~..semconv`).
        jti: which token; unset, the one verified or refused last.
    """
    active, ledger = audit.active, current_ledger()
    if active is not None and ledger is not None and not ledger.muted:
        active.emit(ledger, ledger.refused(reason, jti=as_text(jti)))


@guarded(None)
def passed(reason: str, *, jti: object = None) -> None:
    """A token passed the check that refuses with ``reason``.

    Args:
        reason: ``revoked``: a revocation list was asked, and does not hold it. Any other: takes such a refusal back.
        jti: which token; unset, the one verified or refused last.
    """
    active, ledger = audit.active, current_ledger()
    if active is not None and ledger is not None and not ledger.muted:
        active.emit(ledger, ledger.passed(reason, jti=as_text(jti)))


@guarded(None)
def authenticated(subject: object) -> None:
    """The request is from ``subject``, by a verified claim that need not be ``sub``."""
    ledger = current_ledger()
    if ledger is not None and subject is not None:
        ledger.actor = str(subject)
