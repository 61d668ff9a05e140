"""django-allauth: the tokens of its headless API, whose state is the Django session that they belong to.

Its token strategy swallows what PyJWT raises, and answers ``None`` to whatever it does not accept: which of its own
checks it was is told by the functions that make them. A refresh token is good for as long as its session lists it:
rotation takes it from the list, logging out ends the session.
"""

from __future__ import annotations

from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.api import record_revocation
from opentelemetry.instrumentation.pyjwt.capture.decisions import accepted_token, passed, refuse, settle
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.patching import Library
from opentelemetry.instrumentation.pyjwt.trampoline import CodePatch

# In the session: the ids of the refresh tokens that are good, and when each expires.
_REFRESH_TOKENS: Final = "headless_refresh_tokens"


def _same(given: Any = None) -> Any:
    return given


@guarded(None)
def _jti(claims: Any) -> Any:
    return claims["jti"]


# --- What is presented ---------------------------------------------------------------------------------------------


@guarded(None)
def _end_decode(use: Any, claims: Any, error: BaseException | None) -> None:
    """PyJWT has accepted it: then it is of another kind, or lacks what all of these tokens have."""
    if error is None and claims is None and (token := accepted_token()) is not None:
        refuse(semconv.MISSING_CLAIM if token.token_use == use else semconv.WRONG_TYPE)


@guarded(None)
def _end_session(jti: Any, session: Any, error: BaseException | None) -> None:
    if error is None:
        _asked(jti, revoked=session is None)


@guarded(None)
def _end_user(jti: Any, user: Any, error: BaseException | None) -> None:
    """Inactive, deleted, with another password by now, or somebody else in the same session."""
    if error is None and user is None:
        refuse(semconv.REFUSED, jti=jti)


@guarded(None)
def _end_refresh(call: None, result: Any, error: BaseException | None) -> None:
    """The session's list is looked at in here: no other check is left that could have said no."""
    if error is None and result is None and (token := accepted_token()) is not None:
        _asked(token.jti, revoked=True)


def _asked(jti: Any, *, revoked: bool) -> None:
    if revoked:
        refuse(semconv.TOKEN_REVOKED, jti=jti)
    else:
        passed(semconv.TOKEN_REVOKED, jti=jti)


# --- What is revoked -------------------------------------------------------------------------------------------------


@guarded(None)
def _end_invalidate(jti: Any, result: Any, error: BaseException | None) -> None:
    if error is None and jti is not None:
        record_revocation(jti, reason="rotation", token_use="refresh")


@guarded(None)
def _begin_logout(request: Any) -> tuple[tuple[str, ...], str] | None:
    """Refresh tokens of the session that is about to end, and its user, whom only the session may name."""
    jtis = tuple(request.session.get(_REFRESH_TOKENS, ()))
    return (jtis, str(request.user.pk)) if jtis else None


@guarded(None)
def _end_logout(session: tuple[tuple[str, ...], str] | None, result: Any, error: BaseException | None) -> None:
    """An access token that logs out is looked at once more for the answer, which is 401: nobody is logged in."""
    if error is not None:
        return
    settle()
    jtis, user = session or ((), "")
    for jti in jtis:
        record_revocation(jti, reason="logout", actor=user, token_use="refresh")


_TOKENS: Final = "allauth.headless.tokens.strategies.jwt.internal"

PATCHES: Final = Library(
    "django-allauth",
    since=(65, 13, 1),
    before=(66,),
    patches=(
        CodePatch(_TOKENS, "decode_token", ("use",), _same, _end_decode),
        CodePatch(_TOKENS, "get_token_session", ("payload",), _jti, _end_session),
        CodePatch(_TOKENS, "validate_token_user", ("token",), _jti, _end_user),
        CodePatch(_TOKENS, "validate_refresh_token", (), _same, _end_refresh),
        CodePatch(_TOKENS, "invalidate_refresh_token", ("token",), _jti, _end_invalidate),
        CodePatch("allauth.account.adapter", "DefaultAccountAdapter.logout", ("request",), _begin_logout, _end_logout),
    ),
)
