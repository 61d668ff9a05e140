"""A provider, a processor or an exporter fails: the application is not affected, other sinks get what is theirs,
and our own log says so once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest

from opentelemetry._logs import NoOpLoggerProvider
from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor, action
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span
from tests.sinks.failing import EVENTS, GOOD, HS256, broken, use_everything
from tests.support import KEY, Trail


class BrokenLoggers(NoOpLoggerProvider):
    get_logger = broken


class BrokenMeters(NoOpMeterProvider):
    get_meter = broken


class BrokenLogger(NoOpLoggerProvider):
    def get_logger(self, *args: Any, **kwargs: Any) -> Any:
        logger = super().get_logger(*args, **kwargs)
        logger.enabled = lambda *_, **__: True  # type: ignore[method-assign]
        logger.emit = broken  # type: ignore[method-assign]
        return logger


class BrokenInstruments(NoOpMeterProvider):
    def get_meter(self, *args: Any, **kwargs: Any) -> Any:
        meter = super().get_meter(*args, **kwargs)
        for create in (meter.create_counter, meter.create_histogram):

            def create_broken(*args: Any, create: Any = create, **kwargs: Any) -> Any:
                instrument = create(*args, **kwargs)
                instrument.add = instrument.record = broken
                return instrument

            setattr(meter, create.__name__, create_broken)
        return meter


class BrokenSpan(NonRecordingSpan):
    is_recording = lambda self: True  # noqa: E731
    set_attributes = set_attribute = broken


@pytest.mark.parametrize("broken_part", [{"logger_provider": BrokenLoggers()}, {"meter_provider": BrokenMeters()}])
def test_a_provider_that_fails_keeps_the_plugin_off(
    broken_part: dict[str, Any], instrument: Callable[..., Trail], ours: Callable[[], list[str]]
) -> None:
    """And the instrumentors that come after it are loaded."""
    instrument(**broken_part)
    use_everything()
    assert len(ours()) == 1
    assert "Instrumenting PyJWT failed with Broken" in ours()[0]
    assert GOOD not in str(ours())
    PyJWTInstrumentor().uninstrument()


def test_a_logger_that_fails_costs_the_events_alone(
    instrument: Callable[..., Trail], ours: Callable[[], list[str]]
) -> None:
    trail = instrument(logger_provider=BrokenLogger())
    with trail.tracer_provider.get_tracer("test").start_as_current_span("work"):
        use_everything()
    assert len(ours()) == 1
    assert trail.spans[0].attributes["jwt.jti"] == "token-1"  # type: ignore[index]


def test_instruments_that_fail_cost_the_metrics_alone(
    instrument: Callable[..., Trail], ours: Callable[[], list[str]]
) -> None:
    trail = instrument(meter_provider=BrokenInstruments())
    use_everything()
    assert trail.names == EVENTS
    assert len(ours()) == 1


def test_a_span_that_fails_costs_its_attributes_alone(trail: Trail, ours: Callable[[], list[str]]) -> None:
    span = BrokenSpan(SpanContext(1, 1, is_remote=False, trace_flags=TraceFlags(1)))
    with use_span(span):
        use_everything()
    span.end()
    assert trail.names == EVENTS
    assert len(ours()) == 1


def test_a_tracer_provider_that_takes_no_processor_is_no_failure(
    instrument: Callable[..., Trail], ours: Callable[[], list[str]]
) -> None:
    class Bare:
        """Like those of other vendors."""

    trail = instrument(tracer_provider=Bare())
    use_everything()
    assert (trail.names, ours()) == (EVENTS, [])


@pytest.fixture
def to_a_broken_end(request: pytest.FixtureRequest, instrument: Callable[..., Trail]) -> Iterator[None]:
    """Events go through real processors to an exporter that raises, or fail in the processor itself."""
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    if request.param == "processor":
        processor: Any = SimpleLogRecordProcessor(exporter)
        processor.on_emit = broken
    else:
        exporter.export = broken  # type: ignore[method-assign]
        processor = (
            SimpleLogRecordProcessor(exporter)
            if request.param == "simple"
            else BatchLogRecordProcessor(exporter, schedule_delay_millis=10)
        )
    provider.add_log_record_processor(processor)
    instrument(logger_provider=provider)
    yield
    provider.shutdown()


@pytest.mark.parametrize("to_a_broken_end", ["processor", "simple", "batch"], indirect=True)
@pytest.mark.usefixtures("to_a_broken_end")
def test_a_processor_or_an_exporter_that_fails_is_not_noticed(
    request: pytest.FixtureRequest, ours: Callable[[], list[str]]
) -> None:
    use_everything()
    by_us = "processor" in request.node.name.partition("[")[2]
    assert len(ours()) == (1 if by_us else 0)  # the SDK tells of its exporters itself
    assert GOOD not in str(ours())


def test_a_span_processor_that_fails_is_the_sdk_s_affair(
    instrument: Callable[..., Trail], ours: Callable[[], list[str]]
) -> None:
    """Ours never does: it runs on every span of the application."""
    provider = TracerProvider(shutdown_on_exit=False)
    trail = instrument(tracer_provider=provider)
    with action("job"), provider.get_tracer("test").start_as_current_span("work"):
        jwt.decode(GOOD, KEY, HS256)
    assert (trail.names, ours()) == (["jwt.validated"], [])
    assert provider.force_flush()
    provider.shutdown()
