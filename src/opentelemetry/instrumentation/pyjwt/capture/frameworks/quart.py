"""Quart: ``Quart.__call__`` is the ASGI application; the route is in the request that Quart makes of the scope."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt.capture.asgi import Scope, no_route, refine, serving
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.patching import Library, WrapPatch


def _handle(wrapped: Callable[..., Any], app: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A request or WebSocket is about to be matched; when its response starts, Quart has left its context."""
    _tell_route(*args, **kwargs)
    return wrapped(*args, **kwargs)


@guarded(None)
def _tell_route(request: Any) -> None:
    refine(request.scope, partial(_route, request))


@guarded(None)
def _route(request: Any, scope: Scope) -> str | None:
    return getattr(request.url_rule, "rule", None)


PATCHES: Final = (
    Library(
        "quart",
        (0, 19),
        (1,),
        (
            # The attribute may have been put into a middleware before we came, and may be served by itself.
            WrapPatch("quart.app", "Quart.__call__", serving(no_route)),
            WrapPatch("quart.app", "Quart.asgi_app", serving(no_route)),
            WrapPatch("quart.app", "Quart.handle_request", _handle),
            WrapPatch("quart.app", "Quart.handle_websocket", _handle),
        ),
    ),
)
