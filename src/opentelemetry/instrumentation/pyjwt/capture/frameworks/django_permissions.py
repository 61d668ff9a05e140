"""Django's permissions, where they let a request through or refuse it.

``has_perm()`` is called in many places, to hide a button as well as to refuse a request. What is asked for counts
only while a gate decides: ``permission_required()``, ``PermissionRequiredMixin``, or a permission check of Django
REST framework.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from types import FrameType
from typing import Any, Final
from weakref import WeakKeyDictionary

from opentelemetry.instrumentation.pyjwt.capture.decisions import scope_checked
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.ledger import current_ledger
from opentelemetry.instrumentation.pyjwt.patching import Library, WrapPatch

#: Names of permissions, and whether the user has them.
Asked = dict[str, bool]
_DECORATORS: Final = "django.contrib.auth.decorators"
# While a gate decides.
_asked: ContextVar[Asked | None] = ContextVar("opentelemetry_pyjwt_django_asked", default=None)
# Views of PermissionRequiredMixin whose user lacks something.
_lacking: WeakKeyDictionary[Any, Asked] = WeakKeyDictionary()

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


# --- The user is asked ----------------------------------------------------------------------------------------------


def _has_perm(wrapped: Callable[..., Any], user: Any, args: Args, kwargs: Kwargs) -> Any:
    result = wrapped(*args, **kwargs)
    _note(result, *args, **kwargs)
    return result


async def _ahas_perm(wrapped: Callable[..., Awaitable[Any]], user: Any, args: Args, kwargs: Kwargs) -> Any:
    result = await wrapped(*args, **kwargs)
    _note(result, *args, **kwargs)
    return result


def _has_perms(wrapped: Callable[..., Any], user: Any, args: Args, kwargs: Kwargs) -> Any:
    with gate() if _is_gate() else nullcontext() as asked:
        result = wrapped(*args, **kwargs)
        _note_all(result, *args, **kwargs)
    if asked is not None:
        decided(asked, passed=result)
    return result


async def _ahas_perms(wrapped: Callable[..., Awaitable[Any]], user: Any, args: Args, kwargs: Kwargs) -> Any:
    with gate() if _is_gate() else nullcontext() as asked:
        result = await wrapped(*args, **kwargs)
        _note_all(result, *args, **kwargs)
    if asked is not None:
        decided(asked, passed=result)
    return result


@guarded(None)
def _note(result: Any, perm: Any, obj: Any = None) -> None:
    if (asked := _asked.get()) is not None:
        asked[str(perm)] = bool(result)


@guarded(None)
def _note_all(result: Any, perm_list: Any, obj: Any = None) -> None:
    """Each permission was asked for by itself, up to the first that the user lacks."""
    if (asked := _asked.get()) is not None and isinstance(perm_list, Collection):  # and not used up by now
        for perm in perm_list:
            if result:
                asked[str(perm)] = True
            else:
                asked.setdefault(str(perm), False)


# --- permission_required() --------------------------------------------------------------------------------------------

_DEPTH: Final = 10  # of the calls between there and here: our own, and methods of the application's user class


@guarded(False)
def _is_gate() -> bool:
    """Whether it is ``permission_required()`` that asks.

    It makes a function for each view that it decorates, most of them before anybody could patch anything. But
    whenever they were made, they are known by their frame.
    """
    if current_ledger() is None:  # nobody is told
        return False
    frame: FrameType | None = sys._getframe()
    for _ in range(_DEPTH):
        if frame is None:
            break
        if frame.f_code.co_name == "check_perms" and frame.f_globals.get("__name__") == _DECORATORS:
            return True
        frame = frame.f_back
    return False


# --- PermissionRequiredMixin ------------------------------------------------------------------------------------------


def _has_permission(wrapped: Callable[..., Any], view: Any, args: Args, kwargs: Kwargs) -> Any:
    with gate() as asked:
        result = wrapped(*args, **kwargs)
    _asked_by(view, asked, passed=bool(result))
    return result


@guarded(None)
def _asked_by(view: Any, asked: Asked, *, passed: bool) -> None:
    """A yes counts at once. A view that overrides ``has_permission()`` may be content with less than this one is."""
    if passed:
        decided(asked, passed=True)
    else:
        _lacking[view] = asked


def _handle_no_permission(wrapped: Callable[..., Any], view: Any, args: Args, kwargs: Kwargs) -> Any:
    _refuses(view)
    return wrapped(*args, **kwargs)


@guarded(None)
def _refuses(view: Any) -> None:
    if (asked := _lacking.pop(view, None)) is not None:
        decided(asked, passed=False)


_MODELS: Final = "django.contrib.auth.models"
_MIXINS: Final = "django.contrib.auth.mixins"
_ASKED: Final = (("has_perm", _has_perm), ("has_perms", _has_perms))
_ASKED_ASYNC: Final = (("ahas_perm", _ahas_perm), ("ahas_perms", _ahas_perms))  # since 5.2

PATCHES: Final = Library(
    "Django",
    since=(4, 2),
    before=(7,),
    patches=(
        *(
            WrapPatch(_MODELS, f"{user}.{name}", around, optional)
            for user in ("PermissionsMixin", "AnonymousUser")
            for methods, optional in ((_ASKED, False), (_ASKED_ASYNC, True))
            for name, around in methods
        ),
        WrapPatch(_MIXINS, "PermissionRequiredMixin.has_permission", _has_permission),
        WrapPatch(_MIXINS, "PermissionRequiredMixin.handle_no_permission", _handle_no_permission),
    ),
)
