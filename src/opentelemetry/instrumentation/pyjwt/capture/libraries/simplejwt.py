"""djangorestframework-simplejwt: what it decides about a token once PyJWT has verified it, and what it blacklists.

Its token classes decode a token, then check the blacklist, the expiry and the type; its authentication looks for
the user. Each refusal is told as it is made, for the status is not always a 401. Its blacklist is a table in the
database: a token is revoked when a row of it is inserted, by ``blacklist()`` or by the application itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final
from weakref import WeakSet

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.api import record_revocation
from opentelemetry.instrumentation.pyjwt.capture.decisions import authenticated, copying, passed, refuse
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.ledger import current_ledger
from opentelemetry.instrumentation.pyjwt.patching import Library, WrapPatch

_PACKAGE: Final = "rest_framework_simplejwt"
_TOKEN_USES: Final = frozenset({"access", "refresh", "id"})

# Token objects made of a token whose signature was checked: only their claims say who somebody is.
_verified: WeakSet[Any] = WeakSet()
_rotating: ContextVar[bool] = ContextVar("opentelemetry_pyjwt_simplejwt_rotating", default=False)
# The token object whose blacklist() is under way.
_blacklisting: ContextVar[Any] = ContextVar("opentelemetry_pyjwt_simplejwt_blacklisting", default=None)

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


# --- Token: what each class of tokens checks -----------------------------------------------------------------------


def _init(wrapped: Callable[..., Any], token: Any, args: Args, kwargs: Kwargs) -> Any:
    result = wrapped(*args, **kwargs)
    _accepted(token, *args, **kwargs)
    return result


@guarded(None)
def _accepted(made: Any, /, token: Any = None, verify: bool = True) -> None:
    """This class takes the token, which another one of AUTH_TOKEN_CLASSES may have refused before."""
    if token is not None and verify:
        passed(semconv.WRONG_TYPE, jti=_jti(made))
        _verified.add(made)


def _verify_token_type(wrapped: Callable[..., Any], token: Any, args: Args, kwargs: Kwargs) -> Any:
    try:
        return wrapped(*args, **kwargs)
    except Exception as error:
        _refused(error, semconv.WRONG_TYPE, token)
        raise


def _check_exp(wrapped: Callable[..., Any], token: Any, args: Args, kwargs: Kwargs) -> Any:
    """PyJWT has checked ``exp`` if there is one; a sliding token also has an expiry of its refreshing."""
    try:
        return wrapped(*args, **kwargs)
    except Exception as error:
        _past(error, token, *args, **kwargs)
        raise


@guarded(None)
def _past(error: Exception, token: Any, /, claim: str = "exp", current_time: Any = None) -> None:
    _refused(error, semconv.EXPIRED if claim in token.payload else semconv.MISSING_CLAIM, token)


def _check_blacklist(wrapped: Callable[..., Any], token: Any, args: Args, kwargs: Kwargs) -> Any:
    try:
        result = wrapped(*args, **kwargs)
    except Exception as error:
        _refused(error, semconv.TOKEN_REVOKED, token)
        raise
    _not_revoked(token)
    return result


@guarded(None)
def _not_revoked(token: Any) -> None:
    passed(semconv.TOKEN_REVOKED, jti=_jti(token))


@guarded(None)
def _refused(error: Exception, reason: str, token: Any) -> None:
    from rest_framework_simplejwt.exceptions import TokenError

    if isinstance(error, TokenError):  # and not, for one, a database that is out of reach
        refuse(reason, jti=_jti(token))


def _jti(token: Any) -> Any:
    """The ``jti`` that the ledger knows the token by; ``None``, the token seen last, if it is kept in another claim."""
    from rest_framework_simplejwt.settings import api_settings

    return token.get("jti") if api_settings.JTI_CLAIM == "jti" else None


# --- BlacklistMixin: what goes into the database -------------------------------------------------------------------


def _keep(wrapped: Callable[..., Any], owner: Any, args: Args, kwargs: Kwargs) -> Any:
    """The token is encoded to be kept in the database, and again to be handed out: in a request these are one
    for their jti, elsewhere for this."""
    if current_ledger() is not None:
        return wrapped(*args, **kwargs)
    with copying():
        return wrapped(*args, **kwargs)


def _blacklist(wrapped: Callable[..., Any], token: Any, args: Args, kwargs: Kwargs) -> Any:
    """The token is encoded again, to be kept in the database if it is not there yet."""
    underway = _blacklisting.set(token)
    try:
        with copying():
            return wrapped(*args, **kwargs)
    finally:
        _blacklisting.reset(underway)


def _save(wrapped: Callable[..., Any], row: Any, args: Args, kwargs: Kwargs) -> Any:
    inserted = getattr(getattr(row, "_state", None), "adding", False)
    result = wrapped(*args, **kwargs)
    if inserted:
        _revoked(row)
    return result


@guarded(None)
def _revoked(row: Any) -> None:
    """A row was inserted: by a token's ``blacklist()``, or directly, to log somebody out everywhere."""
    from rest_framework_simplejwt.settings import api_settings

    outstanding = row._state.fields_cache.get("token")
    if outstanding is None:  # known by its key alone; a query of ours would be one too many
        return
    jti, issuer = outstanding.jti, api_settings.ISSUER
    token = _blacklisting.get()
    if token is None or token.payload.get(api_settings.JTI_CLAIM) != jti:
        record_revocation(jti, reason="blacklist", issuer=issuer)
        return
    claims: Mapping[str, Any] = token.payload
    use = claims.get(api_settings.TOKEN_TYPE_CLAIM)
    record_revocation(
        jti,
        reason="rotation" if _rotating.get() else "blacklist",
        actor=_actor(token),
        issuer=claims.get("iss", issuer),
        token_use=use if use in _TOKEN_USES else None,
    )


