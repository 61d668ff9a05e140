"""Events as OTLP log records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from opentelemetry._logs import Logger, LoggerProvider, LogRecord, SeverityNumber, get_logger
from opentelemetry.context import Context
from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.events import ERROR, INFO, WARN, AuditEvent
from opentelemetry.instrumentation.pyjwt.version import __version__

_SEVERITY_NUMBERS: Final = {INFO: SeverityNumber.INFO, WARN: SeverityNumber.WARN, ERROR: SeverityNumber.ERROR}


class LogSink:
    """Emits each event to the logger provider, or to the global one whenever it is set.

    Args:
        capture_validated: whether ``jwt.validated`` is emitted at all.
    """

    def __init__(self, logger_provider: LoggerProvider | None, *, capture_validated: bool) -> None:
        self._logger: Logger = get_logger("opentelemetry.instrumentation.pyjwt", __version__, logger_provider)
        self.events = tuple(name for name in semconv.EVENTS if capture_validated or name != semconv.VALIDATED)
        #: Whether anybody listens; a logger older than OpenTelemetry 1.45 does not tell.
        self.enabled: Callable[[], bool] = getattr(self._logger, "enabled", lambda: True)

    def __call__(self, event: AuditEvent, context: Context | None) -> None:
        name, time_unix_nano, severity, body, attributes = event
        self._logger.emit(
            LogRecord(
                timestamp=time_unix_nano,
                context=context,
                severity_number=_SEVERITY_NUMBERS[severity],
                severity_text=severity,
                body=body,
                attributes=attributes,
                event_name=name,
            )
        )
