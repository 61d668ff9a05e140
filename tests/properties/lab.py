"""One case: a call on both copies of PyJWT, and everything that must hold of what the plugin made of it."""

from __future__ import annotations

import base64
import contextlib
import inspect
import json
import logging
from collections.abc import Iterator
from typing import Any

import jwt.api_jwt

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.instrumentation.pyjwt import action, guard
from tests.properties import promises
from tests.properties.figures import FIGURES, KINDS
from tests.properties.tokens import KEYS, PAIRS
from tests.properties.twins import PATCHED, PRISTINE, Call, Fresh, Outcome, differences, observe
from tests.properties.values import CAPTURED, SUBJECT
from tests.support import Trail

#: Where a call may happen: by itself, once and again; below a span; in a piece of work with its own ledger.
SCENES = ("alone", "again", "span", "action")

POLICIES: dict[str, dict[str, Any]] = {
    "plain": {"capture_claims": CAPTURED},
    "hmac": {"subject": "hmac", "pseudonym_key": "pseudonym-key-of-the-properties", "capture_claims": CAPTURED},
    "omit": {"subject": "omit", "capture_claims": CAPTURED},
}


class _Log(logging.Handler):
    """Everything that Python's logging gets to see."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name}: {record.getMessage()}")


class Lab:
    """Runs cases under one policy, and keeps count."""

    def __init__(self, trail: Trail, policy: str) -> None:
        assert PRISTINE.PyJWT.decode_complete.__code__.co_filename == PRISTINE.api_jwt.__file__, "the copy is patched"
        assert jwt.api_jwt.PyJWT.decode_complete.__code__.co_filename != jwt.api_jwt.__file__, "nothing is patched"
        self._trail = trail
        self._policy = policy
        self._log = _Log()
        self._tracer = trail.tracer_provider.get_tracer("properties")

    @contextlib.contextmanager
    def open(self) -> Iterator[Lab]:
        """Listen to logging at DEBUG; what metrics say is looked at in the end."""
        root = logging.getLogger()
        level = root.level
        root.addHandler(self._log)
        root.setLevel(logging.DEBUG)
        try:
            yield self
        finally:
            root.removeHandler(self._log)
            root.setLevel(level)
        assert metric_attributes(self._trail) == []

    def check(self, call: Call, scene: str) -> None:
        """Run a case; fails with the kinds of what was found."""
        self._trail.clear()
        self._log.lines.clear()
        guard._reported.clear()
        bare = observe(call, PRISTINE)
        times = 2 if scene == "again" else 1
        with self._scene(scene):
            for _ in range(times):
                seen = observe(call, PATCHED)
        found: dict[str, list[str]] = {kind: [] for kind in KINDS}
        found["differences"] = _differences(call, bare, seen)
        records = self._trail.records
        expected = expected_event(call, bare)
        due = times if expected else 0
        found["lost events"] += [f"{expected} is missing"] * (due - len(records))
        found["surplus events"] += ["an event too many"] * (len(records) - due)
        exported = promises.exported(records)
        for record, given in zip(exported, records, strict=True):
            found["broken promises"] += promises.broken_promises(record, given) + self._judged(
                record, call, bare, expected
            )
        if len({_lasting(record) for record in exported}) > 1:
            found["broken promises"].append("the same call again is another event")
        found["failures logged"] = list(self._log.lines)
        found["secrets found"] = self._secrets(call, seen)
        self._count(due, exported, found)
        assert not any(found.values()), {kind: details for kind, details in found.items() if details}

    # --- parts ----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _scene(self, scene: str) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            if scene == "span":
                stack.enter_context(self._tracer.start_as_current_span("work"))
            elif scene == "action":
                stack.enter_context(action("properties.check"))
            yield

    def _judged(self, record: Any, call: Call, bare: Outcome, expected: str | None) -> list[str]:
        """Whether the event says what happened."""
        attributes = {attribute.key: promises.value(attribute.value) for attribute in record.attributes}
        broken = []
        if record.event_name != expected:
            broken.append(f"{record.event_name} where {expected} was to be expected")
        good = signature_good(call, bare)
        if attributes["jwt.verified"] and not good:
            broken.append("verified without a good signature")
        if good and bare.error is None and not attributes["jwt.verified"]:
            broken.append("not verified although the signature is good")
        user = "user.id" if self._policy == "plain" else "user.hash"
        if attributes["jwt.verified"] and ("jwt.sub" in attributes) != (user in attributes):
            broken.append(f"a verified subject is no {user}")
        if self._policy == "omit" and attributes.keys() & {"jwt.sub", "user.id", "user.hash", "jwt.act.sub"}:
            broken.append("a subject was not omitted")
        return broken

    def _secrets(self, call: Call, seen: Outcome) -> list[str]:
        output = self._trail.encoded() + encode_spans(self._trail.spans).SerializeToString()
        output += "\n".join(self._log.lines).encode("utf-8", "surrogatepass")
        wanted = list(secrets(call, seen))
        if self._policy != "plain" and not _told_as_another_claim(call, seen):
            wanted.append(("the subject", SUBJECT.encode()))
        FIGURES.secrets_sought += len(wanted)
        return [what for what, secret in wanted if secret in output]

    def _count(self, due: int, exported: list[Any], found: dict[str, list[str]]) -> None:
        FIGURES.cases += 1
        FIGURES.events_expected += due
        FIGURES.events_seen += len(exported)
        FIGURES.outcomes.update(promises.value(record.body) for record in exported)
        FIGURES.findings.update({kind: len(details) for kind, details in found.items()})


def _lasting(record: Any) -> str:
    """What is the same whenever a call is made."""
    passing = {"audit.record.id", "jwt.expires_in"}
    return record.event_name + str([item for item in record.attributes if item.key not in passing])


def _differences(call: Call, bare: Outcome, seen: Outcome) -> list[str]:
    """Differences that are no chance: some algorithms never sign the same twice."""
    found = differences(bare, seen)
    if found == ["result"] and call.verb == "encode" and differences(bare, observe(call, PRISTINE)) == found:
        one, other = (str(outcome.result).rpartition(".")[0] for outcome in (bare, seen))
        return [] if one == other else found
    return found


def expected_event(call: Call, bare: Outcome) -> str | None:
    """The name of the one event a call gives, or ``None`` if it gives none."""
    if call.verb == "encode":
        return "jwt.issued" if bare.error is None else None
    if bare.error is not None:
        return "jwt.rejected" if _binds(call) else None
    if call.verb == "header":  # read, and put to no use
        return None
    return "jwt.validated" if _wanted(call) else "jwt.unverified"


def _binds(call: Call) -> bool:
    """Whether the arguments fit the function: if not, it is never reached, and no token presented."""
    function, args, kwargs = call.on(PRISTINE)
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def _wanted(call: Call) -> bool:
    """Whether the caller wants the signature checked."""
    try:
        return bool(dict(call.argument(3, "options") or {}).get("verify_signature", True))
    except Exception:  # no options: the call fails
        return True


def signature_good(call: Call, bare: Outcome) -> bool:
    """Whether the call has checked a signature and found it good, asked of the untouched copy."""
    if call.verb == "encode":
        return '"alg":"none"' not in _decoded(str(bare.result).partition(".")[0])
    if call.verb == "header" or not _wanted(call):
        return False
    detached = call.argument(5, "detached_payload")
    if bare.error is None:
        return True
    try:
        PRISTINE.PyJWS().decode_complete(
            call.token, call.argument(1, "key"), call.argument(2, "algorithms"), detached_payload=detached
        )
    except Exception:
        return False
    return True


def secrets(call: Call, seen: Outcome) -> Iterator[tuple[str, bytes]]:
    """What must be nowhere: token, signature, keys; unless the token itself says it in the clear."""
    token = seen.result if call.verb == "encode" else call.token
    if isinstance(token, memoryview):
        token = token.tobytes()
    if isinstance(token, str):
        token = token.encode("utf-8", "surrogatepass")
    said = ""
    if isinstance(token, (bytes, bytearray)):
        token = bytes(token)
        said = "".join(_decoded(part.decode("ascii", "replace")) for part in token.split(b".", 2)[:2])
        if len(token) >= 16:
            yield "the token", token
        signature = token.rpartition(b".")[2]
        if len(signature) >= 8 and signature.decode("ascii", "replace") not in said:
            yield "the signature", signature
    yield from _KEYS


#: Claims in which each ``sub`` is one; and claims that, if they are the token's subject again, are concealed too.
_ABOUT_SUBJECTS = {"sub", "act", "role", "user.id"}
_CONCEALED = {"jti", "iss", "sid", "aud", "client_id", "azp"}


def _told_as_another_claim(call: Call, seen: Outcome) -> bool:
    """Whether the subject's value may also be said where nothing marks it as one."""
    token = str(seen.result if call.verb == "encode" else call.token)
    payload = call.kwargs.get("detached_payload") or _bytes(token.partition(".")[2].partition(".")[0])
    try:
        claims = json.loads(payload)
        told = {name for name, value in claims.items() if SUBJECT in json.dumps(value)} - _ABOUT_SUBJECTS
        alike = {name for name, value in claims.items() if value == SUBJECT}
        # The same value is the subject's if the token's subject says so, and another's if not.
        told = told - (alike & _CONCEALED) if claims.get("sub") == SUBJECT else told | (alike - {"sub"})
    except (ValueError, TypeError, AttributeError, RecursionError):
        return True
    return bool(told)


def _bytes(part: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return b""


def _decoded(part: str) -> str:
    return _bytes(part).decode("utf-8", "replace")


def _key_texts() -> Iterator[tuple[str, bytes]]:
    for key in (*KEYS, *(key for pair in PAIRS.values() for key in pair)):
        text = key.secret if isinstance(key, Fresh) else key
        if isinstance(text, str):
            text = text.encode("utf-8", "surrogatepass")
        if isinstance(text, bytes) and len(text) >= 8:
            # Of a PEM file the lines between the marks.
            yield "a key", max(text.splitlines(), key=len) if b"BEGIN" in text else text


_KEYS = tuple(dict.fromkeys(_key_texts()))


def metric_attributes(trail: Trail) -> list[str]:
    """Attributes of metrics that are outside their closed vocabularies."""
    words = {
        "jwt.validation.outcome": promises.OUTCOMES,
        "jwt.validation.reason": promises.REASONS,
        "jwt.alg": promises.ALGORITHMS,
    }
    return [
        f"{name}: {key}"
        for name, points in trail.metrics().items()
        if name.startswith("jwt.")
        for point in points
        for key, value in (point.attributes or {}).items()
        if value not in words.get(key, ())
    ]
