"""A program for the oldest dependencies: a token is minted, checked and refused, and the SDK has the events."""

from __future__ import annotations

import logging
from contextlib import suppress
from importlib.metadata import version

import jwt

from opentelemetry.instrumentation.pyjwt import AuditWSGIMiddleware, PyJWTInstrumentor, guard
from opentelemetry.sdk._logs import LoggerProvider, export
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

KEY = "a-secret-key-of-at-least-thirty-two-bytes"


def app(environ, start_response):
    token = jwt.encode({"jti": "token-1", "sub": "alice"}, KEY)
    jwt.decode(token, KEY, ["HS256"])
    with suppress(jwt.InvalidTokenError):
        jwt.decode(FORGED, KEY, ["HS256"])
    jwt.decode(STRANGE, options={"verify_signature": False})
    start_response("200 OK", [])
    return []


def main() -> None:
    guard.reraise = True
    memory = getattr(export, "InMemoryLogRecordExporter", None) or export.InMemoryLogExporter  # renamed in 1.39
    events, reader = memory(), InMemoryMetricReader()
    logs, traces, meters = LoggerProvider(), TracerProvider(), MeterProvider([reader])
    logs.add_log_record_processor(export.SimpleLogRecordProcessor(events))
    PyJWTInstrumentor().instrument(logger_provider=logs, tracer_provider=traces, meter_provider=meters)
    with traces.get_tracer("test").start_as_current_span("request") as span:
        AuditWSGIMiddleware(app)({"REQUEST_METHOD": "GET", "REMOTE_ADDR": "127.0.0.1"}, lambda *args: None)
    names = [record.log_record.event_name for record in events.get_finished_logs()]
    assert names == ["jwt.issued", "jwt.rejected", "jwt.unverified"], names
    assert span.attributes["jwt.validation.reason"] == "invalid_signature", span.attributes
    assert "jwt.validation.duration" in reader.get_metrics_data().to_json()
    print(", ".join(f"{name} {version(name)}" for name in ("opentelemetry-api", "wrapt", "PyJWT")), "work")


if __name__ == "__main__":
    logging.basicConfig()
    FORGED = jwt.encode({"jti": "token-2"}, KEY[::-1])
    STRANGE = jwt.encode({"jti": "token-3"}, KEY)
    main()
