"""Events as log records."""

from __future__ import annotations

import time
from collections.abc import Callable

import jwt
import pytest

from opentelemetry._logs import SeverityNumber
from opentelemetry.instrumentation.pyjwt import __version__, action, record_revocation
from opentelemetry.instrumentation.utils import suppress_instrumentation
from tests.capture.entry_points import attempt
from tests.support import KEY, OTHER_KEY, Trail, mint

HS256 = ["HS256"]
PEEK = {"verify_signature": False}
GOOD = mint(exp=4_000_000_000)


def test_a_record_is_an_event_with_a_time_a_severity_and_a_body(trail: Trail) -> None:
    before = time.time_ns()
    jwt.decode(GOOD, KEY, HS256)
    attempt(lambda: jwt.decode(GOOD, OTHER_KEY, HS256))
    after = time.time_ns()
    validated, rejected = (record.log_record for record in trail.records)
    assert (validated.event_name, validated.body) == ("jwt.validated", "jwt.validated")
    assert (validated.severity_number, validated.severity_text) == (SeverityNumber.INFO, "INFO")
    assert (rejected.event_name, rejected.body) == ("jwt.rejected", "jwt.rejected: invalid_signature")
    assert (rejected.severity_number, rejected.severity_text) == (SeverityNumber.WARN, "WARN")
    assert before <= validated.timestamp <= rejected.timestamp <= after  # type: ignore[operator]
    scope = trail.records[0].instrumentation_scope
    assert scope is not None
    assert (scope.name, scope.version) == ("opentelemetry.instrumentation.pyjwt", __version__)


def test_the_time_is_that_of_the_look_and_not_that_of_the_end(trail: Trail) -> None:
    with action("job"):
        jwt.decode(GOOD, KEY, HS256)
        seen = time.time_ns()
        while time.time_ns() == seen:
            pass
    assert trail.records[0].log_record.timestamp <= seen  # type: ignore[operator]


def test_a_record_belongs_to_the_trace_it_happened_in(trail: Trail) -> None:
    tracer = trail.tracer_provider.get_tracer("test")
    with tracer.start_as_current_span("work") as span:
        jwt.decode(GOOD, KEY, HS256)
    jwt.decode(GOOD, KEY, HS256)
    inside, outside = trail.events
    assert (inside["trace_id"], inside["span_id"]) == (
        span.get_span_context().trace_id,
        span.get_span_context().span_id,
    )
    assert (outside["trace_id"], outside["span_id"]) == (0, 0)


def everything() -> None:
    """One of each: validated, rejected, unverified, issued, revoked, denied."""
    jwt.decode(GOOD, KEY, HS256)
    attempt(lambda: jwt.decode(GOOD, OTHER_KEY, HS256))
    jwt.decode(GOOD, options=PEEK)
    mint()
    record_revocation("t")


EVENTS = ["jwt.validated", "jwt.rejected: invalid_signature", "jwt.unverified", "jwt.issued", "jwt.revoked"]


def test_validated_can_be_left_out_and_nothing_else(instrument: Callable[..., Trail]) -> None:
    trail = instrument(capture_validated=False)
    with trail.tracer_provider.get_tracer("test").start_as_current_span("work"):
        jwt.decode(GOOD, KEY, HS256)
    assert trail.names == []
    assert trail.spans[0].attributes["jwt.validation.outcome"] == "valid"  # type: ignore[index]
    assert "jwt.validation.duration" in trail.metrics()
    everything()
    assert trail.names == EVENTS[1:]


@pytest.mark.parametrize("inside", [False, True], ids=["alone", "action"])
def test_nothing_is_emitted_where_instrumentation_is_suppressed(trail: Trail, inside: bool) -> None:
    def measured() -> int:
        return sum(point.count for point in trail.metrics().get("jwt.validation.duration", []))

    before = measured()
    with suppress_instrumentation():
        if inside:
            with action("job"):
                everything()
        everything()
    assert (trail.names, measured()) == ([], before)
    everything()
    assert trail.names == EVENTS
    assert measured() == before + 2


def test_every_record_can_be_encoded(trail: Trail) -> None:
    token = mint(jti="\ud800\n" * 500, big=2**70, iat=2**63 - 1, aud=["\x00"] * 100)
    attempt(lambda: jwt.decode(token, OTHER_KEY, HS256))
    jwt.decode(token, options=PEEK)
    assert len(trail.names) == 3
    assert trail.encoded()
