"""What libraries and frameworks decide about the request's token, told to its ledger."""

from __future__ import annotations

from opentelemetry.instrumentation.pyjwt import audit
from opentelemetry.instrumentation.pyjwt.bounds import as_text
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.ledger import current_ledger


@guarded(None)
def refuse(reason: str, *, jti: object = None) -> None:
    """A token is refused, whatever PyJWT said of it.

    Args:
        reason: ``revoked``, ``wrong_type`` or ``refused`` (:mod:`~..semconv`).
        jti: which token; unset, the one verified or refused last.
    """
    active, ledger = audit.active, current_ledger()
    if active is not None and ledger is not None and not ledger.muted:
        active.emit(ledger, ledger.refused(reason, jti=as_text(jti)))
