"""Events as OTLP log records."""

from __future__ import annotations

from typing import Final

from opentelemetry._logs import Logger, LoggerProvider, SeverityNumber, get_logger
from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.events import ERROR, INFO, WARN, AuditEvent
from opentelemetry.instrumentation.pyjwt.sinks import Place
from opentelemetry.instrumentation.pyjwt.version import __version__

_SEVERITY_NUMBERS: Final = {INFO: SeverityNumber.INFO, WARN: SeverityNumber.WARN, ERROR: SeverityNumber.ERROR}


class LogSink:
    """Emits each event to the logger provider, or to the global one whenever it is set.

    Args:
        capture_validated: whether ``jwt.validated`` is emitted at all.
    """

    def __init__(self, logger_provider: LoggerProvider | None, *, capture_validated: bool) -> None:
        self._logger: Logger = get_logger("opentelemetry.instrumentation.pyjwt", __version__, logger_provider)
        self._capture_validated = capture_validated
        self.enabled = self._logger.enabled

    def __call__(self, event: AuditEvent, place: Place) -> None:
        if event.name == semconv.VALIDATED and not self._capture_validated:
            return
        self._logger.emit(
            timestamp=event.time_unix_nano,
            context=place.context,
            severity_number=_SEVERITY_NUMBERS[event.severity],
            severity_text=event.severity,
            body=event.body,
            attributes=event.attributes,
            event_name=event.name,
        )
