"""ASGI: a ledger for each HTTP request and WebSocket, decided when its response starts.

Frameworks come here by their adapters; a bare application through :class:`AuditASGIMiddleware`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import audit
from opentelemetry.instrumentation.pyjwt.audit import Audit
from opentelemetry.instrumentation.pyjwt.bounds import Value
from opentelemetry.instrumentation.pyjwt.capture.request import (
    FORBIDDEN,
    SERVER_ERROR,
    SWITCHING_PROTOCOLS,
    open_ledger,
    request_attributes,
)
from opentelemetry.instrumentation.pyjwt.config import Settings
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.ledger import Ledger, current_ledger, enter_ledger, leave_ledger

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Route = Callable[[Scope], str | None]
_UNKNOWN: Final[Mapping[str, Value]] = {}
_INTERNAL_ERROR: Final = 1011  # RFC 6455 §7.4.1


class AuditASGIMiddleware:
    """Audits a bare ASGI application: ``app = AuditASGIMiddleware(app)``.

    Put it inside the OpenTelemetry middleware or around it, as you like. It does nothing while the
    instrumentor is off, and nothing twice.

    Args:
        app: the ASGI application.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await serve(self.app, scope, receive, send, no_route)


async def serve(app: App, scope: Scope, receive: Receive, send: Send, route: Route) -> None:
    """Run ``app`` on one scope with a ledger.

    Args:
        app: the application, called as it would have been.
        route: gives the route's template once the request has been routed.
    """
    active = audit.active
    ledger = None if active is None else begin(active, scope, route)
    if active is None or ledger is None:
        await app(scope, receive, send)
        return
    token = enter_ledger(ledger)
    try:
        await app(scope, receive, _Send(active, ledger, send))
    except Exception:
        active.close(ledger, SERVER_ERROR)
        raise
    finally:
        leave_ledger(token)
        active.close(ledger)


def serving(route: Route) -> Callable[..., Awaitable[None]]:
    """What goes around a framework's application (see :class:`~..patching.WrapPatch`): :func:`serve`."""

    def call(wrapped: App, app: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Awaitable[None]:
        if len(args) != 3 or kwargs:  # uvicorn calls it without any, to learn from the error that it is no factory
            return wrapped(*args, **kwargs)
        return serve(wrapped, *args, route)

    return call


@guarded(None)
def refine(scope: Scope, route: Route) -> None:
    """From here on the request's route can be told, which its scope alone does not show."""
    active, ledger = audit.active, current_ledger()
    if active is not None and ledger is not None:
        ledger.refine(partial(describe, active.settings, scope, route))


@guarded(None)
def begin(active: Audit, scope: Scope, route: Route) -> Ledger | None:
    """A ledger for this scope, unless it is no request or has one."""
    if scope["type"] not in ("http", "websocket"):
        return None
    return open_ledger(active, scope, partial(_url, scope), partial(describe, active.settings, scope, route))


class _Send:
    """The server's ``send``, before which the ledger is closed when the response starts."""

    __slots__ = ("_active", "_ledger", "_send")

    def __init__(self, active: Audit, ledger: Ledger, send: Send) -> None:
        self._active = active
        self._ledger = ledger
        self._send = send

    async def __call__(self, message: Message) -> None:
        if not self._ledger.closed and (status := status_of(message)) is not None:
            self._active.close(self._ledger, status)
        await self._send(message)


@guarded(None)
def status_of(message: Message) -> int | None:
    """The status, if this message decides the request."""
    kind = message["type"]
    if kind in ("http.response.start", "websocket.http.response.start"):
        return int(message["status"])
    if kind == "websocket.accept":
        return SWITCHING_PROTOCOLS
    if kind == "websocket.close":
        # Before it was accepted, that refuses it (ASGI, "Close - send event"), unless the application has failed.
        return SERVER_ERROR if message.get("code") == _INTERNAL_ERROR else FORBIDDEN
    return None


@guarded(_UNKNOWN)
def describe(settings: Settings, scope: Scope, route: Route) -> Mapping[str, Value]:
    """The request's attributes, from its scope."""
    headers: dict[bytes, str] = {}
    for name, value in scope.get("headers") or ():
        name = name.lower()
        if name in _HEADERS:
            value = value.decode("latin-1")
            # A header that comes several times is one list (RFC 9110 §5.3).
            headers[name] = f"{headers[name]},{value}" if name in headers else value
    client = scope.get("client")
    return request_attributes(
        settings,
        method="GET" if scope["type"] == "websocket" else scope.get("method"),  # RFC 6455 §4.1
        route=route(scope),
        peer=client[0] if client else None,
        user_agent=headers.get(b"user-agent"),
        forwarded=headers.get(b"forwarded"),
        forwarded_for=headers.get(b"x-forwarded-for"),
    )


_HEADERS: Final = frozenset({b"user-agent", b"forwarded", b"x-forwarded-for"})


def no_route(scope: Scope) -> str | None:
    """A bare application has no routes that anybody could know."""
    return None


def with_mounts(scope: Scope, path: str) -> str:
    """``path``, a route's template, below the mounts that Starlette has passed the request through."""
    mounted = scope.get("root_path", "")
    outside = scope.get("app_root_path", mounted)
    return mounted[len(outside) :] + path if mounted.startswith(outside) else path


def _url(scope: Scope) -> str:
    host = next(
        (value.decode("latin-1") for name, value in scope.get("headers") or () if name.lower() == b"host"), None
    )
    if host is None:
        server = scope.get("server") or ("", None)
        host = f"{server[0]}:{server[1]}" if server[1] else str(server[0])
    path = scope.get("path", "")
    root = scope.get("root_path", "")
    return f"{scope.get('scheme', 'http')}://{host}{path if path.startswith(root) else root + path}"
