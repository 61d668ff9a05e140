"""A pytest plugin: PyJWT instrumented before a suite imports it, with every sink connected to a real SDK.

Loaded with `-p`, that is before any test module. Each test runs inside a recording span, so that the span sink has one
to write to. At the end, what was recorded is counted into the file named by the variable PEERS_SEEN, along with what
the instrumentation logged about failures of its own: it hides these from the application, so they change no outcome.
"""

import json
import logging
import os
from pathlib import Path

import pytest

from opentelemetry import _logs, metrics, trace
from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

logs, spans, reader = InMemoryLogRecordExporter(), InMemorySpanExporter(), InMemoryMetricReader()

logger_provider = LoggerProvider()
logger_provider.add_log_record_processor(SimpleLogRecordProcessor(logs))
_logs.set_logger_provider(logger_provider)
tracer_provider = TracerProvider()
tracer_provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(tracer_provider)
metrics.set_meter_provider(MeterProvider([reader]))


class Faults(logging.Handler):
    """The messages in which the instrumentation reports a failure."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


faults = Faults()
logging.getLogger("opentelemetry.instrumentation.pyjwt").addHandler(faults)

PyJWTInstrumentor().instrument()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    with trace.get_tracer(__name__).start_as_current_span(item.nodeid):
        yield


def pytest_sessionfinish():
    seen = {
        "faults": faults.messages,
        "records": len(logs.get_finished_logs()),
        "spans": sum(any(name.startswith("jwt.") for name in span.attributes) for span in spans.get_finished_spans()),
        "metrics": sorted(
            metric.name
            for resource in getattr(reader.get_metrics_data(), "resource_metrics", ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ),
    }
    Path(os.environ["PEERS_SEEN"]).write_text(json.dumps(seen))
