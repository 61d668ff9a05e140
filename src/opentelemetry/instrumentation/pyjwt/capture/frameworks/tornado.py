"""Tornado: ``RequestHandler._execute`` is the request, and the first ``flush`` sends the headers.

``finish``, errors and the acceptance of a WebSocket all come to ``flush``. It may be called from anywhere, another
request's handler included (who tells all that wait, say), so it finds the ledger by the handler's request.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import audit
from opentelemetry.instrumentation.pyjwt.audit import Audit
from opentelemetry.instrumentation.pyjwt.bounds import Value
from opentelemetry.instrumentation.pyjwt.capture.request import open_ledger, request_attributes
from opentelemetry.instrumentation.pyjwt.config import Settings
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.ledger import Ledger, enter_ledger, leave_ledger
from opentelemetry.instrumentation.pyjwt.patching import Library, WrapPatch

_UNKNOWN: Final[Mapping[str, Value]] = {}
_LEDGER: Final = "_opentelemetry_pyjwt_ledger"  # attribute of a request that is being served
_NO_ADDRESS: Final = "0.0.0.0"  # Tornado's word for the client at a Unix socket


async def _execute(wrapped: Callable[..., Any], handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    active = audit.active
    ledger = None if active is None else _begin(active, handler)
    if active is None or ledger is None:
        return await wrapped(*args, **kwargs)
    token = enter_ledger(ledger)
    try:
        return await wrapped(*args, **kwargs)
    finally:
        leave_ledger(token)
        active.close(ledger)
        _end(handler)


@guarded(None)
def _begin(active: Audit, handler: Any) -> Ledger | None:
    """A ledger for the handler's request, unless another handler passed that on and it has one."""
    request = handler.request
    ledger = open_ledger(active, vars(request), partial(_url, request), partial(_describe, active.settings, handler))
    if ledger is not None:
        setattr(request, _LEDGER, ledger)
    return ledger


@guarded(None)
def _end(handler: Any) -> None:
    delattr(handler.request, _LEDGER)  # or the two would keep each other


def _flush(wrapped: Callable[..., Any], handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    active, ledger = audit.active, getattr(handler.request, _LEDGER, None)
    if active is not None and ledger is not None:
        active.close(ledger, _status(handler))
    return wrapped(*args, **kwargs)


@guarded(None)
def _status(handler: Any) -> int:
    return int(handler.get_status())


@guarded(_UNKNOWN)
def _describe(settings: Settings, handler: Any) -> Mapping[str, Value]:
    request = handler.request
    address = request.remote_ip
    return request_attributes(
        settings,
        method=request.method,
        route=_route(handler),
        peer=None if address == _NO_ADDRESS else address,
        user_agent=request.headers.get("User-Agent"),
        forwarded=request.headers.get("Forwarded"),
        forwarded_for=request.headers.get("X-Forwarded-For"),
    )


def _url(request: Any) -> str:
    return f"{request.protocol}://{request.host}{request.path}"


# --- Route --------------------------------------------------------------------------------------------------------


@guarded(None)
def _route(handler: Any) -> str | None:
    """The template of the rule that led here. Tornado does not keep the rule it found, so it is looked for again."""
    rule = next(_matching(handler.application.default_router.rules, handler.request), None)
    method = getattr(type(handler), handler.request.method.lower(), None)
    return None if rule is None or method is None else _template(rule.matcher, method)


@lru_cache(256)
def _template(matcher: Any, method: Callable[..., Any]) -> str | None:
    """The path of a rule with a placeholder for each of its groups, as OpenTelemetry's own instrumentation has it.

    What Tornado itself cannot turn back into a path (``reverse_url``) is no template.
    """
    path: str | None = getattr(matcher, "_path", None)
    if path is None or path.count("%s") != matcher.regex.groups:
        return None
    names: Sequence[object] = list(matcher.regex.groupindex) or [
        parameter.name
        for parameter in list(inspect.signature(method).parameters.values())[1:]
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    for name in names if len(names) == matcher.regex.groups else range(matcher.regex.groups):
        path = path.replace("%s", f"{{{name}}}", 1)
    return path


def _matching(rules: Iterable[Any], request: Any) -> Iterator[Any]:
    """The rules that match this request, in Tornado's order, those of routers below among them."""
    for rule in rules:
        if rule.matcher.match(request) is not None:
            below = None if isinstance(rule.target, type) else getattr(rule.target, "rules", None)
            if below is None:
                yield rule
            else:
                yield from _matching(below, request)


PATCHES: Final = Library(
    "tornado",
    (6, 1),
    (7,),
    (
        WrapPatch("tornado.web", "RequestHandler._execute", _execute),
        WrapPatch("tornado.web", "RequestHandler.flush", _flush),
    ),
)
