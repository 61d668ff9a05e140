"""django-ninja-jwt: djangorestframework-simplejwt for django-ninja, with pydantic's models in place of serializers.

Those check tokens as they are validated. Pydantic keeps the functions that do so in validators it has compiled, so
they are patched from within.
"""

from __future__ import annotations

from contextvars import Token
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.capture.decisions import passed_token, refuse_token
from opentelemetry.instrumentation.pyjwt.capture.libraries.simplejwt_tokens import Package, rotating
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.patching import Library
from opentelemetry.instrumentation.pyjwt.trampoline import CodePatch

_package: Final = Package("ninja_jwt", framework="ninja_extra")


def _refreshing() -> Token[bool]:
    return rotating.set(True)


def _refreshed(underway: Token[bool], result: Any, error: BaseException | None) -> None:
    rotating.reset(underway)


@guarded(None)
def _verifying(values: Any) -> Any:
    """The token that is to be verified, as the request's body has it."""
    values = getattr(values, "_obj", values)
    return values.get("token") if isinstance(values, dict) else None


@guarded(None)
def _verified(token: Any, result: Any, error: BaseException | None) -> None:
    """This one looks into the blacklist by itself, and answers 400."""
    from ninja_jwt.exceptions import ValidationError

    if token and error is None and _package.looks_into_blacklist():
        passed_token(token, semconv.TOKEN_REVOKED)
    elif token and isinstance(error, ValidationError):
        refuse_token(token, semconv.TOKEN_REVOKED)


PATCHES: Final = Library(
    "django-ninja-jwt",
    since=(5, 3),
    before=(6,),
    patches=(
        *_package.common(),
        CodePatch("ninja_jwt.schema", "TokenRefreshOutputSchema.validate_schema", (), _refreshing, _refreshed),
        CodePatch("ninja_jwt.schema", "TokenVerifyInputSchema.validate_schema", ("values",), _verifying, _verified),
        *_package.patches(
            "authentication",
            {
                "JWTBaseAuthentication.get_user": _package.get_user,
                "JWTStatelessUserAuthentication.get_user": _package.get_user,
            },
        ),
    ),
)
