"""Flask-JWT-Extended: what it decides about a token, beyond what PyJWT does.

Each of its checks is a function that raises if it says no: of the token's type, its freshness, the blocklist, the
application's claims and its user, the CSRF value that comes with a cookie. Its views have these functions by names
of their own, so it is the functions that are patched. To revoke a token it has no way: the application tells of
that with ``record_revocation()``.
"""

from __future__ import annotations

from contextvars import Token
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import audit, semconv
from opentelemetry.instrumentation.pyjwt.capture.decisions import passed, refuse, refuse_token
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.ledger import Ledger, enter_ledger, leave_ledger
from opentelemetry.instrumentation.pyjwt.patching import Library
from opentelemetry.instrumentation.pyjwt.trampoline import CodePatch

_EXCEPTIONS: Final = "flask_jwt_extended.exceptions"
_REASONS: Final = {
    "RevokedTokenError": semconv.TOKEN_REVOKED,
    "WrongTokenError": semconv.WRONG_TYPE,
    "FreshTokenRequired": semconv.REFUSED,
    "UserClaimsVerificationError": semconv.REFUSED,
    "UserLookupError": semconv.REFUSED,
    "CSRFError": semconv.REFUSED,
    "JWTDecodeError": semconv.MISSING_CLAIM,  # it is raised for nothing else
}


def _reason(error: BaseException) -> str | None:
    """The library's reason; none if something broke, as a blocklist that cannot be asked, or if PyJWT said no."""
    for kind in type(error).__mro__:
        if kind.__module__ == _EXCEPTIONS:
            return _REASONS.get(kind.__name__)
    return None


# --- Checks of claims that PyJWT has verified --------------------------------------------------------------------


@guarded(None)
def _jti(claims: Any) -> Any:
    return claims.get("jti")


@guarded(None)
def _end_check(jti: Any, result: Any, error: BaseException | None) -> None:
    if error is not None and (reason := _reason(error)) is not None:
        refuse(reason, jti=jti)


@guarded(None)
def _end_type_check(jti: Any, result: Any, error: BaseException | None) -> None:
    """An endpoint may try one type and then, if the token is not of that, the other."""
    if error is None:
        passed(semconv.WRONG_TYPE, jti=jti)
    else:
        _end_check(jti, result, error)


@guarded(None)
def _end_blocklist_check(jti: Any, result: Any, error: BaseException | None) -> None:
    if error is not None:
        _end_check(jti, result, error)
    elif _has_blocklist():
        passed(semconv.TOKEN_REVOKED, jti=jti)


def _has_blocklist() -> bool:
    """Whether the application has one: without it the library asks a function that finds every token fine."""
    from flask_jwt_extended.default_callbacks import default_blocklist_callback
    from flask_jwt_extended.internal_utils import get_jwt_manager

    return get_jwt_manager()._token_in_blocklist_callback is not default_blocklist_callback


# --- Checks around the decoding ----------------------------------------------------------------------------------


def _same(given: Any) -> Any:
    return given


@guarded(None)
def _end_decode(token: Any, result: Any, error: BaseException | None) -> None:
    """The signature was good, but the token lacks a claim, or its CSRF value is not the one that came with it."""
    if error is not None and (reason := _reason(error)) is not None:
        refuse_token(token, reason)


@guarded(None)
def _end_cookies(refresh: Any, result: Any, error: BaseException | None) -> None:
    """A cookie that came without any CSRF value is refused unread."""
    if error is None or (reason := _reason(error)) is None:
        return
    from flask import request
    from flask_jwt_extended.config import config

    token = request.cookies.get(config.refresh_cookie_name if refresh else config.access_cookie_name)
    if token:
        refuse_token(token, reason)


# --- Decoding outside a request ----------------------------------------------------------------------------------

_Scope = tuple[Ledger, Token[Ledger | None]]


@guarded(None)
def _begin_decoding() -> _Scope | None:
    """The library reads claims to find the key, and those of an expired token once more. That is one look at it, and
    where there is no request to bring these together, it has a ledger of its own."""
    active = audit.active
    if active is None or (scene := active.scene()) is None or not scene[0] or scene[1] is not None:
        return None
    ledger = Ledger()
    active.opened(ledger)
    return ledger, enter_ledger(ledger)


@guarded(None)
def _end_decoding(own: _Scope | None, result: Any, error: BaseException | None) -> None:
    if own is None:
        return
    ledger, token = own
    leave_ledger(token)
    if audit.active is not None:
        audit.active.close(ledger)


_MANAGER: Final = "flask_jwt_extended.jwt_manager"
_UTILS: Final = "flask_jwt_extended.internal_utils"
_VIEWS: Final = "flask_jwt_extended.view_decorators"

PATCHES: Final = (
    Library(
        "Flask-JWT-Extended",
        since=(4, 5),
        before=(5,),
        patches=(
            CodePatch(_MANAGER, "JWTManager._decode_jwt_from_config", (), _begin_decoding, _end_decoding),
            CodePatch("flask_jwt_extended.tokens", "_decode_jwt", ("encoded_token",), _same, _end_decode),
            CodePatch(_UTILS, "verify_token_type", ("decoded_token",), _jti, _end_type_check),
            CodePatch(_UTILS, "verify_token_not_blocklisted", ("jwt_data",), _jti, _end_blocklist_check),
            CodePatch(_UTILS, "custom_verification_for_token", ("jwt_data",), _jti, _end_check),
            CodePatch(_VIEWS, "_verify_token_is_fresh", ("jwt_data",), _jti, _end_check),
            CodePatch(_VIEWS, "_load_user", ("jwt_data",), _jti, _end_check),
            CodePatch(_VIEWS, "_decode_jwt_from_cookies", ("refresh",), _same, _end_cookies),
        ),
    ),
)
