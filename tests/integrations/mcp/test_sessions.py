"""A session serves many requests, and what its tools look at belongs to the one that asked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.integrations.mcp.provider import Provider
from tests.integrations.mcp.service import VERSION, build, on_progress, serving, sub_of
from tests.integrations.starlette.app import instrumented
from tests.support import Trail, mint

pytestmark = pytest.mark.filterwarnings("ignore:Unclosed <MemoryObject:ResourceWarning")


@pytest.mark.parametrize("telemetry", ["none", "contrib"])
@pytest.mark.parametrize("json_response", [False, True], ids=["sse", "json"])
@pytest.mark.parametrize("stateless", [False, True], ids=["stateful", "stateless"])
def test_a_tool_works_for_the_request_that_called_it(
    stateless: bool, json_response: bool, telemetry: str, trail: Trail
) -> None:
    """Requests of one session, at the same time, each with a token for its tool; one of these comes twice."""
    bearer = mint(jti="bearer", type="access", client_id="app", scope="use")
    tokens = {f"caller-{number}": mint(jti=f"tool-{number}", sub=f"user-{number}") for number in range(6)}
    tokens["again"] = tokens["caller-0"]
    server, app = build(Provider(), stateless=stateless, json_response=json_response)

    async def live() -> list[str]:
        async with serving(server, app) as served:
            trail.clear()
            session = await served.open(bearer)
            calls = (
                served.call(bearer, session, "sub_of", agent=agent, token=token) for agent, token in tokens.items()
            )
            return await asyncio.gather(*calls)

    with instrumented(app, telemetry):
        assert asyncio.run(live()) == [*(f"user-{number}" for number in range(6)), "user-0"]

    seen: dict[str, dict[str, dict[str, object]]] = {}
    for event in trail.events:
        assert event["event"] == "jwt.validated"
        assert event["http.response.status_code"] == (202 if event["user_agent.original"] == "ready" else 200)
        of_request = seen.setdefault(event["user_agent.original"], {})
        assert event["jwt.jti"] not in of_request, "a token is told of twice"
        of_request[event["jwt.jti"]] = event
    expected = {agent: {"bearer", f"tool-{agent[-1]}"} for agent in tokens if agent != "again"}
    expected |= {"again": {"bearer", "tool-0"}, "probe": {"bearer"}, "ready": {"bearer"}}
    assert {agent: set(events) for agent, events in seen.items()} == expected
    if telemetry == "contrib":  # all of a request is tied to its span, and nothing of another is
        spans = [{(event["trace_id"], event["span_id"]) for event in events.values()} for events in seen.values()]
        assert [len(of_request) for of_request in spans] == [1] * len(seen)
        assert len(set.union(*spans)) == len(seen)


def test_a_notification_is_not_taken_for_part_of_another_request(trail: Trail) -> None:
    """Before version 2 it does not tell which request it came with, and belongs to none."""
    bearer, told = mint(jti="bearer", type="access", client_id="app", scope="use"), mint(jti="told")
    server, app = build(Provider())

    async def live() -> None:
        arrived = asyncio.Event()

        async def progress(*_: Any) -> None:
            sub_of(told)
            arrived.set()

        on_progress(server, progress)
        async with serving(server, app) as served:
            session = await served.open(bearer)
            trail.clear()
            await served.send(bearer, "notifications/progress", session, agent="teller", progressToken=1, progress=0.5)
            await asyncio.wait_for(arrived.wait(), 20)

    asyncio.run(live())
    agents = {event["jwt.jti"]: event.get("user_agent.original") for event in trail.events}
    assert trail.names == ["jwt.validated"] * 2
    assert agents == {"bearer": "teller", "told": "teller" if VERSION >= (2,) else None}
