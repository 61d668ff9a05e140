"""Events: frozen values that say what happened, and how a verdict becomes one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Final, NamedTuple

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.bounds import Scalar, Value
from opentelemetry.instrumentation.pyjwt.verdict import Verdict

INFO: Final = "INFO"
WARN: Final = "WARN"
ERROR: Final = "ERROR"

_SEVERITIES: Final = {
    semconv.ISSUED: INFO,
    semconv.REFRESHED: INFO,
    semconv.REVOKED: INFO,
    semconv.VALIDATED: INFO,
    semconv.DENIED: WARN,
    semconv.REJECTED: WARN,
    semconv.UNVERIFIED: WARN,
}


class AuditEvent(NamedTuple):
    """One action on one token, as sinks and the ``event_hook`` see it."""

    name: str  #: one of the seven ``jwt.*`` event names
    time_unix_nano: int  #: when the token was seen, nanoseconds since the epoch
    severity: str  #: ``INFO``, ``WARN`` or ``ERROR``
    body: str  #: the name, and the reason of a rejection; never a claim
    attributes: Mapping[str, Scalar | Sequence[Scalar]]


def event_of(verdict: Verdict, request: Mapping[str, Value]) -> AuditEvent:
    """The event of ``verdict``, which happened in a request with these attributes."""
    name, time_unix_nano, shown, reason, _ = verdict
    attributes = shown.copy()
    if request:
        attributes.update(request)
    attributes[semconv.RECORD_ID] = f"{_prefix}{next(_numbers):012x}"
    if reason is None:
        return _event((name, time_unix_nano, _SEVERITIES[name], name, attributes))
    severity = ERROR if reason == semconv.TOKEN_REVOKED else WARN
    return _event((name, time_unix_nano, severity, f"{name}: {reason}", attributes))


# What AuditEvent(...) does, without a Python frame.
_event: Callable[[tuple[str, int, str, str, dict[str, Value]]], AuditEvent] = partial(tuple.__new__, AuditEvent)

# Record ids are UUIDs of our own making (RFC 9562 §5.8): 74 random bits that stand for the process, then the number
# of the record in it. Several times as fast as random ones, no less unique, and in order.
_numbers = count(1)


def _renew_prefix() -> None:
    global _prefix  # once a process, and again in each fork
    bits = secrets.token_bytes(10).hex()
    _prefix = f"{bits[:8]}-{bits[8:12]}-8{bits[13:16]}-{'89ab'[int(bits[16], 16) & 3]}{bits[17:20]}-"


_prefix = ""
_renew_prefix()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_prefix)
