"""django-graphql-jwt: GraphQL answers 200 to what it refuses, so each refusal is told where it is made.

Its tokens are exchanged for new ones until they expire or, with long-running refresh tokens, for random strings in the
database. These are no JWTs: nothing is recorded of them but that what was minted for one is refreshed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextvars import ContextVar
from types import FunctionType
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.capture.decisions import (
    OPAQUE,
    accepted_token,
    authenticated,
    deny,
    exchanged,
    refuse,
    scope_checked,
)
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.patching import Library, WrapPatch
from opentelemetry.instrumentation.pyjwt.trampoline import CodePatch

_PACKAGE: Final = "graphql_jwt"

Args = tuple[Any, ...]
Kwargs = dict[str, Any]

# Within a refresh: what the token claims, once its user has been found.
_given: ContextVar[dict[str, Any] | None] = ContextVar("opentelemetry_pyjwt_graphql_jwt_given", default=None)


def _same(given: Any) -> Any:
    return given


# --- Users -----------------------------------------------------------------------------------------------------------


@guarded(None)
def _end_user(payload: Any, user: Any, error: BaseException | None) -> None:
    """Nobody, somebody unknown, somebody inactive: without a user the token is worth nothing."""
    token = accepted_token()
    if token is None:  # whose claims nobody verified, or which has been refused
        return
    if user is None:
        if error is None or type(error).__name__ == "JSONWebTokenError":
            refuse(semconv.REFUSED)
        return
    authenticated(user.get_username())
    if (given := _given.get()) is not None:
        given.update(payload)


# --- Refreshing ------------------------------------------------------------------------------------------------------


def _refresh(wrapped: Callable[..., Any], mutation: Any, args: Args, kwargs: Kwargs) -> Any:
    given: dict[str, Any] = {}
    underway = _given.set(given)
    try:
        result = wrapped(*args, **kwargs)
    except Exception as error:
        _refresh_refused(error, given)
        raise
    finally:
        _given.reset(underway)
    exchanged()
    return result


@guarded(None)
def _refresh_refused(error: Exception, given: dict[str, Any]) -> None:
    """It has a user, so it is the refreshing itself: over, or never possible."""
    if given and type(error).__name__ == "JSONWebTokenError":
        refuse(semconv.EXPIRED if given.get("origIat") else semconv.MISSING_CLAIM)


def _refresh_long_running(wrapped: Callable[..., Any], mutation: Any, args: Args, kwargs: Kwargs) -> Any:
    result = wrapped(*args, **kwargs)
    exchanged(OPAQUE)
    return result


# --- Permissions -----------------------------------------------------------------------------------------------------


def _user_passes_test(wrapped: Callable[..., Any], instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """A schema is being made. Of the tests the library has, one knows the names of what it asks for."""
    if args:
        args = (_telling(args[0]) or args[0], *args[1:])
    return wrapped(*args, **kwargs)


@guarded(None)
def _telling(test_func: Any) -> Callable[[Any], Any] | None:
    if not isinstance(test_func, FunctionType) or test_func.__module__ != f"{_PACKAGE}.decorators":
        return None
    permissions = inspect.getclosurevars(test_func).nonlocals.get("perm")
    if not isinstance(permissions, (str, list, tuple, set, frozenset)):  # what is read once is not ours to read
        return None
    required = (permissions,) if isinstance(permissions, str) else tuple(permissions)

    def check_perms(user: Any) -> Any:
        allowed = test_func(user)
        _tested(required, allowed)
        return allowed

    return check_perms


@guarded(None)
def _tested(required: tuple[str, ...], allowed: Any) -> None:
    if accepted_token() is not None:
        scope_checked(required, allowed=bool(allowed))


def _init_error(wrapped: Callable[..., Any], error: Any, args: Args, kwargs: Kwargs) -> None:
    wrapped(*args, **kwargs)
    _denied(error)


@guarded(None)
def _denied(error: Any) -> None:
    """The library says no to a user, or the application does in its words, whatever was asked for."""
    if any(kind.__name__ == "PermissionDenied" for kind in type(error).__mro__) and accepted_token() is not None:
        deny()


PATCHES: Final = Library(
    "django-graphql-jwt",
    since=(0, 4),
    before=(1,),
    patches=(
        CodePatch(f"{_PACKAGE}.utils", "get_user_by_payload", ("payload",), _same, _end_user),
        WrapPatch(f"{_PACKAGE}.mixins", "KeepAliveRefreshMixin.refresh", _refresh),
        WrapPatch(f"{_PACKAGE}.refresh_token.mixins", "RefreshTokenMixin.refresh", _refresh_long_running),
        WrapPatch(f"{_PACKAGE}.decorators", "user_passes_test", _user_passes_test),
        WrapPatch(f"{_PACKAGE}.exceptions", "JSONWebTokenError.__init__", _init_error),
    ),
)
