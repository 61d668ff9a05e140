"""drf-jwt (``rest_framework_jwt``): one kind of token, which is exchanged for a new one until it expires.

What it decides about a token lies in three functions: one decodes it and refuses some by itself, one looks for its
user, one looks it up in the blacklist. Its serializers answer 400 to whatever they refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.api import record_revocation
from opentelemetry.instrumentation.pyjwt.capture.decisions import (
    accepted_token,
    authenticated,
    exchanged,
    passed,
    refuse,
    refuse_token,
    revoke_token,
)
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.patching import Library, WrapPatch
from opentelemetry.instrumentation.pyjwt.trampoline import CodePatch

_PACKAGE: Final = "rest_framework_jwt"

Args = tuple[Any, ...]
Kwargs = dict[str, Any]

# Within a serializer that was given a token: what the token claims, once its user has been found.
_given: ContextVar[dict[str, Any] | None] = ContextVar("opentelemetry_pyjwt_drf_jwt_given", default=None)


# --- Decoding ----------------------------------------------------------------------------------------------------


def _same(given: Any) -> Any:
    return given


@guarded(None)
def _end_decode(token: Any, claims: Any, error: BaseException | None) -> None:
    """Before PyJWT verifies anything: an algorithm or a key id that is not wanted, a user who has no key."""
    if error is None or _origin(error.__traceback__) != f"{_PACKAGE}.utils":
        return
    kind = type(error).__name__
    if kind == "InvalidAlgorithmError":
        refuse_token(token, semconv.INVALID_ALGORITHM)
    elif kind == "InvalidTokenError":
        refuse_token(token, semconv.KEY_UNAVAILABLE)
    elif kind == "ValidationError":
        refuse_token(token, semconv.REFUSED)


def _origin(traceback: TracebackType | None) -> Any:
    """Name of the module that an exception was raised in."""
    module = None
    while traceback is not None:
        module = traceback.tb_frame.f_globals.get("__name__")
        traceback = traceback.tb_next
    return module


# --- Users ---------------------------------------------------------------------------------------------------------


def _authenticate(wrapped: Callable[..., Any], authentication: Any, args: Args, kwargs: Kwargs) -> Any:
    try:
        user = wrapped(*args, **kwargs)
    except Exception as error:
        _user_refused(error, *args, **kwargs)
        raise
    _user_found(user)
    return user


@guarded(None)
def _user_refused(error: Exception, payload: Any) -> None:
    from rest_framework.exceptions import APIException

    if isinstance(error, APIException):
        refuse(semconv.REFUSED, jti=payload.get("jti"))


@guarded(None)
def _user_found(user: Any) -> None:
    if accepted_token() is not None:  # and not, for one, mere claims: JWT_VERIFY can be switched off
        authenticated(user.get_username())


@guarded(None)
def _end_user_check(payload: Any, user: Any, error: BaseException | None) -> None:
    """Within a serializer that was given the token; others check the user whom a token is about to be made for."""
    given = _given.get()
    if given is not None and error is None:
        given.update(payload)


# --- Serializers -----------------------------------------------------------------------------------------------------


def _verify(wrapped: Callable[..., Any], serializer: Any, args: Args, kwargs: Kwargs) -> Any:
    given: dict[str, Any] = {}
    underway = _given.set(given)
    try:
        return wrapped(*args, **kwargs)
    except Exception as error:
        _serializer_refused(error, given)
        raise
    finally:
        _given.reset(underway)


def _refresh(wrapped: Callable[..., Any], serializer: Any, args: Args, kwargs: Kwargs) -> Any:
    result = _verify(wrapped, serializer, args, kwargs)
    exchanged()
    return result


@guarded(None)
def _serializer_refused(error: Exception, given: Mapping[str, Any]) -> None:
    """It was not PyJWT, and it is not on the blacklist: no user or, once there is one, no more refreshing."""
    from rest_framework.exceptions import ValidationError

    if isinstance(error, ValidationError) and accepted_token() is not None:
        if not given:
            refuse(semconv.REFUSED)
        else:
            refuse(semconv.MISSING_CLAIM if given.get("orig_iat") is None else semconv.EXPIRED)


# --- Blacklist -------------------------------------------------------------------------------------------------------


@guarded(None)
def _jti(payload: Any) -> Any:
    return payload.get("jti")


@guarded(None)
def _end_lookup(jti: Any, blocked: Any, error: BaseException | None) -> None:
    if error is None:
        (refuse if blocked else passed)(semconv.TOKEN_REVOKED, jti=jti)


def _save(wrapped: Callable[..., Any], row: Any, args: Args, kwargs: Kwargs) -> Any:
    inserted = getattr(getattr(row, "_state", None), "adding", False)
    result = wrapped(*args, **kwargs)
    if inserted:
        _revoked(row)
    return result


@guarded(None)
def _revoked(row: Any) -> None:
    """A row has the id of the token that all of its kin were refreshed from; without ids, the token itself."""
    from rest_framework_jwt.settings import api_settings

    if row.token_id is not None:
        record_revocation(str(row.token_id), reason="blacklist", issuer=api_settings.JWT_ISSUER)
    else:
        revoke_token(row.token, reason="blacklist")


_UTILS: Final = f"{_PACKAGE}.utils"
_SERIALIZERS: Final = f"{_PACKAGE}.serializers"
_BLACKLIST: Final = f"{_PACKAGE}.blacklist"

PATCHES: Final = Library(
    "drf-jwt",
    since=(1, 19, 2),
    before=(2,),
    patches=(
        CodePatch(_UTILS, "jwt_decode_token", ("token",), _same, _end_decode),
        CodePatch(_UTILS, "check_user", ("payload",), _same, _end_user_check),
        WrapPatch(f"{_PACKAGE}.authentication", "JSONWebTokenAuthentication.authenticate_credentials", _authenticate),
        WrapPatch(_SERIALIZERS, "VerifyAuthTokenSerializer.validate", _verify),
        WrapPatch(_SERIALIZERS, "RefreshAuthTokenSerializer.validate", _refresh),
        WrapPatch(f"{_BLACKLIST}.serializers", "BlacklistTokenSerializer.save", _verify),
        CodePatch(f"{_BLACKLIST}.models", "BlacklistedToken.is_blocked", ("payload",), _jti, _end_lookup),
        WrapPatch(f"{_BLACKLIST}.models", "BlacklistedToken.save", _save),
    ),
)
