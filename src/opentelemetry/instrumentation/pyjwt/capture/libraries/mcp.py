"""MCP servers: what the SDK decides about bearer and refresh tokens, and which request a tool works for.

Who verifies, exchanges and revokes tokens is an object of the application's, of no class of the SDK's: for the length
of one call it is watched, by a copy of the SDK's object that calls it. Sessions outlive the request that opened them,
and before version 2 whatever they serve runs in that request's context.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Mapping
from contextvars import Token
from typing import Any, Final

import wrapt

from opentelemetry.instrumentation.pyjwt import guard, semconv
from opentelemetry.instrumentation.pyjwt.capture.decisions import exchanged, revoke_token, scope_checked, turned_away
from opentelemetry.instrumentation.pyjwt.capture.request import ledger_of
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.ledger import Ledger, current_ledger, enter_ledger, leave_ledger
from opentelemetry.instrumentation.pyjwt.patching import Library, WrapPatch
from opentelemetry.instrumentation.pyjwt.trampoline import CodePatch

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
Original = Callable[..., Any]

# --- The application's own objects ---------------------------------------------------------------------------------


class _Verifier(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """A token verifier, and what it was asked and answered."""

    _self_token: Any = None
    _self_answer: Any = None

    async def verify_token(self, token: Any) -> Any:
        self._self_token = token
        self._self_answer = answer = await self.__wrapped__.verify_token(token)
        return answer


class _Provider(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """An authorization server, and what it revokes."""

    async def revoke_token(self, token: Any) -> Any:
        result = await self.__wrapped__.revoke_token(token)
        _revoked(token)
        return result


@guarded(None)
def _watching(owner: Any, attribute: str, proxy: Callable[[Any], Any]) -> Any:
    """A copy of ``owner`` that finds what it has at ``attribute`` watched."""
    twin = copy.copy(owner)
    setattr(twin, attribute, proxy(getattr(owner, attribute)))
    return twin


# --- Bearer tokens -------------------------------------------------------------------------------------------------


async def _authenticate(original: Original, backend: Any, conn: Any) -> Any:
    watching = _watching(backend, "token_verifier", _Verifier)
    if watching is None:
        return await original(backend, conn)
    result = await original(watching, conn)
    if result is None:
        _not_accepted(watching.token_verifier)
    return result


@guarded(None)
def _not_accepted(verifier: _Verifier) -> None:
    """Either the verifier said no, or the backend did: it minds the expiry, then the resource."""
    answer, reason = verifier._self_answer, None
    if answer:
        past = answer.expires_at and answer.expires_at < int(time.time())
        reason = semconv.EXPIRED if past else semconv.INVALID_AUDIENCE
    turned_away(verifier._self_token, "access", reason)


async def _require(wrapped: Original, middleware: Any, args: Args, kwargs: Kwargs) -> Any:
    _compared(middleware, *args, **kwargs)
    return await wrapped(*args, **kwargs)


@guarded(None)
def _compared(middleware: Any, /, scope: Mapping[str, Any], *_: Any, **__: Any) -> None:
    access, credentials = getattr(scope.get("user"), "access_token", None), scope.get("auth")
    if access is not None and credentials is not None:
        scope_checked(middleware.required_scopes, credentials.scopes, token=access.token)


# --- Refresh tokens, and revocation --------------------------------------------------------------------------------


async def _exchange(original: Original, handler: Any, request: Any) -> Any:
    response = await original(handler, request)
    try:
        _answered(await request.form(), response)  # it has been read
    except Exception as error:
        guard.report(error, "Reading a token request")
    return response


def _answered(form: Mapping[str, Any], response: Any) -> None:
    """What became of a refresh token is in the answer to the client (RFC 6749 §5)."""
    if form.get("grant_type") != "refresh_token":
        return
    token = form.get("refresh_token")
    if response.status_code == 200:
        exchanged(token)
        return
    answer = json.loads(response.body)
    scopes = (form.get("scope") or "").split()
    if answer.get("error") == "invalid_scope" and scopes:
        scope_checked(scopes, allowed=False, token=token)
    else:
        past = answer.get("error_description") == "refresh token has expired"
        turned_away(token, "refresh", semconv.EXPIRED if past else None)


async def _revoke(original: Original, handler: Any, request: Any) -> Any:
    return await original(_watching(handler, "provider", _Provider) or handler, request)


@guarded(None)
def _revoked(token: Any) -> None:
    """By whoever the token says, if it was verified; else by the client that came with it."""
    ledger = current_ledger()
    known = ledger is not None and (ledger.actor is not None or getattr(ledger.token(), "sub", None) is not None)
    revoke_token(token.token, actor=None if known else getattr(token, "subject", None) or token.client_id)


# --- Sessions ------------------------------------------------------------------------------------------------------


async def _handle(wrapped: Original, server: Any, args: Args, kwargs: Kwargs) -> Any:
    entered = _enter(*args, **kwargs)
    try:
        return await wrapped(*args, **kwargs)
    finally:
        if entered is not None:
            leave_ledger(entered)


@guarded(None)
def _enter(message: Any, *_: Any, **__: Any) -> Token[Ledger | None] | None:
    """A request of the protocol belongs to the HTTP request it came with. A notification does not tell: it belongs
    to none, once the HTTP request that opened the session has its answer. Without HTTP, nothing is changed."""
    metadata = getattr(message, "message_metadata", None)
    scope = getattr(getattr(metadata, "request_context", None), "scope", None)
    if scope is not None:
        return enter_ledger(ledger_of(scope))
    ledger = current_ledger()
    return enter_ledger(None) if ledger is not None and ledger.closed else None


_AUTH: Final = "mcp.server.auth"
_HANDLER: Final = ("self", "request")

PATCHES: Final = Library(
    "mcp",
    since=(1, 10),
    before=(3,),
    patches=(
        # From within: routes keep bound methods from before.
        CodePatch(f"{_AUTH}.handlers.token", "TokenHandler.handle", _HANDLER, _exchange, when="instead"),
        CodePatch(f"{_AUTH}.handlers.revoke", "RevocationHandler.handle", _HANDLER, _revoke, when="instead"),
        CodePatch(
            f"{_AUTH}.middleware.bearer_auth",
            "BearerAuthBackend.authenticate",
            ("self", "conn"),
            _authenticate,
            when="instead",
        ),
        WrapPatch(f"{_AUTH}.middleware.bearer_auth", "RequireAuthMiddleware.__call__", _require),
        WrapPatch("mcp.server.lowlevel.server", "Server._handle_message", _handle, optional=True),  # before 2
    ),
)
