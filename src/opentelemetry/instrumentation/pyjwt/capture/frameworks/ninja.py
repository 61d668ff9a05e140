"""django-ninja: an API on Django, with an authentication of its own.

Its operations try one authentication after the other; where none of them takes the request for somebody's, they
hand an ``AuthenticationError`` to the API, as the application may do itself. What the API answers is up to its
exception handlers, so the status need not tell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.capture.decisions import accepted_token, deny, refuse
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.patching import Library, WrapPatch


def _on_exception(wrapped: Callable[..., Any], api: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    _decided(*args, **kwargs)
    return wrapped(*args, **kwargs)


@guarded(None)
def _decided(request: Any, exc: Exception) -> None:
    from ninja import errors

    if isinstance(exc, errors.AuthenticationError):
        if accepted_token() is not None:
            refuse(semconv.REFUSED)
    elif isinstance(exc, getattr(errors, "AuthorizationError", ())):  # since 1.4
        deny()


PATCHES: Final = Library(
    "django-ninja",
    since=(1, 0, 1),
    before=(2,),
    patches=(WrapPatch("ninja.main", "NinjaAPI.on_exception", _on_exception),),
)
