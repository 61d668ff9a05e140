"""What djangorestframework-simplejwt and its fork for django-ninja have in common: tokens, blacklist, users.

Their token classes decode a token, then check the blacklist, the expiry and the type; their authentication looks for
the user. Each refusal is told as it is made, for the status is not always a 401. Their blacklist is a table in the
database: a token is revoked when a row of it is inserted, by ``blacklist()`` or by the application itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from importlib import import_module
from typing import Any, Final
from weakref import WeakSet

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.api import record_revocation
from opentelemetry.instrumentation.pyjwt.capture.decisions import authenticated, copying, passed, refuse
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.ledger import current_ledger
from opentelemetry.instrumentation.pyjwt.patching import WrapPatch

_TOKEN_USES: Final = frozenset({"access", "refresh", "id"})

#: Whether a refresh token is being exchanged: if it is blacklisted, then for that.
rotating: Final[ContextVar[bool]] = ContextVar("opentelemetry_pyjwt_simplejwt_rotating", default=False)
# Token objects made of a token whose signature was checked: only their claims say who somebody is.
_verified: Final[WeakSet[Any]] = WeakSet()
# The token object whose blacklist() is under way.
_blacklisting: Final[ContextVar[Any]] = ContextVar("opentelemetry_pyjwt_simplejwt_blacklisting", default=None)

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


class Package:
    """Wrappers for the functions of one of the two packages.

    Args:
        name: name of the package.
        framework: name of the package whose exceptions its own are derived from.
    """

    def __init__(self, name: str, framework: str) -> None:
        self._name = name
        self._framework = framework

    def patches(
        self, module: str, rows: Mapping[str, Callable[..., Any]], *, optional: bool = False
    ) -> tuple[WrapPatch, ...]:
        return tuple(WrapPatch(f"{self._name}.{module}", path, around, optional) for path, around in rows.items())

    def common(self) -> tuple[WrapPatch, ...]:
        """Patches of the token classes and of the blacklist."""
        return (
            *self.patches(
                "tokens",
                {
                    "Token.__init__": self._init,
                    "Token.verify_token_type": self._verify_token_type,
                    "Token.check_exp": self._check_exp,
                },
            ),
            # These are there if the blacklist is among the installed applications.
            *self.patches(
                "tokens",
                {
                    "BlacklistMixin.check_blacklist": self._check_blacklist,
                    "BlacklistMixin.blacklist": self._blacklist,
                    "BlacklistMixin.for_user": self.keep,
                },
                optional=True,
            ),
            *self.patches("token_blacklist.models", {"BlacklistedToken.save": self._save}),
        )

    @property
    def _settings(self) -> Any:
        """Those that the package works with; the ones in its ``settings`` may be newer, and of no effect."""
        return import_module(f"{self._name}.tokens").api_settings

    def looks_into_blacklist(self) -> bool:
        """Whether a token is looked up there by what verifies tokens of any type."""
        from django.conf import settings

        return self._settings.BLACKLIST_AFTER_ROTATION and f"{self._name}.token_blacklist" in settings.INSTALLED_APPS

    def _jti(self, token: Any) -> Any:
        """The ``jti`` that the ledger knows the token by; ``None``, the token seen last, if it is kept in another
        claim."""
        return token.get("jti") if self._settings.JTI_CLAIM == "jti" else None

    # --- Token: what each class of tokens checks -------------------------------------------------------------------

    def _init(self, wrapped: Callable[..., Any], token: Any, args: Args, kwargs: Kwargs) -> Any:
        result = wrapped(*args, **kwargs)
        self._accepted(token, *args, **kwargs)
        return result

    @guarded(None)
    def _accepted(self, made: Any, /, token: Any = None, verify: bool = True) -> None:
        """This class takes the token, which another one of AUTH_TOKEN_CLASSES may have refused before."""
        if token is not None and verify:
            passed(semconv.WRONG_TYPE, jti=self._jti(made))
            _verified.add(made)

    def _verify_token_type(self, wrapped: Callable[..., Any], token: Any, args: Args, kwargs: Kwargs) -> Any:
        try:
            return wrapped(*args, **kwargs)
        except Exception as error:
            self._refused(error, semconv.WRONG_TYPE, token)
            raise

    def _check_exp(self, wrapped: Callable[..., Any], token: Any, args: Args, kwargs: Kwargs) -> Any:
        """PyJWT has checked ``exp`` if there is one; a sliding token also has an expiry of its refreshing."""
        try:
            return wrapped(*args, **kwargs)
        except Exception as error:
            self._past(error, token, *args, **kwargs)
            raise

    @guarded(None)
    def _past(self, error: Exception, token: Any, /, claim: str = "exp", current_time: Any = None) -> None:
        self._refused(error, semconv.EXPIRED if claim in token.payload else semconv.MISSING_CLAIM, token)

    def _check_blacklist(self, wrapped: Callable[..., Any], token: Any, args: Args, kwargs: Kwargs) -> Any:
        try:
            result = wrapped(*args, **kwargs)
        except Exception as error:
            self._refused(error, semconv.TOKEN_REVOKED, token)
            raise
        self._not_revoked(token)
        return result

    @guarded(None)
    def _not_revoked(self, token: Any) -> None:
        passed(semconv.TOKEN_REVOKED, jti=self._jti(token))

    @guarded(None)
    def _refused(self, error: Exception, reason: str, token: Any) -> None:
        if isinstance(error, import_module(f"{self._name}.exceptions").TokenError):  # and not a database out of reach
            refuse(reason, jti=self._jti(token))

    # --- BlacklistMixin: what goes into the database ---------------------------------------------------------------

    def keep(self, wrapped: Callable[..., Any], owner: Any, args: Args, kwargs: Kwargs) -> Any:
        """The token is encoded to be kept in the database, and again to be handed out: in a request these are one
        for their jti, elsewhere for this."""
        if current_ledger() is not None:
            return wrapped(*args, **kwargs)
        with copying():
            return wrapped(*args, **kwargs)

    def _blacklist(self, wrapped: Callable[..., Any], token: Any, args: Args, kwargs: Kwargs) -> Any:
        """The token is encoded again, to be kept in the database if it is not there yet."""
        underway = _blacklisting.set(token)
        try:
            with copying():
                return wrapped(*args, **kwargs)
        finally:
            _blacklisting.reset(underway)

    def _save(self, wrapped: Callable[..., Any], row: Any, args: Args, kwargs: Kwargs) -> Any:
        inserted = getattr(getattr(row, "_state", None), "adding", False)
        result = wrapped(*args, **kwargs)
        if inserted:
            self._revoked(row)
        return result

    @guarded(None)
    def _revoked(self, row: Any) -> None:
        """A row was inserted: by a token's ``blacklist()``, or directly, to log somebody out everywhere."""
        outstanding = row._state.fields_cache.get("token")
        if outstanding is None:  # known by its key alone; a query of ours would be one too many
            return
        settings = self._settings
        token = _blacklisting.get()
        if token is None or token.payload.get(settings.JTI_CLAIM) != outstanding.jti:
            record_revocation(outstanding.jti, reason="blacklist", issuer=settings.ISSUER)
            return
        claims: Mapping[str, Any] = token.payload
        use = claims.get(settings.TOKEN_TYPE_CLAIM)
        record_revocation(
            outstanding.jti,
            reason="rotation" if rotating.get() else "blacklist",
            actor=self._actor(token),
            issuer=claims.get("iss", settings.ISSUER),
            token_use=use if use in _TOKEN_USES else None,
        )

    def _actor(self, token: Any) -> str | None:
        """Whoever the request is from; where that is not known, the subject of the token, if it was verified."""
        ledger = current_ledger()
        if (ledger is not None and ledger.actor is not None) or not (token.token is None or token in _verified):
            return None  # record_revocation() knows
        subject = token.payload.get(self._settings.USER_ID_CLAIM)
        return None if subject is None else str(subject)

    # --- Authentication --------------------------------------------------------------------------------------------

    def get_user(self, wrapped: Callable[..., Any], authentication: Any, args: Args, kwargs: Kwargs) -> Any:
        try:
            user = wrapped(*args, **kwargs)
        except Exception as error:
            self.user_refused(error, *args, **kwargs)
            raise
        self._user_found(*args, **kwargs)
        return user

    @guarded(None)
    def user_refused(self, error: Exception, validated_token: Any = None) -> None:
        """Unknown, inactive, with another password by now: no user for this token, or for the one seen last."""
        from django.core.exceptions import ObjectDoesNotExist

        if isinstance(error, (import_module(f"{self._framework}.exceptions").APIException, ObjectDoesNotExist)):
            refuse(semconv.REFUSED, jti=None if validated_token is None else self._jti(validated_token))

    @guarded(None)
    def _user_found(self, validated_token: Any) -> None:
        if validated_token in _verified:  # and not, for one, mere claims
            authenticated(validated_token.get(self._settings.USER_ID_CLAIM))
