"""Starlette and FastAPI: the application object is the ASGI application, the route is in the scope.

``@requires`` compares scopes in one function, which it looks up when a view is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt.capture.asgi import Scope, serving, with_mounts
from opentelemetry.instrumentation.pyjwt.capture.decisions import scope_checked
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.patching import Library, WrapPatch
from opentelemetry.instrumentation.pyjwt.trampoline import CodePatch


@guarded(None)
def _route(scope: Scope) -> str | None:
    """The template of the route: FastAPI's own account of it, or the path of Starlette's route below its mounts."""
    effective = (scope.get("fastapi") or {}).get("effective_route_context")
    path = getattr(effective, "path", None) or getattr(scope.get("route"), "path", None)
    return with_mounts(scope, path) if isinstance(path, str) else None


def _handle(wrapped: Callable[..., Any], route: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Starlette notes the route since 1.0; before that, FastAPI alone did."""
    if args and isinstance(args[0], dict):
        args[0].setdefault("route", route)
    return wrapped(*args, **kwargs)


def _compared(connection: Any, scopes: Any) -> tuple[Any, Any]:
    return connection, scopes


@guarded(None)
def _end_comparison(call: tuple[Any, Any], result: Any, error: BaseException | None) -> None:
    """What Starlette grants is its ``AuthCredentials``, which may be more or less than the token's own scopes."""
    connection, scopes = call
    if error is None:
        scope_checked(scopes, getattr(connection.scope.get("auth"), "scopes", None), allowed=bool(result))


PATCHES: Final = (
    WrapPatch("starlette.applications", "Starlette.__call__", serving(_route)),
    WrapPatch("starlette.routing", "Route.handle", _handle),
    WrapPatch("starlette.routing", "WebSocketRoute.handle", _handle),
    Library(
        "starlette",
        (0, 36),
        (2,),
        # From within: applications import it by name, for checks of their own.
        (CodePatch("starlette.authentication", "has_required_scope", ("conn", "scopes"), _compared, _end_comparison),),
    ),
)
