"""Every verdict in Sanic's own server, over one connection each."""

from __future__ import annotations

from typing import Any

import pytest
from sanic import Request, Sanic
from sanic.response import HTTPResponse, empty

from tests.integrations.checks import check_events, check_no_span
from tests.integrations.sanic.server import ROUTE, client, sanic_server
from tests.integrations.scenarios import one_event, several_looks, several_tokens  # noqa: F401 - they fill the table
from tests.integrations.scenarios.table import SCENARIOS, Given, Scenario
from tests.support import Trail


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_verdict(scenario: Scenario, app: Sanic, trail: Trail, jwks: str, no_jwks: str) -> None:
    def endpoint(request: Request, item: int) -> HTTPResponse:
        return empty(status=scenario.act(Given(request.headers["x-tokens"].split(), jwks, no_jwks)))

    app.add_route(endpoint, ROUTE)
    tokens: Any = scenario.tokens()
    with sanic_server(app) as port, client(port) as get:
        trail.clear()
        assert get(*tokens).status == scenario.status
        check_events(trail, scenario.expected, route=ROUTE, status=scenario.status)
        assert get(path="/nowhere").status == 404
    check_events(trail, scenario.expected, route=ROUTE, status=scenario.status)
    check_no_span(trail)
