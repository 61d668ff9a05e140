"""Falcon: the application object is the WSGI or ASGI application; the route is what its router answers.

What an ASGI application has that is synchronous, Falcon runs in threads of the event loop's, which know nothing of the
request: ``sync_to_async()``, ``wrap_sync_to_async()``, ``Response.schedule_sync()``. They are given its ledger.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt.capture import asgi, wsgi
from opentelemetry.instrumentation.pyjwt.capture.request import note_route, noted_route
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.ledger import current_ledger, enter_ledger, leave_ledger
from opentelemetry.instrumentation.pyjwt.patching import Library, WrapPatch

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


def _get_responder(wrapped: Callable[..., Any], app: Any, args: Args, kwargs: Kwargs) -> Any:
    """Finds the route, in applications of both kinds; sinks, static files and unknown paths have none."""
    found = wrapped(*args, **kwargs)
    _routed(found, *args, **kwargs)
    return found


@guarded(None)
def _routed(found: tuple[Any, Any, Any, str | None], req: Any) -> None:
    environ = getattr(req, "env", None)  # which requests of an ASGI application do not have
    note_route(req.scope if environ is None else environ, found[3])


def _partial(wrapped: Callable[..., Any], instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """A synchronous function is made ready for another thread."""
    return wrapped(_for_this_request(args[0]), *args[1:], **kwargs)


def _schedule_sync(wrapped: Callable[..., Any], response: Any, args: Args, kwargs: Kwargs) -> Any:
    return wrapped(*map(_for_this_request, args), **{name: _for_this_request(value) for name, value in kwargs.items()})


def _for_this_request(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, which will run in another thread on behalf of this request."""
    ledger = current_ledger()
    if ledger is None:
        return function

    def call(*args: Any, **kwargs: Any) -> Any:
        token = enter_ledger(ledger)
        try:
            return function(*args, **kwargs)
        finally:
            leave_ledger(token)

    return call


PATCHES: Final = (
    WrapPatch("falcon.app", "App.__call__", wsgi.serving(noted_route)),
    WrapPatch("falcon.asgi.app", "App.__call__", asgi.serving(noted_route)),
    Library(
        "falcon",
        (3, 1, 1),
        (5,),
        (
            WrapPatch("falcon.app", "App._get_responder", _get_responder),
            WrapPatch("falcon.asgi.response", "Response.schedule_sync", _schedule_sync),
            # What each of its helpers does with the function it is given, by whatever name the helper was imported.
            WrapPatch("falcon.util.sync", "partial", _partial),
        ),
    ),
)
