"""Litestar's JWT backends: what they decide about a token that PyJWT has accepted.

The token class refuses claims that it cannot do with. Then the authentication middleware asks two functions of the
application for the token's user and, if there is such a function, whether it was revoked, and answers both with one
and the same exception.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import wrapt

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.capture.decisions import passed, refuse, refuse_token
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.patching import Library, WrapPatch
from opentelemetry.instrumentation.pyjwt.trampoline import CodePatch

# --- Token.decode ---------------------------------------------------------------------------------------------------


def _same(given: Any) -> Any:
    return given


@guarded(None)
def _end_decode(token: Any, result: Any, error: BaseException | None) -> None:
    """A claim is missing, or is not what the class declares; what PyJWT itself refused, it has told."""
    from jwt.exceptions import PyJWTError
    from litestar.exceptions import NotAuthorizedException

    cause = None if error is None else error.__cause__
    if not isinstance(error, NotAuthorizedException) or isinstance(cause, PyJWTError):
        return
    if cause is None:  # an application's own decode_payload()
        reason = semconv.REFUSED
    elif isinstance(cause, KeyError) or "missing required field" in str(cause):  # msgspec has one error for all
        reason = semconv.MISSING_CLAIM
    else:
        reason = semconv.INVALID_CLAIM
    refuse_token(token, reason)


# --- JWTAuthenticationMiddleware.authenticate_token ----------------------------------------------------------------


class _Heard(wrapt.ObjectProxy):  # type: ignore[type-arg]  # generic to the checker only
    """The middleware during one authentication, whose answers from the application are heard.

    The middleware itself serves other requests meanwhile, so nothing is put into it.
    """

    _self_token: Any = None  # once it was decoded
    _self_revoked = False

    @property
    def retrieve_user_handler(self) -> Callable[..., Any]:
        async def retrieve(token: Any, *args: Any, **kwargs: Any) -> Any:
            self._self_token = token
            return await self.__wrapped__.retrieve_user_handler(token, *args, **kwargs)

        return retrieve

    @property
    def revoked_token_handler(self) -> Callable[..., Any] | None:
        if not self.__wrapped__.revoked_token_handler:
            return None

        async def is_revoked(token: Any, *args: Any, **kwargs: Any) -> Any:
            revoked = await self.__wrapped__.revoked_token_handler(token, *args, **kwargs)
            self._self_revoked = bool(revoked)
            if not revoked:
                _not_revoked(token)
            return revoked

        return is_revoked


async def _authenticate(
    wrapped: Callable[..., Any], middleware: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    heard = _Heard(middleware)
    # Bound to the middleware, or called by a subclass as a function of the class.
    function = getattr(wrapped, "__func__", None) or wrapped.__wrapped__  # type: ignore[attr-defined]
    try:
        return await function(heard, *args, **kwargs)
    except Exception as error:
        _refused(heard, error)
        raise


@guarded(None)
def _refused(heard: _Heard, error: Exception) -> None:
    from litestar.exceptions import NotAuthorizedException

    if heard._self_token is not None and isinstance(error, NotAuthorizedException):
        refuse(semconv.TOKEN_REVOKED if heard._self_revoked else semconv.REFUSED, jti=_jti(heard._self_token))


@guarded(None)
def _not_revoked(token: Any) -> None:
    passed(semconv.TOKEN_REVOKED, jti=_jti(token))


def _jti(token: Any) -> Any:
    return getattr(token, "jti", None)


PATCHES: Final = Library(
    "litestar",
    since=(2, 15),
    before=(3,),
    patches=(
        CodePatch("litestar.security.jwt.token", "Token.decode", ("encoded_token",), _same, _end_decode),
        WrapPatch("litestar.security.jwt.middleware", "JWTAuthenticationMiddleware.authenticate_token", _authenticate),
    ),
)
