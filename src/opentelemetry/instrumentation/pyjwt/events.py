"""Events: frozen values that say what happened, and how a verdict becomes one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, NamedTuple

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.bounds import Value
from opentelemetry.instrumentation.pyjwt.ledger import Verdict

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
    attributes: Mapping[str, Value]


def event_of(verdict: Verdict, request: Mapping[str, Value]) -> AuditEvent:
    """The event of ``verdict``, which happened in a request with these attributes."""
    name, time_unix_nano, attributes, reason, _ = verdict
    attributes.update(request)
    attributes[semconv.RECORD_ID] = _uuid()
    if reason is None:
        return AuditEvent(name, time_unix_nano, _SEVERITIES[name], name, attributes)
    severity = ERROR if reason == semconv.TOKEN_REVOKED else WARN
    return AuditEvent(name, time_unix_nano, severity, f"{name}: {reason}", attributes)


def _uuid() -> str:
    """A random UUID (RFC 9562 §5.4), in a third of the time that :func:`uuid.uuid4` and ``str`` take."""
    bits = os.urandom(16).hex()
    return f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-{'89ab'[int(bits[16], 16) & 3]}{bits[17:20]}-{bits[20:]}"
