"""Django REST framework: what its permission classes decide, and the scopes and permissions that are required.

A view asks its permission classes before its handler runs, and again for each object. The same functions are called
to find out which forms a page may show; so a no counts when it ends the request, and a yes when it was asked for on
behalf of the request itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakSet

from opentelemetry.instrumentation.pyjwt.api import current_token
from opentelemetry.instrumentation.pyjwt.capture.decisions import deny, scope_checked
from opentelemetry.instrumentation.pyjwt.capture.frameworks.django_permissions import Asked, decided, gate
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.patching import Library, WrapPatch

# Requests that are served; what pages ask with is a copy of theirs.
_served: WeakSet[Any] = WeakSet()
# Exceptions that permission checks were left with, and which of Django's permissions had been asked for.
_refusals: WeakKeyDictionary[BaseException, Asked] = WeakKeyDictionary()

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


def _initial(wrapped: Callable[..., Any], view: Any, args: Args, kwargs: Kwargs) -> Any:
    _arrived(*args, **kwargs)
    return wrapped(*args, **kwargs)


@guarded(None)
def _arrived(request: Any, *args: Any, **kwargs: Any) -> None:
    _served.add(request)


def _check(wrapped: Callable[..., Any], view: Any, args: Args, kwargs: Kwargs) -> Any:
    """``check_permissions`` or ``check_object_permissions``."""
    with gate() as asked:
        try:
            result = wrapped(*args, **kwargs)
        except Exception as error:
            _left_with(error, asked)
            raise
    _passed(view, asked, *args, **kwargs)
    return result


@guarded(None)
def _left_with(error: Exception, asked: Asked) -> None:
    from django.core.exceptions import PermissionDenied
    from django.http import Http404
    from rest_framework.exceptions import AuthenticationFailed

    if isinstance(error, AuthenticationFailed):  # which may be left until a permission class asks for the user
        return
    if isinstance(error, (PermissionDenied, Http404)) or getattr(error, "status_code", None) in (401, 403):
        _refusals[error] = asked


@guarded(None)
def _passed(view: Any, asked: Asked, /, request: Any, obj: Any = None) -> None:
    if request in _served:
        decided(asked, passed=True)
        _require(view, request)


def _handle_exception(wrapped: Callable[..., Any], view: Any, args: Args, kwargs: Kwargs) -> Any:
    _ended(view, *args, **kwargs)
    return wrapped(*args, **kwargs)


@guarded(None)
def _ended(view: Any, /, exc: Exception) -> None:
    """An exception ends the request; is it a no of a permission check?"""
    from django.http import Http404

    asked = _refusals.get(exc)
    if asked is not None:
        decided(asked, passed=False)
        _require(view, view.request)
        if not isinstance(exc, Http404):  # by which it hides an object, or has found none
            deny()


def _require(view: Any, request: Any) -> None:
    """Scopes that the view declares, in django-oauth-toolkit's way, whether anybody compares them or not."""
    scopes = getattr(view, "required_scopes", None)
    if isinstance(scopes, dict):
        scopes = scopes.get(request.method)
    if scopes:
        scope_checked(scopes.split() if isinstance(scopes, str) else scopes)
    alternatives = getattr(view, "required_alternate_scopes", None)
    if isinstance(alternatives, dict) and (any_of := alternatives.get(request.method)):
        scope_checked(_nearest(any_of))


def _nearest(alternatives: Iterable[Iterable[str]]) -> list[str]:
    """Of several lists of scopes, each of which would do, the one of which the token lacks the least."""
    token = current_token()
    granted = set(token.scopes or ()) if token is not None else set()
    return min(map(list, alternatives), key=lambda scopes: len(set(scopes) - granted))


PATCHES: Final = Library(
    "djangorestframework",
    since=(3, 14),
    before=(4,),
    patches=(
        WrapPatch("rest_framework.views", "APIView.initial", _initial),
        WrapPatch("rest_framework.views", "APIView.check_permissions", _check),
        WrapPatch("rest_framework.views", "APIView.check_object_permissions", _check),
        WrapPatch("rest_framework.views", "APIView.handle_exception", _handle_exception),
    ),
)
