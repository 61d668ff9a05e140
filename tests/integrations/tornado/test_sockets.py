"""Tornado: WebSockets are decided when the handshake is accepted or refused."""

from __future__ import annotations

from functools import partial
from typing import Any

from tornado.web import HTTPError
from tornado.websocket import WebSocketHandler

from tests.integrations.drivers import websocket
from tests.integrations.expectations import denied, validated
from tests.integrations.steps import verify
from tests.support import Trail, mint

ROUTE = "/items/{0}"  # the parameters of its ``get`` are any


def test_websocket_that_is_accepted(served: Any, trail: Trail) -> None:
    early, new = mint(), mint(jti="token-2")
    names: list[list[str]] = []

    class Socket(WebSocketHandler):
        def prepare(self) -> None:
            verify(early)
            names.append(trail.names)

        def open(self, item: str) -> None:
            verify(early)
            names.append(trail.names)

        def on_message(self, message: str | bytes) -> None:
            verify(new)
            names.append(trail.names)
            self.close()

    served(Socket, validated(), validated(**{"jwt.jti": "token-2"}), status=101, route=ROUTE, call=websocket)
    assert names == [[], ["jwt.validated"], ["jwt.validated"] * 2]


def test_websocket_that_is_refused(served: Any) -> None:
    token = mint()

    class Socket(WebSocketHandler):
        def prepare(self) -> None:
            verify(token)
            raise HTTPError(403)

    served(Socket, denied(), status=403, route=ROUTE, call=websocket)


def test_websocket_from_another_origin(served: Any) -> None:
    token = mint()

    class Socket(WebSocketHandler):
        def prepare(self) -> None:
            verify(token)

    from_elsewhere = partial(websocket, origin="https://elsewhere.example")
    served(Socket, denied(), status=403, route=ROUTE, call=from_elsewhere)


def test_request_that_is_no_handshake(served: Any) -> None:
    token = mint()

    class Socket(WebSocketHandler):
        def prepare(self) -> None:
            verify(token)

    served(Socket, validated(), status=400, route=ROUTE)
