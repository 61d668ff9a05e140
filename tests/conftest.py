"""Fixtures for every test, and the proof after each that nothing is left behind."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Generator, Iterator
from typing import Any

import jwt
import jwt.api_jws
import jwt.api_jwt
import jwt.jwks_client
import pytest

from opentelemetry import _logs, metrics, trace
from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor, guard
from opentelemetry.instrumentation.pyjwt.ledger import current_ledger
from tests import support_report
from tests.support import Trail

guard.reraise = True  # in production our failures are logged; here they fail the test


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything is required, a test that cannot run has failed."""
    report = yield
    if os.environ.get("JWT_AUDIT_REQUIRE_ALL") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
    return report


def pytest_report_header() -> str | None:
    """What cannot be tested here is said, or fails where everything is required."""
    if not support_report.ABSENT:
        return None
    said = f"not installed, so not tested: {', '.join(support_report.ABSENT)}"
    if os.environ.get("JWT_AUDIT_REQUIRE_ALL"):
        raise pytest.UsageError(said)
    return said


def pytest_collection_finish() -> None:
    """What is imported by now stays: collections, which some tests ask for, need not look at it."""
    gc.freeze()


def pytest_sessionfinish() -> None:
    support_report.write()


@pytest.fixture(scope="session")
def global_trail() -> Trail:
    """Providers set globally, once: contrib's instrumentations and FastAPI's own telemetry use them."""
    trail = Trail()
    trace.set_tracer_provider(trail.tracer_provider)
    metrics.set_meter_provider(trail.meter_provider)
    _logs.set_logger_provider(trail.logger_provider)
    return trail


@pytest.fixture
def instrument(global_trail: Trail, request: pytest.FixtureRequest) -> Iterator[Callable[..., Trail]]:
    """Call it to switch the plugin on, with options; gives the trail. Switched off at the end of the test."""

    def switch_on(**options: Any) -> Trail:
        PyJWTInstrumentor().instrument(**options)
        global_trail.clear()
        return global_trail

    yield switch_on
    support_report.record(request.node, global_trail.everything)
    global_trail.everything.clear()
    if PyJWTInstrumentor().is_instrumented_by_opentelemetry:
        PyJWTInstrumentor().uninstrument()
    global_trail.clear()


@pytest.fixture
def trail(instrument: Callable[..., Trail]) -> Trail:
    """The plugin switched on with its defaults."""
    return instrument()


def _anatomy() -> dict[str, Any]:
    """Each attribute of PyJWT's modules and classes, and the code of each function."""
    anatomy: dict[str, Any] = {}
    for owner in (jwt, jwt.api_jwt, jwt.api_jws, jwt.jwks_client, jwt.PyJWT, jwt.PyJWS, jwt.PyJWKClient):
        for name, value in vars(owner).items():
            anatomy[f"{owner.__name__}.{name}"] = value
            function = getattr(value, "__func__", value)
            if hasattr(function, "__code__"):
                anatomy[f"{owner.__name__}.{name}.__code__"] = function.__code__
                anatomy[f"{owner.__name__}.{name}.__dict__"] = dict(function.__dict__)
    return anatomy


_BEFORE = _anatomy()


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """After each test the plugin is off, PyJWT is as it was, and no ledger is open."""
    yield
    assert not PyJWTInstrumentor().is_instrumented_by_opentelemetry, "the test left the plugin switched on"
    assert current_ledger() is None, "the test left a ledger open"
    after = _anatomy()
    # Warnings registries and the like come and go; what was there before must be the same object.
    changed = [name for name, value in _BEFORE.items() if after.get(name) is not value and after.get(name) != value]
    assert changed == [], f"PyJWT is not as it was: {changed}"
