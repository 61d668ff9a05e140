"""PyJWT: every call that mints, checks or reads a token, seen once, whichever way in.

All ways in meet in the functions patched here: ``jwt.decode`` calls ``PyJWT.decode_complete``, names imported
early are bound to the same functions, subclasses call them by ``super()``. What a call really checked is told
by PyJWT's own steps: ``_verify_signature`` and ``_validate_claims`` report to the call they run in; where one
fails, :mod:`~.diagnosis` says which.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from time import perf_counter
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import audit, guard, semconv
from opentelemetry.instrumentation.pyjwt.audit import Audit, Scene
from opentelemetry.instrumentation.pyjwt.bounds import as_text
from opentelemetry.instrumentation.pyjwt.capture.decisions import is_copying
from opentelemetry.instrumentation.pyjwt.capture.diagnosis import diagnose, passed_before
from opentelemetry.instrumentation.pyjwt.ledger import current_ledger
from opentelemetry.instrumentation.pyjwt.token import identity
from opentelemetry.instrumentation.pyjwt.trampoline import CodePatch
from opentelemetry.instrumentation.pyjwt.verdict import Check, Look, new_look

# IntFlag arithmetic costs a microsecond an operation; these are plain ints.
_SIGNATURE: Final = int(Check.SIGNATURE)
_EXP, _NBF, _IAT = int(Check.EXP), int(Check.NBF), int(Check.IAT)
_AUD, _ISS, _SUB, _JTI = int(Check.AUD), int(Check.ISS), int(Check.SUB), int(Check.JTI)
_STRUCTURE, _KEY = int(Check.STRUCTURE), int(Check.KEY)


class _Call:
    """One call under way. Calls nest: a key look-up decodes, a payload may hold a token."""

    is_key_lookup = False
    scene: Scene | None = None
    heard = False  # whether anybody listens for events
    checked = 0  # Check flags: checks made so far, those of claims as a plan until they have passed
    header: dict[str, Any] | None = None
    claims: dict[str, Any] | None = None
    error: BaseException | None = None  # of a decode inside a key look-up

    def __init__(self, token: object, algorithms: object = None, options: object = None) -> None:
        self.token = token
        self.algorithms = algorithms
        self.options = options
        try:
            active = audit.active
            self.scene = scene = None if active is None else active.scene()
            self.heard = scene is not None and scene[0]
        except Exception as failure:
            guard.report(failure, "Looking for the request")
        self.reset: Token[_Call | None] = _call.set(self)
        self.started = perf_counter()

    @property
    def wants_verification(self) -> bool:
        """PyJWT heeds this option of the call alone, never the instance's."""
        return not isinstance(self.options, Mapping) or bool(self.options.get("verify_signature", True))


_call: ContextVar[_Call | None] = ContextVar("opentelemetry_pyjwt_call", default=None)


# --- PyJWT.decode_complete -----------------------------------------------------------------------------------


def _end_decode(call: _Call, result: Any, error: BaseException | None) -> None:
    _call.reset(call.reset)
    try:
        seconds = perf_counter() - call.started
        outer = _call.get()
        if outer is not None and outer.is_key_lookup:
            outer.error = error  # part of the look-up: the caller reads no claims
            return
        active, scene = audit.active, call.scene
        if active is None or scene is None:
            return
        if error is None:
            _accepted(call, result, seconds, active, scene)
        elif isinstance(error, Exception):
            _failed(call, error, seconds, active, scene)
    except Exception as failure:
        guard.report(failure, "Recording a decode")


def _accepted(call: _Call, result: dict[str, Any], seconds: float, active: Audit, scene: Scene) -> None:
    header, verified = result["header"], call.checked & _SIGNATURE
    if scene[0]:
        token, claims, reader = call.token, result["payload"], active.reader
        facts = reader.read_verified(token, header, claims) if verified else reader.read(token, header, claims, False)
        active.presented(scene, new_look((identity(token), facts, call.checked, 0, None, True)))
    if verified:
        active.metrics.verification(seconds, None, header.get("alg"))


def _failed(call: _Call, error: Exception, seconds: float, active: Audit, scene: Scene) -> None:
    failed, reason = diagnose(error, call)
    token, header, claims = call.token, call.header, call.claims
    if scene[0]:
        if header is not None and claims is not None:  # the signature was good, so the claims are to be believed
            facts, passed = active.reader.read(token, header, claims, True), passed_before(call.checked, failed, error)
        else:  # or PyJWT never came to look at the claims
            facts, passed = active.reader.read_raw(token, header is not None), call.checked & _SIGNATURE
        active.presented(scene, Look(identity(token), facts, passed, failed, reason))
    if call.wants_verification:
        # The algorithm is the token's word until the signature is good.
        active.metrics.verification(seconds, reason, None if header is None else header.get("alg"))


# --- Its steps: PyJWS._verify_signature, PyJWT._validate_claims ------------------------------------------------


