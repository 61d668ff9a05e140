"""Events into the journal, and how the journal fares as metrics. Imported where there is a journal, and else not."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from opentelemetry._logs import LoggerProvider, get_logger_provider
from opentelemetry.context import Context
from opentelemetry.instrumentation.pyjwt import guard, semconv
from opentelemetry.instrumentation.pyjwt.config import PREFIX, Settings
from opentelemetry.instrumentation.pyjwt.events import AuditEvent
from opentelemetry.instrumentation.pyjwt.journal.checkpoint import Signer
from opentelemetry.instrumentation.pyjwt.journal.destination import Destination
from opentelemetry.instrumentation.pyjwt.journal.forwarder import Forwarder
from opentelemetry.instrumentation.pyjwt.journal.policy import Policy
from opentelemetry.instrumentation.pyjwt.journal.sealing import Sealer
from opentelemetry.instrumentation.pyjwt.journal.transport import connect
from opentelemetry.instrumentation.pyjwt.journal.writer import Journal
from opentelemetry.instrumentation.pyjwt.version import __version__
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter
from opentelemetry.trace import get_current_span

_logger = logging.getLogger("opentelemetry.instrumentation.pyjwt")


class JournalSink:
    """Writes each event to the journal.

    Args:
        logger_provider: whose resource the records have; the global one's, whenever it is set.
        meter_provider: of the journal's metrics.

    Raises:
        Unusable: the directory cannot be used, or must not.
    """

    def __init__(
        self,
        settings: Settings,
        logger_provider: LoggerProvider | None,
        meter_provider: MeterProvider | None,
        events: Iterable[str],
    ) -> None:
        assert settings.journal is not None
        policy = Policy(
            fsync=settings.journal_fsync,
            rotate=settings.journal_rotate,
            rotate_bytes=settings.journal_rotate_bytes,
            retention=settings.journal_retention,
            max_bytes=settings.journal_max_bytes,
            on_full=settings.journal_on_full,
        )
        self.events = tuple(events)
        self.journal = Journal(
            settings.journal,
            policy,
            lambda: resource(logger_provider),
            _signer(settings.journal_signing_key),
            _sealer(settings),
            _forwarding(settings, meter_provider),
        )
        _measure(self.journal, meter_provider)

    def enabled(self) -> bool:
        return True

    def __call__(self, event: AuditEvent, context: Context | None) -> None:
        trace_id, span_id, _, flags, _, valid = get_current_span(context).get_span_context()
        self.journal.write(event, (trace_id, span_id, int(flags)) if valid else None)

    def stop(self) -> None:
        self.journal.stop()


def resource(provider: LoggerProvider | None, environ: Mapping[str, str] = os.environ) -> Mapping[str, Any]:
    """The resource of the SDK's provider, else what the SDK would take from the environment."""
    found = getattr(provider or get_logger_provider(), "resource", None)
    if found is not None:
        return dict(found.attributes)
    pairs = (pair.partition("=") for pair in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    named = {name.strip(): unquote(value.strip()) for name, equals, value in pairs if equals and name.strip()}
    service = environ.get("OTEL_SERVICE_NAME") or named.get("service.name") or "unknown_service"
    return {**named, "service.name": service}


def _signer(path: Path | None) -> Signer | None:
    if path is None:
        return None
    try:
        return Signer(path)
    except (ValueError, OSError, ImportError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        _logger.error("%sJOURNAL_SIGNING_KEY: %s: %s; there are no checkpoints.", PREFIX, path, reason)
        return None


def _forwarded(settings: Settings, environ: Mapping[str, str]) -> bool:
    """Whether there is a delivery: where OpenTelemetry is told to send no logs, only if we are told where to."""
    return settings.journal_endpoint is not None or environ.get("OTEL_LOGS_EXPORTER", "").strip().lower() != "none"


def _sealer(settings: Settings, environ: Mapping[str, str] = os.environ) -> Sealer | None:
    if not settings.journal_recipients:
        return None
    try:
        return Sealer(settings.journal_recipients, undelivered=not _forwarded(settings, environ))
    except (ValueError, ImportError) as error:
        _logger.error("%sJOURNAL_RECIPIENTS: %s; the journal is NOT encrypted.", PREFIX, error)
        return None


def _forwarding(
    settings: Settings, meter_provider: MeterProvider | None, environ: Mapping[str, str] = os.environ
) -> Callable[[Journal], Forwarder | None]:
    """What makes a process's forwarder, if there is where to forward to."""
    if not _forwarded(settings, environ):
        return lambda journal: None
    try:
        destination = Destination.load(settings.journal_endpoint, settings.journal_protocol, environ)
        connect(destination).close()  # which only sees whether it could, and imports what it takes
    except Exception as error:
        reason = error if isinstance(error, ValueError) else type(error).__name__  # others may quote credentials
        _logger.error(
            "The journal is not forwarded: %s (%sJOURNAL_ENDPOINT, _PROTOCOL, or else OTEL_EXPORTER_OTLP_*).",
            reason,
            PREFIX,
        )
        return lambda journal: None

    def forwarder(journal: Journal) -> Forwarder | None:
        try:
            return Forwarder(journal.directory, destination, own=journal.stream_id, meter_provider=meter_provider)
        except Exception as error:  # a certificate that is gone: no reason to lose the record that is just written
            guard.report(error, "Forwarding the journal")
            return None

    return forwarder


# Instruments cannot be taken back, and a second one of the same name would be another: each provider has them once.
_measured: list[MeterProvider | None] = []
_current: tuple[Journal, MeterProvider | None] | None = None


def _measure(journal: Journal, provider: MeterProvider | None) -> None:
    """From now on the metrics are about this journal."""
    global _current
    _current = (journal, provider)
    if any(one is provider for one in _measured):
        return
    _measured.append(provider)

    def observed(read: Callable[[Journal], int]) -> list[Callable[[CallbackOptions], Iterable[Observation]]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            if _current is not None and _current[1] is provider and not _current[0].stopped:
                yield Observation(read(_current[0]))

        return [observe]

    meter = get_meter("opentelemetry.instrumentation.pyjwt", __version__, provider)
    meter.create_observable_counter(
        semconv.RECORDS_WRITTEN,
        observed(lambda journal: journal.written),
        unit="{record}",
        description="Audit records written to the journal.",
    )
    meter.create_observable_counter(
        semconv.RECORDS_DROPPED,
        observed(lambda journal: journal.losses.count),
        unit="{record}",
        description="Audit records that the journal could not take.",
    )
    meter.create_observable_up_down_counter(
        semconv.JOURNAL_PENDING,
        observed(Journal.pending),
        unit="{record}",
        description="Audit records of this process in the journal that have not been delivered.",
    )
