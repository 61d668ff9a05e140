"""Tokens looked at after the response has started: emitted at once, with the request's own context."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest

from tests.integrations.checks import check_events, check_no_span, check_span
from tests.integrations.drivers import PATH, PATIENCE
from tests.integrations.expectations import UP_TO_SIGNATURE, rejected, validated
from tests.integrations.late import LATE, Late
from tests.integrations.servers import wait_until
from tests.integrations.steps import fails, verify
from tests.support import OTHER_KEY, Trail, mint

by_name = pytest.mark.parametrize("late", LATE, ids=lambda late: late.id)
STREAMS = [late for late in LATE if late.in_process and "background" not in late.name]
OVER_HTTP = [late for late in LATE if not late.in_process]
# Where a stream fails, Django's ASGI handler forgets the request's body; gc.collect() lets that be said in time.
forgetful = pytest.mark.filterwarnings("ignore:.*SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning")


@by_name
def test_each_token_has_one_event(late: Late, trail: Trail) -> None:
    early, new, forged = mint(), mint(jti="token-2"), mint(OTHER_KEY, jti="token-3")
    names_after_each: list[list[str]] = []

    def before() -> None:
        verify(early)
        names_after_each.append(trail.names)

    def after() -> None:
        verify(early)  # decided, and nothing new to say
        names_after_each.append(trail.names)
        verify(new)
        verify(new)
        names_after_each.append(trail.names)
        fails(verify, forged)
        names_after_each.append(trail.names)

    with late.make(before, after, late.telemetry) as app:
        trail.clear()
        answer = late.call(app, PATH)
    assert answer.status == 200, answer.error
    names = ["jwt.validated", "jwt.validated", "jwt.rejected: invalid_signature"]
    assert names_after_each[:4] == [[], names[:1], names[:2], names]
    check_events(
        trail,
        [
            validated(),
            validated(**{"jwt.jti": "token-2"}),
            rejected("invalid_signature", UP_TO_SIGNATURE, verified=False, **{"jwt.jti": "token-3"}),
        ],
        route=late.route,
        status=200,
    )
    if late.telemetry == "none":
        check_no_span(trail)
    else:
        check_span(trail, -1 if late.live else 0)


@by_name
@forgetful
def test_exception_after_the_start_changes_nothing(late: Late, trail: Trail) -> None:
    early = mint()

    def after() -> None:
        raise ArithmeticError

    with late.make(lambda: verify(early), after, late.telemetry) as app:
        trail.clear()
        late.call(app, PATH)
    gc.collect()
    check_events(trail, [validated()], route=late.route, status=200)


@pytest.mark.parametrize("late", STREAMS, ids=lambda late: late.id)
@forgetful
def test_client_that_goes_away_in_mid_stream(late: Late, trail: Trail) -> None:
    early, never = mint(), mint(jti="token-2")

    def gone(message: Any) -> None:
        if b"first" in (message, message["body"] if isinstance(message, dict) and "body" in message else None):
            raise OSError("the client has gone")

    with late.make(lambda: verify(early), lambda: verify(never), late.telemetry) as app:
        trail.clear()
        assert late.call(app, PATH, watch=gone).body == b""
    gc.collect()
    check_events(trail, [validated()], route=late.route, status=200)
    if late.telemetry != "none":
        check_span(trail, 0)


@pytest.mark.parametrize("late", OVER_HTTP, ids=lambda late: late.id)
def test_client_that_goes_away_while_the_stream_goes_on(late: Late, trail: Trail) -> None:
    early, new = mint(), mint(jti="token-2")
    closed = threading.Event()

    def after() -> None:
        assert closed.wait(PATIENCE)
        verify(new)

    def gone(part: Any) -> None:
        if part == b"first":
            raise OSError("the client has gone")

    with late.make(lambda: verify(early), after, late.telemetry) as port:
        trail.clear()
        assert late.call(port, PATH, watch=gone).body == b""
        closed.set()
        wait_until(lambda: len(trail.events) == 2 and (trail.server_spans or late.telemetry == "none"))
    check_events(trail, [validated(), validated(**{"jwt.jti": "token-2"})], route=late.route, status=200)
    if late.telemetry != "none":
        check_span(trail, -1)
