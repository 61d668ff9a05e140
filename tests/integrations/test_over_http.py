"""Frameworks with servers of their own, and clients that do what clients do to real sockets."""

from __future__ import annotations

import asyncio
import select
import threading
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any

import pytest

from tests.integrations.adapters import ADAPTERS, Adapter
from tests.integrations.checks import check_events, check_no_span, check_span
from tests.integrations.drivers import AGENT, PATH, PATIENCE
from tests.integrations.expectations import denied
from tests.integrations.servers import connection, wait_until
from tests.integrations.steps import verify
from tests.support import Trail, mint

OVER_HTTP = [adapter for adapter in ADAPTERS if not adapter.in_process]
by_name = pytest.mark.parametrize("adapter", OVER_HTTP, ids=lambda adapter: adapter.name)


class Client(HTTPConnection):
    """A client that asks, and may never wait for the answer."""

    def __init__(self, port: int) -> None:
        super().__init__("127.0.0.1", port, timeout=PATIENCE)

    def ask(self, token: str, *more: tuple[str, str]) -> None:
        self.putrequest("GET", PATH)
        for name, value in (("user-agent", AGENT), ("x-tokens", token), *more):
            self.putheader(name, value)
        self.endheaders()

    @property
    def has_heard(self) -> bool:
        """Whether a byte has arrived."""
        return bool(select.select([self.sock], [], [], 0)[0])

    def answer(self) -> int:
        with self.getresponse() as response:
            response.read()
            return response.status


def _serve(tokens: list[str]) -> int:
    for token in tokens:
        verify(token)
    return 403


@by_name
def test_no_byte_has_been_sent_when_the_event_is_out(adapter: Adapter, instrument: Callable[..., Trail]) -> None:
    heard: list[bool] = []

    def hook(event: Any) -> None:
        if event.name == "jwt.denied":
            heard.append(client.has_heard)

    trail = instrument(event_hook=hook)
    token = mint()
    with adapter.serve(_serve) as port:
        trail.clear()
        client = Client(port)
        client.ask(token)
        assert client.answer() == 403
        client.close()
    assert heard == [False]


@by_name
def test_client_that_has_gone_before_the_response_starts(adapter: Adapter, trail: Trail) -> None:
    served, gone = threading.Event(), threading.Event()

    def run(tokens: list[str]) -> Any:
        verify(tokens[0])
        served.set()
        if adapter.kind == "async":
            return in_the_loop()
        assert gone.wait(PATIENCE)
        return 403

    async def in_the_loop() -> int:
        assert await asyncio.to_thread(gone.wait, PATIENCE)
        return 403

    token = mint()
    with adapter.serve(run) as port:
        trail.clear()
        client = Client(port)
        client.ask(token)
        assert served.wait(PATIENCE)
        client.close()
        gone.set()
        wait_until(lambda: trail.events and (trail.server_spans or not adapter.traced))
    check_events(trail, [denied()], route=adapter.route, status=403)
    if adapter.traced:
        check_span(trail, 0)
    else:
        check_no_span(trail)


@by_name
def test_nothing_is_left_between_requests_on_one_connection(adapter: Adapter, trail: Trail) -> None:
    tokens = [mint(jti=f"token-{number}") for number in range(8)]
    with adapter.serve(_serve) as port:
        trail.clear()
        with connection(port) as get:
            for number, token in enumerate(tokens, 1):
                assert get(x_tokens=token, user_agent=AGENT) == 403
                assert len(trail.events) == number
                assert get(user_agent="another/1.0") == 403
                assert len(trail.events) == number
    expected = [denied(**{"jwt.jti": f"token-{number}"}) for number in range(len(tokens))]
    check_events(trail, expected, route=adapter.route, status=403)
    if adapter.traced:
        spans = [span.context.span_id for span in trail.server_spans]
        assert [event["span_id"] for event in trail.events] == spans[::2]
        assert len(spans) == 2 * len(tokens)


@by_name
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], "127.0.0.1"),
        ([("x-forwarded-for", "198.51.100.66, 198.51.100.1, 127.0.0.2")], "198.51.100.1"),
        ([("X-Forwarded-For", "198.51.100.66"), ("X-Forwarded-For", "198.51.100.1")], "198.51.100.1"),
        ([("Forwarded", "for=198.51.100.66"), ("forwarded", 'for="[2001:db8::9]:4711"')], "2001:db8::9"),
    ],
)
def test_address_behind_a_trusted_proxy(
    headers: list[tuple[str, str]], expected: str, adapter: Adapter, instrument: Callable[..., Trail]
) -> None:
    trail = instrument(trusted_proxies="127.0.0.0/8")
    token = mint()
    with adapter.serve(_serve) as port:
        trail.clear()
        client = Client(port)
        client.ask(token, *headers)
        assert client.answer() == 403
        client.close()
    assert [event["client.address"] for event in trail.events] == [expected]
