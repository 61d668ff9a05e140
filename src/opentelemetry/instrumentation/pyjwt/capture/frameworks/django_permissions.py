"""Django's permissions, asked for where a request is let through or refused.

``has_perm()`` is called in many places, to hide a button as well as to refuse a request. What is asked for counts
only while a gate decides: a permission check of Django REST framework, for one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt.capture.decisions import scope_checked
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.patching import Library, WrapPatch

#: Names of permissions, and whether the user has them.
Asked = dict[str, bool]
# While a gate decides.
_asked: ContextVar[Asked | None] = ContextVar("opentelemetry_pyjwt_django_asked", default=None)

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


@contextmanager
def gate() -> Iterator[Asked]:
    """What is asked for within decides whether the request is let through."""
    asked: Asked = {}
    token = _asked.set(asked)
    try:
        yield asked
    finally:
        _asked.reset(token)


@guarded(None)
def decided(asked: Asked, *, passed: bool) -> None:
    """A gate has decided. If it let the request through, what the user lacks was not required after all."""
    granted = [name for name, has in asked.items() if has]
    scope_checked(granted if passed else asked, granted)


def _has_perm(wrapped: Callable[..., Any], user: Any, args: Args, kwargs: Kwargs) -> Any:
    result = wrapped(*args, **kwargs)
    if (asked := _asked.get()) is not None:
        _note(asked, result, *args, **kwargs)
    return result


def _has_perms(wrapped: Callable[..., Any], user: Any, args: Args, kwargs: Kwargs) -> Any:
    result = wrapped(*args, **kwargs)
    if (asked := _asked.get()) is not None:
        _note_all(asked, result, *args, **kwargs)
    return result


@guarded(None)
def _note(asked: Asked, result: Any, perm: Any, obj: Any = None) -> None:
    asked[str(perm)] = bool(result)


@guarded(None)
def _note_all(asked: Asked, result: Any, perm_list: Any, obj: Any = None) -> None:
    """Each permission was asked for by itself, up to the first that the user lacks."""
    if isinstance(perm_list, Collection):  # and not used up by now
        for perm in perm_list:
            if result:
                asked[str(perm)] = True
            else:
                asked.setdefault(str(perm), False)


PATCHES: Final = Library(
    "Django",
    since=(4, 2),
    before=(7,),
    patches=(
        WrapPatch("django.contrib.auth.models", "PermissionsMixin.has_perm", _has_perm),
        WrapPatch("django.contrib.auth.models", "PermissionsMixin.has_perms", _has_perms),
    ),
)
