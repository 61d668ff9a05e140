"""What the SDK decides beyond PyJWT: what refresh tokens are, who may revoke, what is past by the books."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from mcp.server.auth.handlers.revoke import RevocationHandler
from mcp.server.auth.handlers.token import TokenHandler
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.provider import AccessToken
from mcp.server.lowlevel.server import Server

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from tests.integrations.mcp.provider import Provider
from tests.integrations.mcp.rows import Table, issued, obtained, presented, refreshed, rejected, revoked, used
from tests.integrations.mcp.service import CHECKS_RESOURCE, RESOURCE, Service, build, serving
from tests.support import Trail, mint

pytestmark = pytest.mark.filterwarnings("ignore:Unclosed <MemoryObject:ResourceWarning")
PAST = int(time.time()) - 60


def run(provider: Provider, steps: Callable[[Service], Awaitable[Any]], **auth: Any) -> Any:
    """Take these steps with a server of this provider's."""

    async def live() -> Any:
        server, app = build(provider, **auth)
        async with serving(server, app) as served:
            return await steps(served)

    return asyncio.run(live())


KINDS = {
    "opaque": ((issued("access-1"),), (refreshed("access-2", None),), ()),
    "stored": (
        obtained(),
        (refreshed("access-2", "refresh-1"),),
        (refreshed("refresh-2", "refresh-1", "refresh"),),
    ),
    "untyped": (
        obtained(use=None),
        (presented("refresh-1", use=None), refreshed("access-2", "refresh-1")),
        (refreshed("refresh-2", "refresh-1", None),),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rotating", [False, True])
def test_refresh_tokens_of_any_kind(rotating: bool, kind: str, trail: Trail) -> None:
    """What is exchanged for one is refreshed: from its jti, if it has one, even if nobody looked at it."""
    first, exchanged, rotated = KINDS[kind]

    async def steps(served: Service) -> None:
        table = Table(trail, served)
        _, refresh = await served.obtain()
        table.expect(*first)
        served.pair(2, await served.refresh(refresh))
        table.expect(*exchanged, *(rotated if rotating else ()))
        await served.obtain(3)
        assert {event["event"] for event in trail.events} == {"jwt.issued"}
        assert table.seen == table.expected

    run(Provider(refresh=kind, rotating=rotating), steps)


def test_a_refresh_that_fails(trail: Trail) -> None:
    """Nothing is minted; the token is refused, unless it is not the token that is at fault."""
    provider = Provider()

    async def steps(served: Service) -> None:
        table = Table(trail, served)
        _, refresh = await served.obtain()
        table.expect(*obtained())
        provider.broken = True
        await served.refresh(refresh)
        table.expect(rejected("refused", "refresh-1", 400, "refresh"))
        provider.broken, provider.expires_at = False, PAST
        await served.refresh(refresh)
        table.expect(rejected("expired", "refresh-1", 400, "refresh"))
        provider.expires_at = None
        await served.refresh(refresh, client_secret="wrong")
        await served.refresh(refresh + "x")
        assert trail.names == ["jwt.rejected: invalid_signature"]
        trail.clear()
        served.pair(2, await served.refresh(refresh))
        table.expect(
            presented("refresh-1"), refreshed("access-2", "refresh-1"), refreshed("refresh-2", "refresh-1", "refresh")
        )
        assert table.seen == table.expected

    run(provider, steps)


@pytest.mark.parametrize("kind", ["jwt", "stored", "opaque"])
def test_revocation(kind: str, trail: Trail) -> None:
    """By whoever the token says, if it was looked at; else by the client. What is no JWT is not told of."""

    async def steps(served: Service) -> None:
        table = Table(trail, served)
        access, refresh = await served.obtain()
        trail.clear()
        await served.revoke(access, client_id="other")  # whose it is not
        table.expect(presented("access-1", use="access"))
        await served.revoke("nonsense")
        assert trail.names == ["jwt.rejected: malformed"]
        trail.clear()
        await served.revoke(refresh, token_type_hint="refresh_token")
        if kind == "jwt":
            table.expect(presented("refresh-1"), revoked("refresh-1", "refresh"))
        elif kind == "stored":
            (event,) = trail.events
            assert (event["event"], event["audit.actor.id"]) == ("jwt.revoked", "app")
        else:
            assert trail.events == []
        assert table.seen == table.expected

    run(Provider(refresh=kind), steps)


def test_a_token_without_an_id_is_revoked_by_its_fingerprint(trail: Trail) -> None:
    token = mint(jti=None, type="access", client_id="app", scope="use")
    fingerprint = trail.events[0]["jwt.fingerprint"]
    trail.clear()
    run(Provider(), lambda served: served.revoke(token))
    assert trail.names == ["jwt.validated", "jwt.revoked"]
    assert {event["jwt.fingerprint"] for event in trail.events} == {fingerprint}
    assert trail.metrics()["jwt.tokens.revoked"][0].value >= 1


def test_expired_by_the_books(trail: Trail) -> None:
    """PyJWT was told not to mind; the SDK does."""
    provider = Provider()

    async def steps(served: Service) -> None:
        table = Table(trail, served)
        access, _ = await served.obtain()
        table.expect(*obtained())
        provider.expires_at = PAST
        assert (await served.send(access, "tools/list")).status_code == 401
        assert "exp" not in trail.events[0]["jwt.validation.checks"]
        table.expect(rejected("expired", "access-1"))
        provider.expires_at = int(time.time()) + 60
        await served.open(access)
        table.expect(used("access-1"), used("access-1", 202))
        assert table.seen == table.expected

    run(provider, steps)


@pytest.mark.parametrize("resource", [None, "https://other.example/mcp", RESOURCE])
def test_issued_for_another_resource(resource: str | None, trail: Trail) -> None:
    provider = Provider()
    provider.resource = resource

    async def steps(served: Service) -> None:
        table = Table(trail, served)
        access, _ = await served.obtain()
        table.expect(*obtained())
        await served.send(access, "ping")
        refused = CHECKS_RESOURCE and resource != RESOURCE
        table.expect(rejected("invalid_audience", "access-1") if refused else used("access-1", 400))
        assert table.seen == table.expected

    run(provider, steps, validate_token_resource=True)


def test_refused_and_yet_served(trail: Trail) -> None:
    """An endpoint that is open to everybody does not mind who was not let in."""
    provider = Provider()

    async def steps(served: Service) -> None:
        table = Table(trail, served)
        access, _ = await served.obtain()
        table.expect(*obtained())
        await served.get("/health", access)
        table.expect(presented("access-1", use="access"))
        provider.revoked.add(access)
        assert (await served.get("/health", access)).status_code == 200
        table.expect(rejected("refused", "access-1", 200))
        assert table.seen == table.expected

    run(provider, steps)


class Opaque(Provider):
    async def load_access_token(self, token: str) -> AccessToken | None:
        return AccessToken(token=token, client_id="app", scopes=["use"]) if token == "opaque" else None


def test_scopes_are_those_of_the_bearer_token(trail: Trail) -> None:
    """They are required of an opaque token, not of another that a tool looks at."""
    token = mint()
    trail.clear()

    async def steps(served: Service) -> None:
        session = await served.open("opaque")
        assert await served.call("opaque", session, "sub_of", token=token) == "alice"

    run(Opaque(), steps)
    assert trail.names == ["jwt.validated"]
    assert not any(name.startswith("jwt.scope") for name in trail.events[0])


async def everything(served: Service) -> None:
    access, refresh = await served.obtain()
    session = await served.open(access)
    for token in (access, refresh, access[:-3], "", "opaque"):
        await served.send(token, "tools/list", session)
        for scope in ("use", "more"):
            await served.refresh(token, scope=scope)
        await served.revoke(token)
        await served.revoke(token, client_id="nobody")
        await served.send(token, "tools/list", session)


@pytest.mark.parametrize("kind", ["jwt", "opaque"])
def test_answers_are_the_same_without_the_plugin(kind: str, instrument: Callable[..., Trail]) -> None:
    async def answers(served: Service) -> list[Any]:
        await everything(served)
        return served.answers

    bare = run(Provider(refresh=kind), answers)
    instrument()
    assert run(Provider(refresh=kind), answers) == bare
    assert len({status for status, _ in bare}) >= 3


def test_a_server_built_before_is_seen_as_well(instrument: Callable[..., Trail]) -> None:
    server, app = build(Provider())

    async def live() -> list[str]:
        trail = instrument()
        async with serving(server, app) as served:
            access, refresh = await served.obtain()
            await served.refresh(refresh)
            await served.revoke(access)
            names = [*trail.names]
            PyJWTInstrumentor().uninstrument()
            await served.refresh(refresh)
            await served.revoke(access)
            assert trail.names == names
            return names

    assert asyncio.run(live()) == [
        *("jwt.issued", "jwt.issued"),
        *("jwt.validated", "jwt.refreshed", "jwt.refreshed"),
        *("jwt.validated", "jwt.revoked"),
    ]


class Peculiar(RevocationHandler):
    """A handler of the application's own, in whose hands is the provider and no other."""

    async def handle(self, request: Any) -> Any:
        assert type(self.provider) is Provider
        return await super().handle(request)


def test_what_the_application_overrides_is_heeded(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp.server.auth.routes.RevocationHandler", Peculiar)
    provider = Provider()
    kept: list[object] = []

    async def keep(token: Any) -> None:
        kept.append(token.token)

    provider.revoke_token = keep  # type: ignore[method-assign]

    async def steps(served: Service) -> str:
        access, _ = await served.obtain()
        trail.clear()
        await served.revoke(access)
        return access

    access = run(provider, steps)
    assert kept == [access]
    assert trail.names == ["jwt.validated", "jwt.revoked"]


def test_the_sdk_is_as_it_was_when_switched_off(instrument: Any) -> None:
    def anatomy() -> list[object]:
        functions = TokenHandler.handle, RevocationHandler.handle, BearerAuthBackend.authenticate
        handle = getattr(Server, "_handle_message", None)
        return [*(function.__code__ for function in functions), RequireAuthMiddleware.__call__, handle]

    before = anatomy()
    instrument()
    assert anatomy() != before
    assert asyncio.iscoroutinefunction(TokenHandler.handle)
    PyJWTInstrumentor().uninstrument()
    assert anatomy() == before
