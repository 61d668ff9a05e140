"""Servers in a few lines: one request to an ASGI or a WSGI application, everything in the test's own hands.

What comes with a server of its own is asked over HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException
from typing import Any, NamedTuple

from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from werkzeug.test import create_environ

CLIENT = "127.0.0.1"
AGENT = "probe/1.0"
PATH = "/items/7"
PATIENCE = 20  # seconds until a server that does not answer, come up or go down fails the test

Watch = Callable[[Any], None]


class Answer(NamedTuple):
    status: int
    body: bytes = b""
    error: Exception | None = None  # what the application let through to its server


def asgi(
    app: Any,
    path: str = PATH,
    headers: Mapping[str, str] | None = None,
    *,
    client: str = CLIENT,
    watch: Watch = lambda message: None,
) -> Answer:
    """Serve one GET in an event loop of its own; see :func:`asgi_async`."""
    return asyncio.run(asgi_async(app, path, headers, client=client, watch=watch))


async def asgi_async(
    app: Any,
    path: str = PATH,
    headers: Mapping[str, str] | None = None,
    *,
    client: str = CLIENT,
    watch: Watch = lambda message: None,
    kind: str = "http",
) -> Answer:
    """Serve one GET, or a WebSocket handshake.

    Args:
        watch: sees each message on its way to the client; what it raises, the application gets from ``send``.
    """
    given = {"host": "testserver", "user-agent": AGENT, **(headers or {})}
    scope = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "http" if kind == "http" else "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "client": (client, 4711),
        "server": ("testserver", 80),
        "extensions": {"websocket.http.response": {}},
        **({"method": "GET"} if kind == "http" else {"subprotocols": []}),
    }
    opening: dict[str, Any] = {"type": "http.request", "body": b"", "more_body": False}
    pending = [opening if kind == "http" else {"type": "websocket.connect"}]
    answered = asyncio.Event()
    status, body = 0, b""

    async def receive() -> dict[str, Any]:
        if pending:
            return pending.pop()
        await answered.wait()
        return {"type": "http.disconnect"} if kind == "http" else {"type": "websocket.disconnect", "code": 1000}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status, body
        try:
            watch(message)
        except BaseException:
            answered.set()
            raise
        event = message["type"].removeprefix("websocket.")
        if event == "http.response.start":
            status = message["status"]
        elif event == "http.response.body":
            body += message.get("body", b"")
            if not message.get("more_body"):
                answered.set()
        elif event == "accept":
            status = 101
            answered.set()
        elif event == "close":
            status = status or 403

    error = None
    try:
        await app(scope, receive, send)
    except Exception as raised:
        error = raised
        status = status or 500
    return Answer(status, body, error)


def wsgi(
    app: Any,
    path: str = PATH,
    headers: Mapping[str, str] | None = None,
    *,
    client: str = CLIENT,
    watch: Watch = lambda status: None,
) -> Answer:
    """Serve one GET; ``watch`` sees the status line, then each part of the body, and may raise as a socket does."""
    environ = create_environ(
        path=path, headers={"user-agent": AGENT, **(headers or {})}, environ_overrides={"REMOTE_ADDR": client}
    )
    status = 0

    def start_response(line: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], object]:
        nonlocal status
        watch(line)
        status = int(line[:3])
        return lambda data: None

    parts: list[bytes] = []
    body = None
    try:
        body = app(environ, start_response)
        for part in body:
            watch(part)
            parts.append(part)
    except Exception as raised:
        return Answer(status or 500, b"".join(parts), raised)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()
    return Answer(status, b"".join(parts))


def http(
    port: int,
    path: str = PATH,
    headers: Mapping[str, str] | None = None,
    *,
    client: str = CLIENT,
    watch: Watch = lambda part: None,
) -> Answer:
    """GET from the server at this port, over a connection of its own.

    Args:
        client: the loopback address to come from.
        watch: sees the status, then each part of the body as it arrives; if it raises, the client goes away.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE, source_address=(client, 0))
    status, body = 0, b""
    try:
        connection.request("GET", path, headers={"user-agent": AGENT, **(headers or {})})
        with connection.getresponse() as response:
            status = response.status
            watch(status)
            while part := response.read1():
                watch(part)
                body += part
    except (OSError, HTTPException) as error:
        return Answer(status, body, error)
    finally:
        connection.close()
    return Answer(status, body)


def websocket(port: int, path: str = PATH, **options: Any) -> Answer:
    """Open a WebSocket at the server at this port, say one word, and listen until the other end closes it."""
    url = f"ws://127.0.0.1:{port}{path}"
    try:
        with connect(url, user_agent_header=AGENT, proxy=None, open_timeout=PATIENCE, **options) as opened:
            opened.send("word")
            for _ in opened:
                pass
    except InvalidStatus as error:
        return Answer(error.response.status_code, error.response.body)
    return Answer(101)
