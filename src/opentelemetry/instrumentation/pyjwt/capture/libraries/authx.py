"""AuthX: what it decides about a token, beyond what PyJWT does.

It asks the application's blocklist about a token before it has decoded it, then checks the token's type, its
freshness and, if it came in a cookie, its CSRF value; and it compares scopes, where ``admin:*`` grants all that
begins with ``admin:``. To revoke a token it has no way: the application tells of that with ``record_revocation()``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.capture.decisions import passed_token, refuse, refuse_token, scope_checked
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.patching import Library, WrapPatch

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


# --- Before a token is decoded ----------------------------------------------------------------------------------------


async def _is_token_in_blocklist(wrapped: Callable[..., Any], handler: Any, args: Args, kwargs: Kwargs) -> Any:
    revoked = await wrapped(*args, **kwargs)
    _blocklist_asked(handler, revoked, *args, **kwargs)
    return revoked


@guarded(None)
def _blocklist_asked(handler: Any, revoked: bool, /, token: object, **more: Any) -> None:
    if token is None or not handler.is_token_callback_set:  # nobody was asked
        return
    if revoked:
        refuse_token(token, semconv.TOKEN_REVOKED)
    else:
        passed_token(token, semconv.TOKEN_REVOKED)


async def _get_access_token(wrapped: Callable[..., Any], auth: Any, args: Args, kwargs: Kwargs) -> Any:
    try:
        return await wrapped(*args, **kwargs)
    except Exception as error:
        _not_found(error, auth, auth.config.JWT_ACCESS_COOKIE_NAME, *args, **kwargs)
        raise


async def _get_refresh_token(wrapped: Callable[..., Any], auth: Any, args: Args, kwargs: Kwargs) -> Any:
    try:
        return await wrapped(*args, **kwargs)
    except Exception as error:
        _not_found(error, auth, auth.config.JWT_REFRESH_COOKIE_NAME, *args, **kwargs)
        raise


@guarded(None)
def _not_found(error: Exception, auth: Any, cookie: str, /, request: Any, locations: Any = None) -> None:
    """No token to be had, yet there is one in a cookie: it came without any CSRF value, and is refused unread."""
    from authx.exceptions import MissingTokenError

    sought = isinstance(error, MissingTokenError) and "cookies" in (locations or auth.config.JWT_TOKEN_LOCATION)
    if sought and (token := request.cookies.get(cookie)):
        refuse_token(token, semconv.REFUSED)


# --- When it has been decoded -----------------------------------------------------------------------------------------


def _verify(wrapped: Callable[..., Any], token: Any, args: Args, kwargs: Kwargs) -> Any:
    try:
        payload = wrapped(*args, **kwargs)
    except Exception as error:
        _refused(error, token)
        raise
    _accepted(token, *args, **kwargs)
    return payload


@guarded(None)
def _refused(error: Exception, token: Any) -> None:
    """PyJWT's own reasons come as a ``JWTDecodeError`` too, and are known."""
    from authx import exceptions
    from pydantic import ValidationError

    if isinstance(error, exceptions.TokenTypeError):
        refuse_token(token.token, semconv.WRONG_TYPE)
    elif isinstance(error, (exceptions.FreshTokenRequiredError, exceptions.CSRFError)):
        refuse_token(token.token, semconv.REFUSED)
    elif isinstance(error, exceptions.JWTDecodeError) and isinstance(cause := error.__cause__, ValidationError):
        missing = any(one["type"] == "missing" for one in cause.errors(include_url=False, include_input=False))
        refuse_token(token.token, semconv.MISSING_CLAIM if missing else semconv.INVALID_CLAIM)


@guarded(None)
def _accepted(token: Any, /, *args: Any, verify_type: bool = True, **more: Any) -> None:
    """An endpoint may try one type and then, if the token is not of that, the other."""
    if verify_type:
        passed_token(token.token, semconv.WRONG_TYPE)


async def _log_in(wrapped: Callable[..., Any], manager: Any, args: Args, kwargs: Kwargs) -> Any:
    """A manager has several kinds of accounts, each with tokens of its own."""
    try:
        return await wrapped(*args, **kwargs)
    except Exception as error:
        _not_of_this_kind(error)
        raise


@guarded(None)
def _not_of_this_kind(error: Exception) -> None:
    from authx.exceptions import LoginTypeMismatchError

    if isinstance(error, LoginTypeMismatchError):
        refuse(semconv.WRONG_TYPE)


# --- Scopes -----------------------------------------------------------------------------------------------------------


def _has_required_scopes(wrapped: Callable[..., Any], instance: Any, args: Args, kwargs: Kwargs) -> Any:
    allowed = wrapped(*args, **kwargs)
    _compared(wrapped, allowed, *args, **kwargs)
    return allowed


@guarded(None)
def _compared(
    compare: Callable[..., bool], allowed: bool, /, required: Iterable[str], provided: Any, all_required: bool = True
) -> None:
    """Which scopes are missing is for its own comparison to say: it knows of wildcards."""
    missing = () if allowed else [scope for scope in required if not compare([scope], provided)]
    scope_checked(required, provided or (), allowed=allowed, missing=missing)


PATCHES: Final = Library(
    "authx",
    since=(1, 5, 2),
    before=(2,),
    patches=(
        WrapPatch("authx._internal._callback", "_CallbackHandler.is_token_in_blocklist", _is_token_in_blocklist),
        WrapPatch("authx.schema", "RequestToken.verify", _verify),
        # These names, not the function: policies have it by another, for whether a rule applies.
        WrapPatch("authx.schema", "has_required_scopes", _has_required_scopes),
        WrapPatch("authx.main", "has_required_scopes", _has_required_scopes),
        WrapPatch("authx.main", "AuthX.get_access_token_from_request", _get_access_token),
        WrapPatch("authx.main", "AuthX.get_refresh_token_from_request", _get_refresh_token),
        WrapPatch("authx.manager", "AuthManager._auth_required", _log_in),  # since 1.7
    ),
)
