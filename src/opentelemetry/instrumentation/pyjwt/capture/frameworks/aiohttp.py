"""aiohttp: the protocol's ``_handle_request`` is the request, from routing to the response's last byte.

``Application._handle`` would be too little: a response is sent after it has returned, and what it raises becomes a
response out there. Besides, a server that runs holds on to that method. Sub-applications and low-level servers
(``web.Server``) come here too. Every response, an open WebSocket among them, sends its headers by one method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import audit
from opentelemetry.instrumentation.pyjwt.audit import Audit
from opentelemetry.instrumentation.pyjwt.bounds import Value
from opentelemetry.instrumentation.pyjwt.capture.request import open_ledger, request_attributes
from opentelemetry.instrumentation.pyjwt.config import Settings
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.ledger import Ledger, current_ledger, enter_ledger, leave_ledger
from opentelemetry.instrumentation.pyjwt.patching import Library, WrapPatch

_UNKNOWN: Final[Mapping[str, Value]] = {}


async def _handle_request(
    wrapped: Callable[..., Any], protocol: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    active = audit.active
    ledger = None if active is None else _begin(active, *args, **kwargs)
    if active is None or ledger is None:
        return await wrapped(*args, **kwargs)
    token = enter_ledger(ledger)
    try:
        return await wrapped(*args, **kwargs)
    finally:
        leave_ledger(token)
        active.close(ledger)


@guarded(None)
def _begin(active: Audit, request: Any, *args: Any, **kwargs: Any) -> Ledger | None:
    """A ledger for this request, which nobody can pass on to here a second time."""
    return open_ledger(active, {}, partial(_url, request), partial(_describe, active.settings, request))


def _write_headers(wrapped: Callable[..., Any], response: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The signal ``on_response_prepare`` has been sent: the status is final."""
    active, ledger = audit.active, current_ledger()
    if active is not None and ledger is not None:
        active.close(ledger, _status(response))
    return wrapped(*args, **kwargs)


@guarded(None)
def _status(response: Any) -> int:
    return int(response.status)


@guarded(_UNKNOWN)
def _describe(settings: Settings, request: Any) -> Mapping[str, Value]:
    headers = request.headers
    return request_attributes(
        settings,
        method=request.method,
        route=_route(request),
        peer=request.remote,
        user_agent=headers.get("User-Agent"),
        # A header that comes several times is one list (RFC 9110 §5.3).
        forwarded=",".join(headers.getall("Forwarded", ())) or None,
        forwarded_for=",".join(headers.getall("X-Forwarded-For", ())) or None,
    )


def _route(request: Any) -> str | None:
    """The path of the resource as it was declared, with the prefixes of sub-applications; of static files, that alone.

    What nobody serves has no resource; a low-level server has no routes at all.
    """
    match = getattr(request, "_match_info", None)  # the property insists that there is one
    resource = getattr(getattr(match, "route", None), "resource", None)
    return getattr(resource, "canonical", None)


def _url(request: Any) -> str:
    return f"{request.scheme}://{request.host}{request.path}"


PATCHES: Final = Library(
    "aiohttp",
    (3, 9),
    (4,),
    (
        WrapPatch("aiohttp.web_protocol", "RequestHandler._handle_request", _handle_request),
        WrapPatch("aiohttp.web_response", "StreamResponse._write_headers", _write_headers),
    ),
)
