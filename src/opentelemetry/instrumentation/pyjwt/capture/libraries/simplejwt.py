"""djangorestframework-simplejwt: what it decides about a token once PyJWT has verified it, and what it blacklists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.capture.decisions import passed, refuse
from opentelemetry.instrumentation.pyjwt.capture.libraries.simplejwt_tokens import Args, Kwargs, Package, rotating
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.patching import Library

_package: Final = Package("rest_framework_simplejwt", framework="rest_framework")


def _refresh(wrapped: Callable[..., Any], serializer: Any, args: Args, kwargs: Kwargs) -> Any:
    underway = rotating.set(True)
    try:
        return wrapped(*args, **kwargs)
    except Exception as error:
        _package.user_refused(error)
        raise
    finally:
        rotating.reset(underway)


def _verify(wrapped: Callable[..., Any], serializer: Any, args: Args, kwargs: Kwargs) -> Any:
    """This one looks into the blacklist by itself, and answers 400."""
    try:
        result = wrapped(*args, **kwargs)
    except Exception as error:
        _found_blacklisted(error)
        raise
    _not_found_blacklisted()
    return result


@guarded(None)
def _found_blacklisted(error: Exception) -> None:
    from rest_framework.exceptions import ValidationError

    if isinstance(error, ValidationError):
        refuse(semconv.TOKEN_REVOKED)


@guarded(None)
def _not_found_blacklisted() -> None:
    if _package.looks_into_blacklist():
        passed(semconv.TOKEN_REVOKED)


PATCHES: Final = Library(
    "djangorestframework-simplejwt",
    since=(5, 3, 1),
    before=(6,),
    patches=(
        *_package.common(),
        # Since 5.5, at first in Token.
        *_package.patches(
            "tokens", {"BlacklistMixin.outstand": _package.keep, "Token.outstand": _package.keep}, optional=True
        ),
        *_package.patches(
            "serializers", {"TokenRefreshSerializer.validate": _refresh, "TokenVerifySerializer.validate": _verify}
        ),
        *_package.patches(
            "authentication",
            {
                "JWTAuthentication.get_user": _package.get_user,
                "JWTStatelessUserAuthentication.get_user": _package.get_user,
            },
        ),
    ),
)
