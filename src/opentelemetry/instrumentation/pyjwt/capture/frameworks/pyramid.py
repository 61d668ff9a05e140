"""Pyramid: the router is the WSGI application; a view's permission is asked of the security policy before it runs.

Subrequests do not come in by the router's ``__call__``, and so are part of the request that makes them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt.capture.decisions import scope_checked
from opentelemetry.instrumentation.pyjwt.capture.request import note_route, noted_route
from opentelemetry.instrumentation.pyjwt.capture.wsgi import serving
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.patching import Library, WrapPatch

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


def _map_route(wrapped: Callable[..., Any], mapper: Any, args: Args, kwargs: Kwargs) -> Any:
    """Finds the route; with traversal alone there is none."""
    found = wrapped(*args, **kwargs)
    _routed(found, *args, **kwargs)
    return found


@guarded(None)
def _routed(found: dict[str, Any], request: Any) -> None:
    note_route(request.environ, getattr(found["route"], "pattern", None))


def _secured_view(wrapped: Callable[..., Any], instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """Puts the check of its permission before a view, if it has one."""
    secured = wrapped(*args, **kwargs)
    _listen(secured, *args, **kwargs)
    return secured


@guarded(None)
def _listen(secured: Any, view: Any, info: Any) -> None:
    """Hear what the policy answers where the view's function asks it.

    ``__permitted__`` asks by the same function on behalf of the application, which may only want to know; and so
    does ``has_permission()``. The function is exchanged where it decides, and nowhere else.
    """
    if secured is view:  # no policy, or no permission required
        return
    permitted, permission = secured.__permitted__, secured.__permission__

    def gate(context: Any, request: Any) -> Any:
        answer = permitted(context, request)
        _told(permission, answer)
        return answer

    place = secured.__code__.co_freevars.index("permitted")
    secured.__closure__[place].cell_contents = gate


@guarded(None)
def _told(permission: Any, answer: Any) -> None:
    scope_checked([permission], allowed=bool(answer))


PATCHES: Final = (
    WrapPatch("pyramid.router", "Router.__call__", serving(noted_route)),
    WrapPatch("pyramid.urldispatch", "RoutesMapper.__call__", _map_route),
    Library("pyramid", (2,), (3,), (WrapPatch("pyramid.viewderivers", "_secured_view", _secured_view),)),
)
