"""Starlette and FastAPI: the application object is the ASGI application, the route is in the scope."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt.capture.asgi import Scope, serve
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.patching import WrapPatch


async def _call(wrapped: Callable[..., Any], app: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if len(args) != 3 or kwargs:  # no server calls it so; it has its own words for whoever does
        await wrapped(*args, **kwargs)
        return
    await serve(wrapped, *args, _route)


@guarded(None)
def _route(scope: Scope) -> str | None:
    """The template of the route: FastAPI's own account of it, or the path of Starlette's route below its mounts."""
    effective = (scope.get("fastapi") or {}).get("effective_route_context")
    path = getattr(effective, "path", None) or getattr(scope.get("route"), "path", None)
    if not isinstance(path, str):
        return None
    mounted = scope.get("root_path", "")
    outside = scope.get("app_root_path", mounted)
    return mounted[len(outside) :] + path if mounted.startswith(outside) else path


PATCHES: Final = (WrapPatch("starlette.applications", "Starlette.__call__", _call),)
