"""A real MCP server with OAuth, and a client of it; by either major version."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import metadata
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
from mcp.server.auth.settings import AuthSettings, RevocationOptions
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount

from tests.integrations.mcp.provider import CLIENT, REDIRECT
from tests.integrations.simplejwt.service import claims_of
from tests.support import KEY

VERSION = tuple(int(number) for number in metadata.version("mcp").split(".")[:2])
CHECKS_RESOURCE = "validate_token_resource" in AuthSettings.model_fields
PROTOCOL = "2025-06-18"
RESOURCE = "https://mcp.example/mcp"


class Service:
    """One server, and a client that keeps what it was answered."""

    def __init__(self, client: httpx.AsyncClient, path: str) -> None:
        self._client = client
        self._path = path
        self.names: dict[str, str] = {}  # jti to name
        self.answers: list[Any] = []
        self._ids = count()

    async def obtain(self, number: int = 1, scope: str = "use") -> tuple[str, str]:
        """A pair of tokens for an authorization code, access and refresh, named with this number."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        asked = {
            "response_type": "code",
            "client_id": "app",
            "redirect_uri": REDIRECT,
            "scope": scope,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        answer = await self._client.get("/authorize", params=asked)
        assert answer.status_code == 302, answer.text
        (code,) = parse_qs(urlsplit(answer.headers["location"]).query)["code"]
        answer = await self.token("authorization_code", code=code, redirect_uri=REDIRECT, code_verifier=verifier)
        return self.pair(number, answer)

    async def token(self, grant: str, **more: str) -> httpx.Response:
        return await self._post("/token", {"grant_type": grant, **CLIENT, **more})

    async def refresh(self, token: str, **more: str) -> httpx.Response:
        return await self.token("refresh_token", refresh_token=token, **more)

    async def revoke(self, token: str, **more: str) -> httpx.Response:
        return await self._post("/revoke", {**CLIENT, "token": token, **more})

    def pair(self, number: int, answer: httpx.Response) -> tuple[str, str]:
        assert answer.status_code == 200, answer.text
        body = answer.json()
        return self.called(f"access-{number}", body["access_token"]), self.called(
            f"refresh-{number}", body["refresh_token"]
        )

    def called(self, name: str, token: str) -> str:
        """Give ``token`` a name, unless it has one; decoded by hand, for that is not recorded."""
        if token.count(".") == 2:
            self.names.setdefault(claims_of(token)["jti"], name)
        return token

    async def _post(self, at: str, form: dict[str, str]) -> httpx.Response:
        answer = await self._client.post(at, data=form)
        body = answer.json() if answer.content and answer.content != b"null" else None
        self.answers.append((answer.status_code, sorted(body) if "access_token" in (body or ()) else body))
        return answer

    async def get(self, at: str, bearer: str) -> httpx.Response:
        return await self._client.get(at, headers={"authorization": f"Bearer {bearer}"})

    async def send(
        self, bearer: str, method: str, session: str | None = None, *, agent: str = "probe", **params: Any
    ) -> httpx.Response:
        """One message of the protocol, in one HTTP request."""
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        if not method.startswith("notifications/"):
            message["id"] = next(self._ids)
        headers = {"accept": "application/json, text/event-stream", "authorization": f"Bearer {bearer}"}
        headers["user-agent"] = agent
        if session is not None:
            headers |= {"mcp-session-id": session, "mcp-protocol-version": PROTOCOL}
        answer = await self._client.post(self._path, json=message, headers=headers)
        self.answers.append((answer.status_code, answer.headers.get("www-authenticate")))
        return answer

    async def open(self, bearer: str) -> str | None:
        """A session, in two requests: its id, if it has one."""
        info = {"name": "probe", "version": "1.0"}
        answer = await self.send(bearer, "initialize", protocolVersion=PROTOCOL, capabilities={}, clientInfo=info)
        assert answer.status_code == 200, answer.text
        session = answer.headers.get("mcp-session-id")
        await self.send(bearer, "notifications/initialized", session or "", agent="ready")
        return session

    async def call(self, bearer: str, session: str | None, tool: str, *, agent: str = "probe", **arguments: Any) -> str:
        """What a tool answers, as text."""
        answer = await self.send(bearer, "tools/call", session or "", agent=agent, name=tool, arguments=arguments)
        assert answer.status_code == 200, answer.text
        data = answer.text
        if answer.headers["content-type"].startswith("text/event-stream"):
            (data,) = [line[6:] for line in data.splitlines() if line.startswith("data: {")]
        result = json.loads(data)["result"]
        assert not result.get("isError"), result
        return str(result["content"][0]["text"])


def sub_of(token: str) -> str:
    """A tool that is given a token, and checks it."""
    return str(jwt.decode(token, KEY, ["HS256"])["sub"])


async def health(request: Request) -> Response:
    """Open to everybody."""
    return Response()


def _equip(server: Any) -> None:
    server.tool()(sub_of)
    server.custom_route("/health", methods=["GET"])(health)


def build(provider: Any, *, stateless: bool = False, json_response: bool = False, **auth: Any) -> tuple[Any, Starlette]:
    """A server, and its application."""
    settings = AuthSettings(
        issuer_url="https://auth.example",  # type: ignore[arg-type]
        resource_server_url=RESOURCE,  # type: ignore[arg-type]
        required_scopes=["use"],
        revocation_options=RevocationOptions(enabled=True),
        **(
            {"validate_token_resource": False, **auth} if "validate_token_resource" in AuthSettings.model_fields else {}
        ),
    )
    modes = {"stateless_http": stateless, "json_response": json_response}
    if VERSION >= (2,):
        from mcp.server.mcpserver import MCPServer

        server = MCPServer("probe", auth_server_provider=provider, auth=settings)
        _equip(server)
        return server, server.streamable_http_app(**modes, host="testserver")
    from mcp.server.fastmcp import FastMCP

    server = FastMCP("probe", auth_server_provider=provider, auth=settings, host="0.0.0.0", **modes)
    _equip(server)
    return server, server.streamable_http_app()


def on_progress(server: Any, handler: Any) -> None:
    """Have notifications of progress handled."""
    if VERSION >= (2,):
        from mcp_types import ProgressNotificationParams

        server._lowlevel_server.add_notification_handler("notifications/progress", ProgressNotificationParams, handler)
    else:
        from mcp.types import ProgressNotification

        server._mcp_server.notification_handlers[ProgressNotification] = handler


@asynccontextmanager
async def serving(server: Any, app: Any) -> AsyncIterator[Service]:
    """The application, served."""
    mounted = any(isinstance(route, Mount) and route.path == "/mcp" for route in app.routes)
    transport = httpx.ASGITransport(app=app, client=("203.0.113.9", 1))
    async with (
        server.session_manager.run(),
        httpx.AsyncClient(transport=transport, base_url="http://testserver") as client,
    ):
        yield Service(client, "/mcp/" if mounted else "/mcp")