def _signature_verified(header: dict[str, Any]) -> None:
    call = _call.get()
    # Else it is no JWT, or a JWS within one.
    if call is not None and call.header is None and (call.options is None or call.wants_verification):
        call.header = header
        call.checked |= _SIGNATURE


def _claims_to_validate(claims: dict[str, Any], options: dict[str, Any], audience: object, issuer: object) -> None:
    call = _call.get()
    if call is None or not call.heard:
        return
    try:
        call.claims = claims
        checked = 0
        if "exp" in claims and options["verify_exp"]:
            checked = _EXP
        if "iat" in claims and options["verify_iat"]:
            checked |= _IAT
        if "nbf" in claims and options["verify_nbf"]:
            checked |= _NBF
        if options["verify_aud"] and (audience is not None or claims.get("aud")):
            checked |= _AUD
        if issuer is not None and options["verify_iss"]:
            checked |= _ISS
        if "sub" in claims and options.get("verify_sub"):  # since PyJWT 2.10
            checked |= _SUB
        if "jti" in claims and options.get("verify_jti"):
            checked |= _JTI
        call.checked |= checked
    except Exception as failure:
        guard.report(failure, "Reading the checks of a decode")


# --- PyJWT.encode -------------------------------------------------------------------------------------------------


def _same(given: Any) -> Any:
    return given


def _end_encode(payload: Any, token: Any, error: BaseException | None) -> None:
    if error is not None or is_copying():
        return
    try:
        active = audit.active
        if active is None or (scene := active.scene()) is None:
            return
        if scene[0]:
            active.minted(scene, identity(token), active.reader.read_minted(token, payload))
        else:
            active.metrics.count(semconv.ISSUED)
    except Exception as failure:
        guard.report(failure, "Recording an encode")


# --- PyJWS.get_unverified_header -------------------------------------------------------------------------------------


def _end_header(token: Any, header: Any, error: BaseException | None) -> None:
    """A header that was read is no use of a token, but its key may turn out not to be had; and a token that
    fails here gets no further."""
    try:
        active = audit.active
        if active is None or not (error is None or isinstance(error, Exception)):
            return
        if error is None and current_ledger() is None:
            return
        if (scene := active.scene()) is None or not scene[0]:
            return
        if error is None:
            facts = active.reader.read(token, header, {}, False)
            look = Look(identity(token), facts, 0, claims_read=False)
        else:
            look = Look(identity(token), active.reader.read_raw(token), 0, _STRUCTURE, semconv.MALFORMED)
        active.presented(scene, look)
    except Exception as failure:
        guard.report(failure, "Recording a header")


# --- PyJWKClient ----------------------------------------------------------------------------------------------------


class _KeyLookup(_Call):
    is_key_lookup = True


def _end_key_lookup(call: _KeyLookup, result: Any, error: BaseException | None) -> None:
    _call.reset(call.reset)
    if error is None or not isinstance(error, Exception):
        return
    try:
        active, scene = audit.active, call.scene
        if active is None or scene is None or not call.heard:
            return
        failed, reason = _KEY, semconv.KEY_UNAVAILABLE
        if call.error is error:  # not the key: the token could not be read
            failed, reason = diagnose(error, call)
        look = Look(identity(call.token), active.reader.read_raw(call.token), 0, failed, reason)
        active.presented(scene, look)
    except Exception as failure:
        guard.report(failure, "Recording a key look-up")


def _end_signing_key(kid: Any, result: Any, error: BaseException | None) -> None:
    """The key of a token whose header or claims were read in this request could not be had."""
    if error is None or not isinstance(error, Exception):
        return
    try:
        active, ledger, lookup = audit.active, current_ledger(), _call.get()
        if active is not None and ledger is not None and not ledger.muted and not (lookup and lookup.is_key_lookup):
            active.emit(ledger, ledger.key_unavailable(as_text(kid)))
    except Exception as failure:
        guard.report(failure, "Recording a missing key")


PATCHES: Final = (
    CodePatch("jwt.api_jwt", "PyJWT.encode", ("payload",), _same, _end_encode),
    CodePatch("jwt.api_jwt", "PyJWT.decode_complete", ("jwt", "algorithms", "options"), _Call, _end_decode),
    CodePatch(
        "jwt.api_jwt",
        "PyJWT._validate_claims",
        ("payload", "options", "audience", "issuer"),
        _claims_to_validate,
        when="before",
    ),
    CodePatch("jwt.api_jws", "PyJWS._verify_signature", ("header",), _signature_verified, when="after"),
    CodePatch("jwt.api_jws", "PyJWS.get_unverified_header", ("jwt",), _same, _end_header),
    CodePatch("jwt.jwks_client", "PyJWKClient.get_signing_key_from_jwt", ("token",), _KeyLookup, _end_key_lookup),
    CodePatch("jwt.jwks_client", "PyJWKClient.get_signing_key", ("kid",), _same, _end_signing_key),
)
