"""What tests share: real providers with in-memory exporters, and tokens."""

from __future__ import annotations

import time
from typing import Any

import jwt

from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

KEY = "a-secret-key-of-at-least-thirty-two-bytes"
OTHER_KEY = "another-secret-key-of-thirty-two-bytes!!"
ISSUER = "https://issuer.example"


def claims(**changes: Any) -> dict[str, Any]:
    """Claims of a good access token; ``None`` takes one out."""
    now = int(time.time())
    given = {"jti": "token-1", "sub": "alice", "iss": ISSUER, "iat": now, "exp": now + 300, **changes}
    return {name: value for name, value in given.items() if value is not None}


def mint(key: Any = KEY, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **changes: Any) -> str:
    """A token with these claims. While the instrumentor is on, minting is an event of its own."""
    return jwt.encode(claims(**changes), key, algorithm, headers=headers)


class _Keeper(LogRecordProcessor):
    """Keeps our events for the report on the whole test."""

    def __init__(self, records: list[Any]) -> None:
        self._records = records

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        if (log_record.log_record.event_name or "").startswith("jwt."):
            self._records.append(log_record.log_record)

    def shutdown(self) -> None:
        """Nothing is held back."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True


class Trail:
    """Everything the plugin said, as real SDK providers exported it."""

    def __init__(self) -> None:
        self._logs = InMemoryLogRecordExporter()
        self._spans = InMemorySpanExporter()
        self._metrics = InMemoryMetricReader()
        self.everything: list[Any] = []  # records of the test that runs, cleared or not
        self.logger_provider = LoggerProvider()
        self.logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self._logs))
        self.logger_provider.add_log_record_processor(_Keeper(self.everything))
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meter_provider = MeterProvider(metric_readers=[self._metrics])

    @property
    def records(self) -> list[ReadableLogRecord]:
        """Our events, oldest first; FastAPI's own telemetry writes to the same provider."""
        return [
            record
            for record in self._logs.get_finished_logs()
            if (record.log_record.event_name or "").startswith("jwt.")
        ]

    @property
    def events(self) -> list[dict[str, Any]]:
        """Attributes of our events, with ``event`` for the name and ``trace_id``, ``span_id`` of the record."""
        return [
            {
                **(record.log_record.attributes or {}),
                "event": record.log_record.event_name,
                "trace_id": record.log_record.trace_id,
                "span_id": record.log_record.span_id,
            }
            for record in self.records
        ]

    @property
    def names(self) -> list[str]:
        """Event names, those of rejections with their reason: the bodies."""
        return [str(record.log_record.body) for record in self.records]

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._spans.get_finished_spans())

    @property
    def server_spans(self) -> list[ReadableSpan]:
        return [span for span in self.spans if span.kind is SpanKind.SERVER]

    def metrics(self) -> dict[str, list[Any]]:
        """Data points by metric name."""
        data = self._metrics.get_metrics_data()
        if data is None:
            return {}
        return {
            metric.name: list(metric.data.data_points)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def encoded(self) -> bytes:
        """All events through the official OTLP encoder; raises if one cannot be encoded."""
        return encode_logs(list(self._logs.get_finished_logs())).SerializeToString()

    def clear(self) -> None:
        self._logs.clear()
        self._spans.clear()
