"""Sanic's own server with the plugin switched on and off, with exclusions, and with spans of the application's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sanic import Request, Sanic
from sanic.response import HTTPResponse, text

from opentelemetry import context, trace
from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from opentelemetry.trace import SpanKind
from tests.integrations.checks import check_events, check_span
from tests.integrations.expectations import validated
from tests.integrations.sanic.server import ROUTE, client, looking, sanic_server
from tests.integrations.steps import verify
from tests.support import Trail, mint


def test_switched_on_and_off_while_it_serves(app: Sanic, instrument: Callable[..., Trail]) -> None:
    app.add_route(looking(mint()), ROUTE)
    with sanic_server(app) as port:
        trail = instrument(trusted_proxies="127.0.0.0/8")
        with client(port) as get:
            assert get().status == 200
            check_events(trail, [validated()], route=ROUTE, status=200)
            PyJWTInstrumentor().uninstrument()
            assert get().status == 200
        assert len(trail.events) == 1


def test_sanic_is_as_it_was_when_switched_off(app: Sanic, instrument: Any) -> None:
    from sanic.http.http1 import Http
    from sanic.response.types import BaseHTTPResponse

    before = Http.http1, Http.init_for_request, BaseHTTPResponse.send, Sanic.__call__
    instrument()
    after = Http.http1, Http.init_for_request, BaseHTTPResponse.send, Sanic.__call__
    assert all(one is not other for one, other in zip(before, after, strict=True))
    PyJWTInstrumentor().uninstrument()
    assert (Http.http1, Http.init_for_request, BaseHTTPResponse.send, Sanic.__call__) == before


def test_excluded_request(app: Sanic, instrument: Callable[..., Trail]) -> None:
    token = mint()
    trail = instrument(excluded_urls="127.0.0.1:[0-9]+/items/8$")
    app.add_route(looking(token), ROUTE)
    with sanic_server(app) as port, client(port) as get:
        assert (get(path="/items/8?page=1").status, trail.names) == (200, [])
        assert (get(path="/items/7").status, trail.names) == (200, ["jwt.validated"])


def test_server_span_of_a_middleware(app: Sanic, trail: Trail) -> None:
    """Sanic has no instrumentation of OpenTelemetry's: applications make the span by themselves, as here."""
    tracer = trace.get_tracer("application")

    @app.on_request(priority=99)
    async def start(request: Request) -> None:
        request.ctx.span = tracer.start_span("GET", kind=SpanKind.SERVER)
        request.ctx.token = context.attach(trace.set_span_in_context(request.ctx.span))

    @app.on_response(priority=-99)
    async def end(request: Request, response: HTTPResponse) -> None:
        context.detach(request.ctx.token)
        request.ctx.span.end()

    app.add_route(looking(mint()), ROUTE)
    with sanic_server(app) as port, client(port) as get:
        trail.clear()
        assert get().status == 200
    check_events(trail, [validated()], route=ROUTE, status=200)
    check_span(trail, 0)


def test_text_is_what_it_was(served: Any) -> None:
    token = mint()
    assert served(lambda request, item: text(verify(token)["sub"]), validated(), status=200) == b"alice"
