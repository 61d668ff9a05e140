"""Real servers whose threads and connections serve one request after another: nothing of one is left to the next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.integrations.adapters import ADAPTERS, Adapter
from tests.integrations.drivers import AGENT
from tests.integrations.servers import SERVERS, connection, wait_until
from tests.integrations.steps import verify
from tests.support import Trail, mint

CONNECTIONS, REQUESTS = 2, 8  # requests one after another on each connection
CHOSEN = [adapter for adapter in ADAPTERS if adapter.in_process and adapter.telemetry != "contrib_inside"]


class Between:
    """An application that looks at a token of its own after each request, in the thread or task that served it."""

    def __init__(self, app: Any, token: str) -> None:
        self.app = app
        self.token = token
        self.workers: list[int] = []

    def look(self) -> None:
        verify(self.token)
        self.workers.append(threading.get_ident())

    async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)
        self.look()

    def wsgi(self, environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = self.app(environ, start_response)
        yield from body
        if hasattr(body, "close"):
            body.close()
        self.look()


@pytest.mark.parametrize("adapter", CHOSEN, ids=lambda adapter: adapter.name)
def test_nothing_is_left_between_requests(adapter: Adapter, trail: Trail) -> None:
    def run(tokens: list[str]) -> int:
        for token in tokens:
            verify(token)
        return 200

    outside = mint(jti="outside")
    inside = [mint(jti=f"inside-{number}") for number in range(CONNECTIONS * REQUESTS)]
    with adapter.serve(run) as app:
        trail.clear()
        between = Between(app, outside)
        with SERVERS[adapter.call.__name__](getattr(between, adapter.call.__name__)) as port:
            for first in range(CONNECTIONS):
                with connection(port) as get:
                    for token in inside[first::CONNECTIONS]:
                        statuses = get(x_tokens=token, user_agent=AGENT), get(user_agent=AGENT)  # with and without
                        assert statuses == (200, 200)
            wait_until(lambda: len(between.workers) == 2 * len(inside))

    assert len(set(between.workers)) < len(between.workers), "no worker served twice"
    events = trail.events
    of_requests = [event for event in events if event["jwt.jti"] != "outside"]
    others = [event for event in events if event["jwt.jti"] == "outside"]
    assert sorted(event["jwt.jti"] for event in of_requests) == sorted(f"inside-{n}" for n in range(len(inside)))
    assert {event.get("http.route") for event in of_requests} == {adapter.route}
    assert {event["client.address"] for event in of_requests} == {"127.0.0.1"}
    assert len(others) == 2 * len(inside)
    assert {name for event in others for name in event if name.startswith(("http.", "client.", "user_agent."))} == set()
    assert {event["trace_id"] for event in others} == {0}
