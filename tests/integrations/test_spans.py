"""On which span a token is shown, wherever in a request it was looked at."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest

from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN, use_span
from tests.integrations.adapters import ADAPTERS, Adapter
from tests.integrations.checks import check_events, check_no_span, check_span, token_attributes
from tests.integrations.expectations import UP_TO_EXP, negative, rejected, validated
from tests.integrations.steps import expired, fails, good, verify
from tests.support import OTHER_KEY, Trail, mint

tracer = trace.get_tracer("application")
TRACED = [adapter for adapter in ADAPTERS if adapter.traced]
UNTRACED = [adapter for adapter in ADAPTERS if not adapter.traced]


def in_a_child_span(token: str) -> None:
    with tracer.start_as_current_span("work"), tracer.start_as_current_span("deeper"):
        verify(token)


def in_another_thread(token: str) -> None:
    """With the request's context, as ``asyncio.to_thread`` and every framework's own threads have it."""
    thread = threading.Thread(target=copy_context().run, args=(verify, token))
    thread.start()
    thread.join()


def below_a_span_that_is_not_sampled(token: str) -> None:
    with use_span(INVALID_SPAN):
        verify(token)


@pytest.mark.parametrize("adapter", TRACED, ids=lambda adapter: adapter.name)
@pytest.mark.parametrize("look", [in_a_child_span, in_another_thread, below_a_span_that_is_not_sampled])
def test_server_span_shows_the_token_wherever_it_was_verified(
    look: Callable[[str], None], adapter: Adapter, trail: Trail
) -> None:
    def run(tokens: list[str]) -> int:
        look(tokens[0])
        return 200

    token = mint()
    with adapter.serve(run) as app:
        trail.clear()
        assert adapter.get(app, token).status == 200
    check_events(trail, [validated()], route=adapter.route, status=200)
    check_span(trail, 0)


def key_rotation(token: str) -> None:
    fails(verify, token, OTHER_KEY)
    verify(token)


EXPIRED = rejected("expired", UP_TO_EXP, **{"jwt.expires_in": negative})


@pytest.mark.parametrize("adapter", UNTRACED, ids=lambda adapter: adapter.name)
@pytest.mark.parametrize(
    ("look", "tokens", "expected"),
    [
        (verify, good, validated()),
        (lambda token: fails(verify, token), expired, EXPIRED),
        (key_rotation, good, validated()),
    ],
    ids=["verified", "expired", "key_rotation"],
)
def test_without_a_server_span_the_applications_own_span_shows_the_token(
    look: Any, tokens: Any, expected: Any, adapter: Adapter, trail: Trail
) -> None:
    """It ends before the request is decided, so it shows the verdict as far as it went."""

    def run(presented: list[str]) -> int:
        with tracer.start_as_current_span("work"):
            look(presented[0])
        return 200

    (token,) = tokens()
    with adapter.serve(run) as app:
        trail.clear()
        assert adapter.get(app, token).status == 200
    check_events(trail, [expected], route=adapter.route, status=200)
    (span,) = trail.spans
    (event,) = trail.events
    assert (event["trace_id"], event["span_id"]) == (span.context.trace_id, span.context.span_id)
    shown = token_attributes(span)
    assert shown == {name: value for name, value in event.items() if name in shown}
    assert {"jwt.jti", "jwt.verified", "jwt.validation.outcome"} <= shown.keys()
    assert shown.get("jwt.validation.reason") == event.get("jwt.validation.reason")


@pytest.mark.parametrize("adapter", UNTRACED, ids=lambda adapter: adapter.name)
def test_token_verified_where_the_requests_context_is_lost_has_one_event_all_the_same(
    adapter: Adapter, trail: Trail
) -> None:
    """A thread pool of the application's own takes no context along: nothing is known of the request there."""
    pool = ThreadPoolExecutor(1)

    def run(tokens: list[str]) -> int:
        pool.submit(verify, tokens[0]).result()
        return 403

    token = mint()
    with pool, adapter.serve(run) as app:
        trail.clear()
        assert adapter.get(app, token).status == 403
    assert trail.names == ["jwt.validated"]
    assert [name for name in trail.events[0] if name.startswith(("http.", "client."))] == []
    check_no_span(trail)


def test_to_thread_takes_the_context_along(trail: Trail) -> None:
    (adapter,) = [adapter for adapter in UNTRACED if adapter.name == "asgi-async-none"]

    async def run(tokens: list[str]) -> int:
        await asyncio.to_thread(verify, tokens[0])
        return 404

    token = mint()
    with adapter.serve(run) as app:
        trail.clear()
        assert adapter.get(app, token).status == 404
    check_events(trail, [validated()], route=None, status=404)
