"""Sanic: its own server runs all requests of a connection in one task; elsewhere it is an ASGI application.

``Sanic.handle_request`` and what else Sanic compiles anew when a server starts would lose a wrapper. So in its own
server a request begins where the connection hands it to the application, is decided where the response is first
sent, error responses and streams included, and ends where the connection turns to the next one, or is given up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import audit
from opentelemetry.instrumentation.pyjwt.bounds import Value
from opentelemetry.instrumentation.pyjwt.capture.asgi import Scope, no_route, refine, serving
from opentelemetry.instrumentation.pyjwt.capture.request import SWITCHING_PROTOCOLS, open_ledger, request_attributes
from opentelemetry.instrumentation.pyjwt.config import Settings
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.ledger import current_ledger, enter_ledger
from opentelemetry.instrumentation.pyjwt.patching import Library, WrapPatch

Handler = Callable[[Any], Awaitable[None]]
_UNKNOWN: Final[Mapping[str, Value]] = {}


# --- Its own server -------------------------------------------------------------------------------------------


async def _http1(wrapped: Callable[..., Any], http: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """A connection, from its first request to its last."""
    _connected(http)
    try:
        await wrapped(*args, **kwargs)
    finally:
        _end()


@guarded(None)
def _connected(http: Any) -> None:
    enter_ledger(None)  # not one that was open where the server was started
    http.protocol.request_handler = partial(_handle, http.protocol.request_handler)


async def _handle(handler: Handler, request: Any) -> None:
    _begin(request)
    await handler(request)


@guarded(None)
def _begin(request: Any) -> None:
    active = audit.active
    if active is not None:
        describe = partial(_describe, active.settings, request)
        enter_ledger(open_ledger(active, {}, partial(_url, request), describe))


def _init_for_request(wrapped: Callable[..., Any], http: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The connection forgets a request, and waits for the next."""
    _end()
    return wrapped(*args, **kwargs)


@guarded(None)
def _end() -> None:
    """The request is over, without a response if its client has gone."""
    active, ledger = audit.active, current_ledger()
    if ledger is None:
        return
    enter_ledger(None)
    if active is not None:
        active.close(ledger)


def _send(wrapped: Callable[..., Any], response: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    _decide(response.stream)
    return wrapped(*args, **kwargs)


@guarded(None)
def _decide(stream: Any) -> None:
    """The response is what the connection has now: middleware may have put another in the place of the first."""
    active, ledger = audit.active, current_ledger()
    if active is not None and ledger is not None and hasattr(stream, "protocol"):  # elsewhere, ASGI's messages decide
        active.close(ledger, getattr(stream.response, "status", None))


async def _handshake(wrapped: Callable[..., Any], protocol: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    websocket = await wrapped(*args, **kwargs)
    active, ledger = audit.active, current_ledger()
    if active is not None and ledger is not None:
        active.close(ledger, SWITCHING_PROTOCOLS)
    return websocket


@guarded(_UNKNOWN)
def _describe(settings: Settings, request: Any) -> Mapping[str, Value]:
    headers = request.headers
    return request_attributes(
        settings,
        method=request.method,
        route=request.uri_template,
        peer=request.ip or None,
        user_agent=headers.get("user-agent"),
        # A header that comes several times is one list (RFC 9110 §5.3).
        forwarded=",".join(headers.getall("forwarded", ())) or None,
        forwarded_for=",".join(headers.getall("x-forwarded-for", ())) or None,
    )


def _url(request: Any) -> str:
    return f"{request.scheme}://{request.host}{request.path}"


# --- ASGI -------------------------------------------------------------------------------------------------------


async def _create(wrapped: Callable[..., Any], cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Sanic has made a request of the scope."""
    asgi_app = await wrapped(*args, **kwargs)
    _tell_route(asgi_app.request)
    return asgi_app


@guarded(None)
def _tell_route(request: Any) -> None:
    refine(request.transport.scope, partial(_route, request))


@guarded(None)
def _route(request: Any, scope: Scope) -> str | None:
    template: str | None = request.uri_template
    return template


PATCHES: Final = (
    Library(
        "sanic",
        (23, 12),
        (26,),
        (
            WrapPatch("sanic.http.http1", "Http.http1", _http1),
            WrapPatch("sanic.http.http1", "Http.init_for_request", _init_for_request),
            WrapPatch("sanic.response.types", "BaseHTTPResponse.send", _send),
            WrapPatch("sanic.server.protocols.websocket_protocol", "WebSocketProtocol.websocket_handshake", _handshake),
            WrapPatch("sanic.app", "Sanic.__call__", serving(no_route)),
            WrapPatch("sanic.asgi", "ASGIApp.create", _create),
        ),
    ),
)
