"""When events are out: before the first byte, at the latest when the request has failed; and switched on late."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest

from tests.integrations.adapters import ADAPTERS, Adapter
from tests.integrations.checks import check_events, check_no_span, check_span
from tests.integrations.expectations import validated
from tests.integrations.steps import verify
from tests.support import Trail, mint

by_name = pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: adapter.name)
IN_PROCESS = [adapter for adapter in ADAPTERS if adapter.in_process]


def _serve(tokens: list[str]) -> int:
    verify(tokens[0])
    return 200


@by_name
def test_events_are_out_before_the_response_starts(adapter: Adapter, trail: Trail) -> None:
    token = mint()
    seen: list[list[str]] = []
    with adapter.serve(_serve) as app:
        trail.clear()
        adapter.get(app, token, watch=lambda start: seen.append(trail.names))
    assert seen, "the response never started"
    assert all(names == ["jwt.validated"] for names in seen)


@pytest.mark.parametrize("adapter", IN_PROCESS, ids=lambda adapter: adapter.name)
@pytest.mark.filterwarnings("ignore:.*SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning")
def test_event_stands_when_the_client_has_gone_before_the_response_starts(adapter: Adapter, trail: Trail) -> None:
    def gone(start: object) -> None:
        raise OSError("the client has gone")

    token = mint()
    with adapter.serve(_serve) as app:
        trail.clear()
        answer = adapter.get(app, token, watch=gone)
    gc.collect()  # when its send fails, Django's ASGI handler forgets the request's body: let that be said here
    assert answer.error is not None
    assert OSError in (type(answer.error), type(answer.error.__cause__))  # Litestar has an error of its own for it
    check_events(trail, [validated()], route=adapter.route, status=200)


@by_name
def test_application_made_before_the_plugin_was_switched_on(adapter: Adapter, instrument: Callable[[], Trail]) -> None:
    token = mint()
    with adapter.serve(_serve) as app:
        trail = instrument()
        answer = adapter.get(app, token)
    assert answer.status == 200
    check_events(trail, [validated()], route=adapter.route, status=200)
    if adapter.traced:
        check_span(trail, 0)
    else:
        check_no_span(trail)


@by_name
def test_next_request_knows_nothing_of_the_last(adapter: Adapter, trail: Trail) -> None:
    def run(tokens: list[str]) -> int:
        for token in tokens:
            verify(token)
        return 200 if tokens else 403

    token = mint()
    with adapter.serve(run) as app:
        trail.clear()
        assert adapter.get(app, token).status == 200
        assert trail.names == ["jwt.validated"]
        assert adapter.get(app).status == 403
        assert trail.names == ["jwt.validated"]
        assert adapter.get(app, token).status == 200
        assert trail.names == ["jwt.validated", "jwt.validated"]
        verify(token)  # outside any request: at once, and with nothing of a request's
    assert len({event["audit.record.id"] for event in trail.events}) == 3
    outside = trail.events[2]
    assert [name for name in outside if name.startswith(("http.", "client.", "user_agent."))] == []
    assert outside["trace_id"] == 0


@by_name
def test_nothing_is_recorded_for_an_excluded_request(adapter: Adapter, instrument: Callable[..., Trail]) -> None:
    def run(tokens: list[str]) -> int:
        verify(tokens[0])
        mint(jti="minted-1")
        return 403

    trail = instrument(excluded_urls="other,items/[0-9]")
    token = mint()
    with adapter.serve(run) as app:
        trail.clear()
        before = trail.metrics()
        assert adapter.get(app, token).status == 403
    assert trail.names == []
    assert [name for span in trail.spans for name in span.attributes if name.startswith(("jwt.", "user."))] == []
    assert _counts(trail.metrics()) == _counts(before)


def _counts(metrics: dict) -> dict:
    return {
        name: [getattr(point, "count", None) or getattr(point, "value", None) for point in points]
        for name, points in metrics.items()
        if name.startswith("jwt.")
    }
