"""Two hundred requests at once: every event tells of its own request and nothing of another's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.integrations.adapters import ADAPTERS, Adapter
from tests.integrations.drivers import PATH, PATIENCE, asgi_async, http
from tests.integrations.servers import werkzeug_server
from tests.integrations.steps import verify
from tests.support import Trail, mint

REQUESTS = 200
OUTCOMES = [(200, "jwt.validated"), (403, "jwt.denied"), (401, "jwt.rejected")]
# So many requests stand in the endpoint together, half done: all of them in an event loop, as many as Starlette's
# thread pool takes, and in a threaded server as many as there are clients. Others mix as the threads do, or not at all.
CLIENTS = 100
TOGETHER = {
    "starlette-sync": 40,
    "fastapi-sync": 40,
    "litestar-sync": 5,  # the threads that an event loop's executor has, at the least
    "starlette-async": REQUESTS,
    "fastapi-async": REQUESTS,
    "litestar-async": REQUESTS,
    "django_asgi-async": REQUESTS,
    "quart-async": REQUESTS,
    "sanic-async": REQUESTS,
    "falcon_asgi-async": REQUESTS,
    "asgi-async": REQUESTS,
    "aiohttp-async": REQUESTS,
    "tornado-async": REQUESTS,
    "flask-sync": CLIENTS,
    "django_wsgi-sync": CLIENTS,
    "drf_wsgi-api_view": CLIENTS,
    "falcon_wsgi-sync": CLIENTS,
    "pyramid-sync": CLIENTS,
    "wsgi-sync": CLIENTS,
    "quart-sync": 4,
    "sanic-sync": 1,
    "django_asgi-sync": 1,
    "drf_asgi-api_view": 1,
    "tornado-sync": 1,
}
CHOSEN = [adapter for adapter in ADAPTERS if adapter.traced and f"{adapter.framework}-{adapter.kind}" in TOGETHER]


class Request:
    """One of the requests, and all that must be found again in its event."""

    def __init__(self, number: int) -> None:
        self.jti = f"token-{number}"
        self.address = f"10.0.{number // 250}.{number % 250}"
        self.agent = f"probe/{number}"
        self.status, self.event = OUTCOMES[number % len(OUTCOMES)]
        self.token = mint(jti=self.jti, sub=f"user-{number}")

    @property
    def headers(self) -> dict[str, str]:
        return {"x-tokens": self.token, "x-forwarded-for": f"198.51.100.1, {self.address}", "user-agent": self.agent}


def endpoint(adapter: Adapter, requests: list[Request]) -> Callable[[list[str]], Any]:
    """Verifies its token, meets the others, and verifies it again."""
    status = {request.jti: request.status for request in requests}
    parties = TOGETHER[f"{adapter.framework}-{adapter.kind}"]
    barrier = threading.Barrier(parties, timeout=PATIENCE)
    arrived: list[str] = []
    all_here = asyncio.Event()

    def run(tokens: list[str]) -> int:
        verify(tokens[0])
        barrier.wait()
        return status[verify(tokens[0])["jti"]]

    async def run_async(tokens: list[str]) -> int:
        arrived.append(verify(tokens[0])["jti"])
        if len(arrived) == parties:
            all_here.set()
        await asyncio.wait_for(all_here.wait(), PATIENCE)
        return status[verify(tokens[0])["jti"]]

    return run_async if adapter.kind == "async" else run


async def in_one_loop(app: Any, requests: list[Request]) -> list[int]:
    async def get(request: Request) -> int:
        return (await asgi_async(app, PATH, request.headers, client="127.0.0.1")).status

    calls: list[Awaitable[int]] = [get(request) for request in requests]
    return list(await asyncio.gather(*calls))


def over_http(port: int, requests: list[Request], clients: int) -> list[int]:
    def get(request: Request) -> int:
        return http(port, PATH, request.headers).status

    with ThreadPoolExecutor(clients) as threads:
        return list(threads.map(get, requests))


@pytest.mark.parametrize("adapter", CHOSEN, ids=lambda adapter: adapter.name)
def test_each_event_is_of_its_own_request(adapter: Adapter, instrument: Callable[..., Trail]) -> None:
    trail = instrument(trusted_proxies="127.0.0.0/8")
    requests = [Request(number) for number in range(REQUESTS)]
    with adapter.serve(endpoint(adapter, requests)) as app:
        trail.clear()
        if adapter.call.__name__ == "asgi":
            statuses = asyncio.run(in_one_loop(app, requests))
        elif adapter.in_process:
            with werkzeug_server(app) as port:
                statuses = over_http(port, requests, CLIENTS)
        else:
            statuses = over_http(app, requests, REQUESTS)
    assert statuses == [request.status for request in requests]

    events = {event["jwt.jti"]: event for event in trail.events}
    spans = {span.attributes["jwt.jti"]: span for span in trail.server_spans}
    assert len(trail.events) == len(events) == len(spans) == len(trail.server_spans) == REQUESTS
    for request in requests:
        event, span = events[request.jti], spans[request.jti]
        assert event["event"] == request.event
        assert event["http.response.status_code"] == request.status
        assert event["user.id"] == span.attributes["user.id"] == f"user-{request.jti.removeprefix('token-')}"
        assert event["client.address"] == request.address
        assert event["user_agent.original"] == request.agent
        assert event.get("http.route") == adapter.route
        assert (event["trace_id"], event["span_id"]) == (span.context.trace_id, span.context.span_id)
