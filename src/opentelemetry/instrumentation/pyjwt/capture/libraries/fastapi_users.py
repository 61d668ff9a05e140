"""FastAPI Users: what it decides about a token's user, once PyJWT has verified the token or not.

Its JWT strategy finds the user, or none, and keeps PyJWT's errors to itself; its authenticator refuses users that
are inactive, or not verified or no superusers where these are required. Tokens that verify an address or reset a
password are refused in the same silence. It has no refresh tokens, and to log out with a JWT revokes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.capture.decisions import refuse_token, scope_checked
from opentelemetry.instrumentation.pyjwt.capture.request import FORBIDDEN
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.patching import Library, WrapPatch

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
#: Tokens and the users they are for, as one authentication comes upon them.
Found = list[tuple[object, Any]]
_found: ContextVar[Found | None] = ContextVar("opentelemetry_pyjwt_fastapi_users", default=None)


# --- JWTStrategy, Authenticator: whose token it is, and whether that user may come in --------------------------------


async def _read_token(wrapped: Callable[..., Any], strategy: Any, args: Args, kwargs: Kwargs) -> Any:
    user = await wrapped(*args, **kwargs)
    _read(user, *args, **kwargs)
    return user


@guarded(None)
def _read(user: Any, /, token: object, user_manager: Any) -> None:
    if token is None:
        return
    if user is None:  # unknown, or PyJWT said no, which is known
        refuse_token(token, semconv.REFUSED)
    elif (found := _found.get()) is not None:
        found.append((token, user))


async def _authenticate(wrapped: Callable[..., Any], authenticator: Any, args: Args, kwargs: Kwargs) -> Any:
    found: Found = []
    reset = _found.set(found)
    try:
        result = await wrapped(*args, **kwargs)
    except Exception as error:
        _not_authenticated(error, found, **kwargs)
        raise
    finally:
        _found.reset(reset)
    _authenticated(result[0], found, **kwargs)
    return result


@guarded(None)
def _authenticated(accepted: Any, found: Found, /, **wanted: Any) -> None:
    if not found:
        return
    token, user = found[-1]
    if accepted is None:  # nothing was required, and the request goes on without a user
        refuse_token(token, semconv.REFUSED)
    else:
        _permitted(True, user, **wanted)


@guarded(None)
def _not_authenticated(error: Exception, found: Found, /, **wanted: Any) -> None:
    from fastapi import HTTPException

    if not found or not isinstance(error, HTTPException):  # but, for one, a database that is out of reach
        return
    token, user = found[-1]
    if error.status_code == FORBIDDEN:
        _permitted(False, user, **wanted)
    else:
        refuse_token(token, semconv.REFUSED)


def _permitted(allowed: bool, user: Any, /, verified: bool = False, superuser: bool = False, **more: Any) -> None:
    """What is required of a user is told like scopes of the token."""
    required = [name for name, wanted in (("verified", verified), ("superuser", superuser)) if wanted]
    scope_checked(required, [name for name in required if getattr(user, f"is_{name}")], allowed=allowed)


# --- BaseUserManager: tokens that are good for one thing, once --------------------------------------------------------


async def _redeem(wrapped: Callable[..., Any], manager: Any, args: Args, kwargs: Kwargs) -> Any:
    try:
        return await wrapped(*args, **kwargs)
    except Exception as error:
        _not_redeemed(error, *args, **kwargs)
        raise


@guarded(None)
def _not_redeemed(error: Exception, /, token: object, *more: Any, **named: Any) -> None:
    """The token has been used, or its user is another by now; or PyJWT said no, which is known."""
    from fastapi_users.exceptions import FastAPIUsersException, InvalidPasswordException

    # That the new password will not do says nothing against the token.
    if isinstance(error, FastAPIUsersException) and not isinstance(error, InvalidPasswordException):
        refuse_token(token, semconv.REFUSED)


PATCHES: Final = Library(
    "fastapi-users",
    since=(13,),
    before=(16,),
    patches=(
        WrapPatch("fastapi_users.authentication.strategy.jwt", "JWTStrategy.read_token", _read_token),
        WrapPatch("fastapi_users.authentication.authenticator", "Authenticator._authenticate", _authenticate),
        WrapPatch("fastapi_users.manager", "BaseUserManager.verify", _redeem),
        WrapPatch("fastapi_users.manager", "BaseUserManager.reset_password", _redeem),
    ),
)
