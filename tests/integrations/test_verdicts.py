"""Every verdict in every framework: the same events, on the same span, whoever serves the request."""

from __future__ import annotations

import pytest

from tests.integrations.adapters import ADAPTERS, Adapter
from tests.integrations.checks import check_events, check_no_span, check_span
from tests.integrations.scenarios import one_event, several_looks, several_tokens  # noqa: F401 - they fill the table
from tests.integrations.scenarios.table import SCENARIOS, Given, Scenario
from tests.support import Trail


@pytest.fixture(autouse=True)
def loopback_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: adapter.name)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_verdict(scenario: Scenario, adapter: Adapter, trail: Trail, jwks: str, no_jwks: str) -> None:
    tokens = scenario.tokens()
    with adapter.serve(lambda presented: scenario.act(Given(presented, jwks, no_jwks))) as app:
        trail.clear()
        answer = adapter.get(app, *tokens)
    assert answer.status == scenario.status, answer.error
    check_events(trail, scenario.expected, route=adapter.route, status=scenario.status)
    if adapter.traced:
        check_span(trail, scenario.on_span)
    else:
        check_no_span(trail)
