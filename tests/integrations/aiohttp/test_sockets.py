"""aiohttp: WebSockets are decided when the handshake is accepted or refused."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tests.integrations.aiohttp.app import routed
from tests.integrations.drivers import websocket
from tests.integrations.expectations import denied, validated
from tests.integrations.steps import verify
from tests.support import Trail, mint


def test_websocket_that_is_accepted(served: Any, trail: Trail) -> None:
    early, new = mint(), mint(jti="token-2")
    names: list[list[str]] = []

    async def endpoint(request: web.Request) -> web.WebSocketResponse:
        verify(early)
        response = web.WebSocketResponse()
        names.append(trail.names)
        await response.prepare(request)
        names.append(trail.names)
        await response.receive()
        verify(early)
        verify(new)
        names.append(trail.names)
        await response.close()
        return response

    served(lambda: routed(endpoint), validated(), validated(**{"jwt.jti": "token-2"}), status=101, call=websocket)
    assert names == [[], ["jwt.validated"], ["jwt.validated"] * 2]


def test_websocket_that_is_refused(served: Any) -> None:
    token = mint()

    async def endpoint(request: web.Request) -> web.WebSocketResponse:
        verify(token)
        raise web.HTTPForbidden

    served(lambda: routed(endpoint), denied(), status=403, call=websocket)


def test_request_that_is_no_handshake(served: Any) -> None:
    token = mint()

    async def endpoint(request: web.Request) -> web.WebSocketResponse:
        verify(token)
        response = web.WebSocketResponse()
        await response.prepare(request)
        return response

    served(lambda: routed(endpoint), validated(), status=400)
