"""FastAPI: the scopes that ``Security(dependency, scopes=[...])`` declares.

FastAPI passes them on to whoever asks for ``SecurityScopes`` and never compares them itself. They are in the tree
of dependencies of the route that is served, together with those of its routers and its application. For each
request and WebSocket that tree is handed once to ``solve_dependencies``, before any dependency runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt.capture.decisions import scope_checked
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.patching import Library, WrapPatch


def _solve(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A route is about to run its dependencies."""
    _tell(kwargs.get("dependant"))
    return wrapped(*args, **kwargs)


@guarded(None)
def _tell(dependant: Any) -> None:
    if dependant is not None and dependant.dependencies and (required := _required(dependant.dependencies)):
        scope_checked(required)


def _required(dependencies: list[Any]) -> list[str]:
    """Scopes of these dependencies and of those below them, outer ones first.

    They are read anew for each request: that takes less than a microsecond, and routes may be changed.
    """
    # Before FastAPI 0.123 a dependency knew its own scopes only together with those of its parents.
    name = "own_oauth_scopes" if hasattr(dependencies[0], "own_oauth_scopes") else "security_scopes"
    required: list[str] = []
    waiting = dependencies.copy()
    for dependency in waiting:
        if scopes := getattr(dependency, name):
            required += scopes
        if dependency.dependencies:
            waiting += dependency.dependencies
    return required


PATCHES: Final = (
    # The name in this module: the function also calls itself, for each dependency, by its name in its own.
    Library("fastapi", (0, 110), (1,), (WrapPatch("fastapi.routing", "solve_dependencies", _solve),)),
)
