"""What an application may tell or ask. All of it is harmless while the instrumentor is off; none of it raises."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from opentelemetry.instrumentation.pyjwt import audit, semconv
from opentelemetry.instrumentation.pyjwt.bounds import Value, as_text
from opentelemetry.instrumentation.pyjwt.facts import TokenFacts
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.ledger import Ledger, current_ledger, enter_ledger, leave_ledger
from opentelemetry.instrumentation.utils import is_instrumentation_enabled


@guarded(None)
def record_revocation(
    jti: str,
    *,
    reason: str | None = None,
    actor: str | None = None,
    issuer: str | None = None,
    token_use: str | None = None,
) -> None:
    """Tell that a token was put on a revocation list: ``jwt.revoked``.

    Args:
        jti: the token's id.
        reason: why, ``jwt.revocation.reason``.
        actor: who did it; unset, the subject of the request's token, or ``anonymous``.
        issuer: whose jti it is, ``jwt.iss``.
        token_use: ``access``, ``refresh`` or ``id``.
    """
    active = audit.active
    if active is None or (scene := active.scene()) is None:
        return
    told = (
        (semconv.JTI, jti),
        (semconv.ISS, issuer),
        (semconv.TOKEN_USE, token_use),
        (semconv.REVOCATION_REASON, reason),
    )
    active.revoked(scene, {name: shown for name, value in told if (shown := as_text(value)) is not None}, actor)


@guarded(None)
def record_scope_check(
    required: str | Iterable[str], granted: str | Iterable[str] | None = None, *, allowed: bool | None = None
) -> None:
    """Tell that the request's token was checked for scopes. Outside a request nothing happens.

    Args:
        required: scopes the endpoint requires; a string is split at spaces (RFC 6749 §3.3).
        granted: scopes the token grants, if the application knows better than the token's own claims.
        allowed: the application's decision; unset, the token must grant all that is required.
    """
    active, ledger = audit.active, current_ledger()
    if active is not None and ledger is not None and not ledger.muted:
        active.emit(
            ledger, ledger.scope_checked(_scopes(required), None if granted is None else _scopes(granted), allowed)
        )


@contextmanager
def action(name: str, *, client: str | None = None) -> Iterator[None]:
    """A piece of work that is no HTTP request: a job, a message, an RPC. Its events are out when the block is left.

    Args:
        name: what is done, ``jwt.action`` on its events.
        client: address of whoever asked for it, ``client.address`` on its events.
    """
    ledger = _begin(name, client)
    active = audit.active
    if ledger is None or active is None:
        yield
        return
    token = enter_ledger(ledger)
    try:
        yield
    finally:
        leave_ledger(token)
        active.close(ledger)


@guarded(None)
def current_token() -> TokenFacts | None:
    """The token that was verified last in this request and is accepted so far, or ``None``."""
    ledger = current_ledger()
    return None if ledger is None or ledger.muted or audit.active is None else ledger.token()


@guarded(None)
def _begin(name: str, client: str | None) -> Ledger | None:
    active = audit.active
    if active is None:
        return None
    attributes: dict[str, Value] = {}
    for key, value in ((semconv.ACTION, name), (semconv.CLIENT_ADDRESS, client)):
        if (shown := as_text(value)) is not None:
            attributes[key] = shown
    ledger = Ledger(lambda: attributes, muted=not is_instrumentation_enabled())
    active.opened(ledger)
    return ledger


def _scopes(scopes: str | Iterable[str]) -> list[str]:
    return scopes.split() if isinstance(scopes, str) else [str(scope) for scope in scopes]
