"""The life of an MCP server's tokens, from the authorization code to the revocation, and the audit of it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from tests.integrations.mcp.provider import Provider
from tests.integrations.mcp.rows import (
    Row,
    Table,
    denied,
    obtained,
    presented,
    refreshed,
    rejected,
    revoked,
    used,
)
from tests.integrations.mcp.service import build, serving
from tests.integrations.simplejwt.service import claims_of
from tests.integrations.starlette.app import instrumented
from tests.support import Trail, mint

pytestmark = pytest.mark.filterwarnings("ignore:Unclosed <MemoryObject:ResourceWarning")


def unseen(**claims: Any) -> str:
    """A token minted where nobody looks, so that it is not seen but presented."""
    PyJWTInstrumentor().uninstrument()
    try:
        return mint(**claims)
    finally:
        PyJWTInstrumentor().instrument()


def expired(token: str) -> str:
    """The same token, expired."""
    return unseen(**{**claims_of(token), "exp": int(time.time()) - 60})


@pytest.mark.parametrize("telemetry", ["none", "contrib"])
@pytest.mark.parametrize("json_response", [False, True], ids=["sse", "json"])
@pytest.mark.parametrize("stateless", [False, True], ids=["stateful", "stateless"])
@pytest.mark.parametrize("rotating", [False, True], ids=["not_rotating", "rotating"])
def test_lifecycle(rotating: bool, stateless: bool, json_response: bool, telemetry: str, trail: Trail) -> None:
    provider = Provider(rotating=rotating)
    server, app = build(provider, stateless=stateless, json_response=json_response)
    rows: list[Table] = []

    async def live() -> None:
        async with serving(server, app) as served:
            rows.append(table := Table(trail, served))

            access, refresh = await served.obtain()
            table.expect(*obtained())

            session = await served.open(access)
            assert (session is None) is stateless
            table.expect(used("access-1"), used("access-1", 202))
            await served.call(access, session, "sub_of", token=unseen(jti="another", type=None))
            served.names["another"] = "another"
            table.expect(used("access-1"), presented("another", use=None))

            answer = await served.refresh(refresh)
            if rotating:
                access, newer = served.pair(2, answer)
                table.expect(
                    presented("refresh-1"),
                    refreshed("access-2", "refresh-1"),
                    refreshed("refresh-2", "refresh-1", "refresh"),
                )
                await served.refresh(refresh)
                table.expect(rejected("refused", "refresh-1", 400, "refresh"))
                refresh, newest = newer, "refresh-2"
            else:
                access, _ = served.pair(2, answer)
                table.expect(presented("refresh-1"), refreshed("access-2", "refresh-1"))
                newest = "refresh-1"
            await served.call(access, session, "sub_of", token=access)
            table.expect(used("access-2"))

            await served.revoke(access)
            table.expect(presented("access-2", use="access"), revoked("access-2"))
            assert (await served.send(access, "tools/list", session or "")).status_code == 401
            table.expect(rejected("refused", "access-2"))
            await served.revoke(access)  # which it is; to the client that is a success (RFC 7009 §2.2)
            table.expect(presented("access-2", use="access"))
            await served.revoke(refresh, token_type_hint="refresh_token")
            table.expect(presented(newest), revoked(newest, "refresh"))
            await served.refresh(refresh)
            table.expect(rejected("refused", newest, 400, "refresh"))

            access, refresh = await served.obtain(3)
            table.expect(*obtained(3))
            await served.send(refresh, "tools/list", session or "")
            table.expect(rejected("wrong_type", "refresh-3", use="refresh"))
            await served.refresh(access)
            table.expect(rejected("wrong_type", "access-3", 400))
            await served.send(expired(access), "tools/list", session or "")
            table.expect(rejected("expired", "access-3"))
            await served.refresh(expired(refresh))
            table.expect(rejected("expired", "refresh-3", 400, "refresh"))

            weak = served.called("weak", unseen(jti="weak", type="access", client_id="app", scope="admin"))
            await served.send(weak, "tools/list", session or "")
            table.expect(denied("weak", "use"))
            await served.refresh(refresh, scope="use admin")
            table.expect(denied("refresh-3", "admin", 400, "refresh"))

    with instrumented(app, telemetry):
        asyncio.run(live())
    (table,) = rows
    assert table.seen == table.expected
    assert_lineage_is_whole(table.seen)


def assert_lineage_is_whole(rows: list[Row]) -> None:
    """Each token was minted once, and only from one minted before."""
    minted: list[str] = []
    for row in rows:
        if row.event in ("jwt.issued", "jwt.refreshed"):
            assert row.token not in minted
            assert (row.parent is None) is (row.event == "jwt.issued")
            assert row.parent is None or row.parent in minted
            minted.append(row.token)
        else:
            assert row.token in (*minted, "another", "weak")
