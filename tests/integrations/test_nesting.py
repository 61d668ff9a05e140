"""Audits within audits: one request has one ledger, the outermost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt import AuditASGIMiddleware, AuditWSGIMiddleware
from opentelemetry.instrumentation.pyjwt.ledger import current_ledger
from opentelemetry.instrumentation.utils import suppress_instrumentation
from tests.integrations.adapters import ADAPTERS, Adapter
from tests.integrations.checks import check_events, check_span, token_attributes
from tests.integrations.expectations import denied
from tests.integrations.steps import verify
from tests.support import Trail, mint

AROUND: dict[str, Callable[[Any], Any]] = {"asgi": AuditASGIMiddleware, "wsgi": AuditWSGIMiddleware}


def verifying_asgi(app: Any, token: str) -> Any:
    async def outer(scope: Any, receive: Any, send: Any) -> None:
        verify(token)
        await app(scope, receive, send)

    return outer


def verifying_wsgi(app: Any, token: str) -> Any:
    def outer(environ: Any, start_response: Any) -> Any:
        verify(token)
        return app(environ, start_response)

    return outer


VERIFYING = {"asgi": verifying_asgi, "wsgi": verifying_wsgi}
by_name = pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: adapter.name)
IN_PROCESS = [adapter for adapter in ADAPTERS if adapter.in_process]
in_process_by_name = pytest.mark.parametrize("adapter", IN_PROCESS, ids=lambda adapter: adapter.name)


@in_process_by_name
def test_middleware_around_an_application_that_is_audited_already(adapter: Adapter, trail: Trail) -> None:
    def run(tokens: list[str]) -> int:
        verify(tokens[0])
        return 403

    token = mint()
    with adapter.serve(run) as app:
        trail.clear()
        around = AROUND[adapter.call.__name__]
        assert adapter.get(around(around(app)), token).status == 403
    check_events(trail, [denied()], route=adapter.route, status=403)  # the framework within knows its route
    if adapter.traced:
        check_span(trail, 0)


@in_process_by_name
def test_token_verified_between_the_audits_and_again_within_is_one_event(adapter: Adapter, trail: Trail) -> None:
    def run(tokens: list[str]) -> int:
        verify(tokens[0])
        return 403

    token, kind = mint(), adapter.call.__name__
    with adapter.serve(run) as app:
        trail.clear()
        assert adapter.get(AROUND[kind](VERIFYING[kind](app, token)), token).status == 403
    assert trail.names == ["jwt.denied"]


@by_name
def test_nothing_is_recorded_of_what_is_done_while_instrumentation_is_suppressed(
    adapter: Adapter, trail: Trail
) -> None:
    def run(tokens: list[str]) -> int:
        with suppress_instrumentation():
            verify(tokens[0])
            mint(jti="minted-1")
        return 403

    token = mint()
    with adapter.serve(run) as app:
        trail.clear()
        assert adapter.get(app, token).status == 403
    assert trail.names == []
    assert [span for span in trail.spans if token_attributes(span)] == []


# These begin a context of their own for each request, in which nothing is suppressed any more.
_HEEDLESS = {("fastapi", "builtin"), ("wsgi", "contrib_outside"), ("falcon_wsgi", "contrib")}


@pytest.mark.parametrize(
    "adapter",
    [adapter for adapter in IN_PROCESS if (adapter.framework, adapter.telemetry) not in _HEEDLESS],
    ids=lambda adapter: adapter.name,
)
def test_nothing_is_recorded_of_a_request_while_instrumentation_is_suppressed(adapter: Adapter, trail: Trail) -> None:
    ledgers: list[bool] = []

    def run(tokens: list[str]) -> int:
        ledgers.append(current_ledger() is not None)
        verify(tokens[0])
        return 403

    token = mint()
    with adapter.serve(run) as app, suppress_instrumentation():
        trail.clear()
        assert adapter.get(app, token).status == 403
    assert ledgers == [True], "it is a request all the same"
    assert trail.names == []
    assert [span for span in trail.spans if token_attributes(span)] == []
