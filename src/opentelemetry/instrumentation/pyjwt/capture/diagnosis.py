"""Why PyJWT refused a token: from its exception, and from the step that the traceback shows it was raised in."""

from __future__ import annotations

import math
from types import TracebackType
from typing import Any, Final, Protocol

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.verdict import Check

_SIGNATURE: Final = int(Check.SIGNATURE)
_EXP, _NBF, _IAT = int(Check.EXP), int(Check.NBF), int(Check.IAT)
_AUD, _ISS, _SUB, _JTI = int(Check.AUD), int(Check.ISS), int(Check.SUB), int(Check.JTI)
_CALL, _STRUCTURE, _CLAIM = int(Check.CALL), int(Check.STRUCTURE), int(Check.CLAIM)
_KEY, _ALGORITHM = int(Check.KEY), int(Check.ALGORITHM)

# The order in which PyJWT's _validate_claims makes its checks, after those of required claims.
_CLAIM_CHECKS: Final = (_IAT, _NBF, _EXP, _ISS, _AUD, _SUB, _JTI)


class Refused(Protocol):
    """The call that PyJWT refused."""

    header: dict[str, Any] | None  # once the signature was good
    claims: dict[str, Any] | None  # once PyJWT came to look at them
    algorithms: object  # as given

    @property
    def wants_verification(self) -> bool: ...


_REASONS: Final = {
    "ExpiredSignatureError": (_EXP, semconv.EXPIRED),
    "InvalidAudienceError": (_AUD, semconv.INVALID_AUDIENCE),
    "InvalidIssuerError": (_ISS, semconv.INVALID_ISSUER),
    "InvalidSubjectError": (_SUB, semconv.INVALID_SUBJECT),
    "InvalidJTIError": (_JTI, semconv.INVALID_JTI),
    "InvalidIssuedAtError": (_IAT, semconv.INVALID_CLAIM),
    "InvalidSignatureError": (_SIGNATURE, semconv.INVALID_SIGNATURE),
    "InvalidAlgorithmError": (_ALGORITHM, semconv.INVALID_ALGORITHM),
    "InvalidKeyError": (_ALGORITHM, semconv.INVALID_KEY),
    "PyJWKError": (_KEY, semconv.INVALID_KEY),
    "PyJWKSetError": (_KEY, semconv.KEY_UNAVAILABLE),
    "PyJWKClientError": (_KEY, semconv.KEY_UNAVAILABLE),
    "PyJWKClientConnectionError": (_KEY, semconv.KEY_UNAVAILABLE),
}
# PyJWT's steps by the names of their functions, the same from 2.8 on, innermost first in a traceback.
_CLAIM_STEPS: Final = {
    "_validate_iat": _IAT,
    "_validate_nbf": _NBF,
    "_validate_exp": _EXP,
    "_validate_iss": _ISS,
    "_validate_aud": _AUD,
    "_validate_sub": _SUB,
    "_validate_jti": _JTI,
}
_STRUCTURE_STEPS: Final = frozenset(
    {"_load", "_decode_base64url_segment", "_validate_headers", "_validate_kid", "_validate_crit", "_decode_payload"}
)
_OTHER_STEPS: Final = frozenset(
    {"decode_complete", "_verify_signature", "_validate_claims", "_validate_required_claims"}
)


def diagnose(error: Exception, call: Refused) -> tuple[int, str]:
    """The check that failed, and the reason, from the exception and the step it was raised in."""
    step = _step(error.__traceback__)
    kind = type(error)
    if not kind.__module__.startswith("jwt."):
        if step in _STRUCTURE_STEPS:  # a surrogate in the token, a payload nested too deep
            return _STRUCTURE, semconv.MALFORMED
        if step in _CLAIM_STEPS and not _is_number(call, step):  # exp that is null or infinite; else it is the leeway
            return _CLAIM_STEPS[step], semconv.INVALID_CLAIM
        if _is_pyjwt_error(kind):
            return _CLAIM, semconv.REFUSED  # the application's own exception, from its own subclass
        return _CALL, semconv.APPLICATION_ERROR
    known = _REASONS.get(kind.__name__)
    if known is not None:
        return known
    if kind.__name__ == "ImmatureSignatureError":
        return _CLAIM_STEPS.get(step, _NBF), semconv.NOT_YET_VALID
    if kind.__name__ == "MissingRequiredClaimError":
        return _CLAIM_STEPS.get(step, _CLAIM), semconv.MISSING_CLAIM
    if step in _CLAIM_STEPS:
        return _CLAIM_STEPS[step], semconv.INVALID_CLAIM
    if step in _STRUCTURE_STEPS or call.header is not None:
        return _STRUCTURE, semconv.MALFORMED
    if step == "decode_complete" and call.wants_verification and not call.algorithms and "algorithms" in str(error):
        return _CALL, semconv.APPLICATION_ERROR  # no algorithms, which PyJWT asks for before it looks at the token
    return _STRUCTURE, semconv.MALFORMED


def _is_number(call: Refused, step: str) -> bool:
    value = (call.claims or {}).get(step.removeprefix("_validate_"))
    return isinstance(value, (int, float)) and math.isfinite(value)


def _step(traceback: TracebackType | None) -> str:
    """The innermost step of PyJWT's that the exception came through."""
    step = ""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        name = code.co_name
        if name in _CLAIM_STEPS or name in _STRUCTURE_STEPS or name in _OTHER_STEPS:
            step = name
        traceback = traceback.tb_next
    return step


def _validating(traceback: TracebackType | None) -> bool:
    """Whether the exception came out of PyJWT's own validation of claims."""
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code.co_name == "_validate_claims" and frame.f_globals.get("__name__") == "jwt.api_jwt":
            return True
        traceback = traceback.tb_next
    return False


def _is_pyjwt_error(kind: type[BaseException]) -> bool:
    return any(base.__module__ == "jwt.exceptions" and base.__name__ == "PyJWTError" for base in kind.__mro__)


def passed_before(checked: int, failed: int, error: Exception) -> int:
    """The checks that passed before the one that failed: the signature, then claims in PyJWT's order."""
    passed = checked & _SIGNATURE
    if failed == _CLAIM and not _validating(error.__traceback__):
        return checked  # a subclass's own rule failed, after PyJWT's checks
    if failed in _CLAIM_CHECKS:
        for check in _CLAIM_CHECKS:
            if check == failed:
                break
            passed |= checked & check
    return passed
