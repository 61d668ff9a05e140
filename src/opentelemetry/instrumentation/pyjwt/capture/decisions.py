"""What libraries and frameworks decide about the request's token, told to its ledger."""

from __future__ import annotations

from collections.abc import Iterable

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
    active, ledger = audit.active, current_ledger()
    if active is None or ledger is None or ledger.muted:
        return
    scopes = _texts(required)
    if scopes:
        active.emit(ledger, ledger.scope_checked(scopes, None if granted is None else _texts(granted), allowed))


def _texts(scopes: Iterable[str]) -> list[str]:
    """Members of an enumeration are the scopes they stand for."""
    return [str.__str__(scope) if isinstance(scope, str) else str(scope) for scope in scopes]
