"""Providers: set globally before or after ``instrument()``, or given to it. Each in a process of its own."""

from __future__ import annotations

import json

import pytest

from tests import isolated

SCRIPT = """
import json
import jwt
from opentelemetry import _logs, metrics, trace
from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor, action
from opentelemetry.trace import SpanKind
from tests.support import KEY, Trail, mint

def set_globally(trail):
    trace.set_tracer_provider(trail.tracer_provider)
    metrics.set_meter_provider(trail.meter_provider)
    _logs.set_logger_provider(trail.logger_provider)

def given(trail):
    return dict(
        tracer_provider=trail.tracer_provider,
        meter_provider=trail.meter_provider,
        logger_provider=trail.logger_provider,
    )

def use(trail):
    token = mint()
    with action("request"):  # the SERVER span starts within it, and a dependency's span within that
        with trail.tracer_provider.get_tracer("test").start_as_current_span("server", kind=SpanKind.SERVER) as server:
            with trail.tracer_provider.get_tracer("test").start_as_current_span("child"):
                jwt.decode(token, KEY, ["HS256"])
            from opentelemetry.instrumentation.pyjwt.ledger import current_ledger
            noted = current_ledger() is not None and current_ledger().span is server
    return noted

def seen(trail):
    return [trail.names, sorted(trail.metrics())]
"""
EVERYTHING = [["jwt.issued", "jwt.validated"], ["jwt.tokens.issued", "jwt.validation.duration"]]
NOTHING: list[list[str]] = [[], []]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("set_globally(ours); on(); noted = use(ours)", EVERYTHING),
        ("on(); set_globally(ours); noted = use(ours)", EVERYTHING),
        ("on(); use(other); set_globally(ours); noted = use(ours)", EVERYTHING),
        ("on(**given(ours)); noted = use(ours)", EVERYTHING),
        ("set_globally(other); on(**given(ours)); noted = use(ours)", EVERYTHING),
        ("on(**given(ours)); set_globally(other); noted = use(ours)", EVERYTHING),
    ],
)
def test_events_metrics_and_spans_go_to_the_providers(steps: str, expected: list[list[str]]) -> None:
    shown = isolated.run(
        SCRIPT
        + f"""
ours, other = Trail(), Trail()
on = PyJWTInstrumentor().instrument
{steps}
print(json.dumps([seen(ours), seen(other), noted]))
"""
    )
    assert json.loads(shown.stdout) == [expected, NOTHING, True]


def test_without_any_provider_nothing_happens() -> None:
    shown = isolated.run(
        SCRIPT
        + """
from opentelemetry.sdk.trace import TracerProvider
PyJWTInstrumentor().instrument()
class Bare:
    tracer_provider = TracerProvider()
print(use(Bare), jwt.decode(mint(), KEY, ["HS256"])["jti"])
"""
    )
    assert shown.stdout.split()[1] == "token-1"
    assert shown.stderr == ""


def test_variables_are_read_when_it_is_switched_on() -> None:
    shown = isolated.run(
        SCRIPT
        + """
ours = Trail()
set_globally(ours)
PyJWTInstrumentor().instrument()
jwt.decode(mint(), KEY, ["HS256"])
print(json.dumps(seen(ours)))
""",
        OTEL_PYTHON_PYJWT_CAPTURE_VALIDATED="false",
    )
    assert json.loads(shown.stdout) == [["jwt.issued"], EVERYTHING[1]]
