"""Litestar: the application object is the ASGI application, the route is in the scope before any middleware runs.

Guards are its permission checks. They are all run in one method of the handler; what they require they do not say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt.capture.asgi import Scope, serving, with_mounts
from opentelemetry.instrumentation.pyjwt.capture.decisions import deny
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.patching import Library, WrapPatch


@guarded(None)
def _route(scope: Scope) -> str | None:
    """The template of the route; for what is mounted here Litestar has an empty one."""
    path = scope.get("path_template")
    return with_mounts(scope, path) if isinstance(path, str) and path else None


async def _authorize(wrapped: Callable[..., Any], handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        return await wrapped(*args, **kwargs)
    except Exception as error:
        _refused(error)
        raise


@guarded(None)
def _refused(error: Exception) -> None:
    """A guard said no, whatever an exception handler will make of that; or it broke."""
    from litestar.exceptions import HTTPException

    if isinstance(error, HTTPException) and error.status_code in (401, 403):
        deny()


PATCHES: Final = (
    WrapPatch("litestar.app", "Litestar.__call__", serving(_route)),
    Library(
        "litestar",
        (2, 15),
        (3,),
        (WrapPatch("litestar.handlers.base", "BaseRouteHandler.authorize_connection", _authorize),),
    ),
)