def _actor(token: Any) -> str | None:
    """Whoever the request is from; where that is not known, the subject of the token, if it was verified."""
    from rest_framework_simplejwt.settings import api_settings

    ledger = current_ledger()
    if (ledger is not None and ledger.actor is not None) or not (token.token is None or token in _verified):
        return None  # record_revocation() knows
    subject = token.payload.get(api_settings.USER_ID_CLAIM)
    return None if subject is None else str(subject)


# --- Serializers and authentication --------------------------------------------------------------------------------


def _refresh(wrapped: Callable[..., Any], serializer: Any, args: Args, kwargs: Kwargs) -> Any:
    underway = _rotating.set(True)
    try:
        return wrapped(*args, **kwargs)
    except Exception as error:
        _user_refused(error, None)
        raise
    finally:
        _rotating.reset(underway)


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
    from django.conf import settings
    from rest_framework_simplejwt.settings import api_settings

    if api_settings.BLACKLIST_AFTER_ROTATION and f"{_PACKAGE}.token_blacklist" in settings.INSTALLED_APPS:
        passed(semconv.TOKEN_REVOKED)


def _get_user(wrapped: Callable[..., Any], authentication: Any, args: Args, kwargs: Kwargs) -> Any:
    try:
        user = wrapped(*args, **kwargs)
    except Exception as error:
        _user_refused(error, *args, **kwargs)
        raise
    _user_found(*args, **kwargs)
    return user


@guarded(None)
def _user_refused(error: Exception, validated_token: Any) -> None:
    """Unknown, inactive, with another password by now: no user for this token."""
    from django.core.exceptions import ObjectDoesNotExist
    from rest_framework.exceptions import APIException

    if isinstance(error, (APIException, ObjectDoesNotExist)):
        refuse(semconv.REFUSED, jti=None if validated_token is None else _jti(validated_token))


@guarded(None)
def _user_found(validated_token: Any) -> None:
    from rest_framework_simplejwt.settings import api_settings

    if validated_token in _verified:  # and not, for one, mere claims
        authenticated(validated_token.get(api_settings.USER_ID_CLAIM))


def _patches(module: str, rows: Mapping[str, Callable[..., Any]], *, optional: bool = False) -> tuple[WrapPatch, ...]:
    return tuple(WrapPatch(f"{_PACKAGE}.{module}", path, around, optional) for path, around in rows.items())


PATCHES: Final = Library(
    "djangorestframework-simplejwt",
    since=(5, 3, 1),
    before=(6,),
    patches=(
        *_patches(
            "tokens",
            {
                "Token.__init__": _init,
                "Token.verify_token_type": _verify_token_type,
                "Token.check_exp": _check_exp,
            },
        ),
        # These are there if the blacklist is among the installed applications; outstand() since 5.5, at first in Token.
        *_patches(
            "tokens",
            {
                "BlacklistMixin.check_blacklist": _check_blacklist,
                "BlacklistMixin.blacklist": _blacklist,
                "BlacklistMixin.for_user": _keep,
                "BlacklistMixin.outstand": _keep,
                "Token.outstand": _keep,
            },
            optional=True,
        ),
        *_patches("token_blacklist.models", {"BlacklistedToken.save": _save}),
        *_patches(
            "serializers", {"TokenRefreshSerializer.validate": _refresh, "TokenVerifySerializer.validate": _verify}
        ),
        *_patches(
            "authentication",
            {"JWTAuthentication.get_user": _get_user, "JWTStatelessUserAuthentication.get_user": _get_user},
        ),
    ),
)
