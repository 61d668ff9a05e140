"""Counts and durations, of few and trusted attributes: never an id, a subject, an address or a claim."""

from __future__ import annotations

from typing import Final

from opentelemetry.context import Context
from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.events import AuditEvent
from opentelemetry.instrumentation.pyjwt.version import __version__
from opentelemetry.metrics import MeterProvider, get_meter

# Seconds. An HMAC takes some 20 µs, an RSA or EdDSA signature some 100, a key in an HSM milliseconds.
_BUCKETS: Final = (20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3)


class MetricsSink:
    """Counts events, and measures verifications through :meth:`verification`."""

    def __init__(self, meter_provider: MeterProvider | None) -> None:
        meter = get_meter("opentelemetry.instrumentation.pyjwt", __version__, meter_provider)
        self._duration = meter.create_histogram(
            semconv.VALIDATION_DURATION,
            unit="s",
            description="Duration of JWT verifications.",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )
        self._attributes: dict[tuple[str | None, str | None], dict[str, str]] = {}
        issued = meter.create_counter(semconv.TOKENS_ISSUED, unit="{token}", description="JWTs issued or refreshed.")
        revoked = meter.create_counter(semconv.TOKENS_REVOKED, unit="{token}", description="JWTs revoked.")
        denials = meter.create_counter(
            semconv.SCOPE_DENIALS, unit="{denial}", description="Verified JWTs of insufficient scope or permission."
        )
        self.events = self._counters = {
            semconv.ISSUED: issued,
            semconv.REFRESHED: issued,
            semconv.REVOKED: revoked,
            semconv.DENIED: denials,
        }

    def __call__(self, event: AuditEvent, context: Context | None) -> None:
        self.count(event.name, context)

    def count(self, name: str, context: Context | None = None) -> None:
        """One more event of this name."""
        self._counters[name].add(1, context=context)

    def verification(self, seconds: float, reason: str | None, alg: str | None) -> None:
        """One verification took ``seconds``; ``alg`` only if the signature was good, for it is the token's word."""
        attributes = self._attributes.get((reason, alg))
        if attributes is None:
            attributes = {semconv.OUTCOME: "valid" if reason is None else "invalid"}
            if reason is not None:
                attributes[semconv.REASON] = reason
            if alg is not None:
                attributes[semconv.ALG] = alg
            self._attributes[reason, alg] = attributes
        self._duration.record(seconds, attributes)
