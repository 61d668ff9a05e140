"""The client's address, end to end: what proxies say counts only if they are trusted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integrations.adapters import ADAPTERS, Adapter
from tests.integrations.steps import verify
from tests.support import Trail, mint

BARE = [adapter for adapter in ADAPTERS if not adapter.traced]


def _serve(tokens: list[str]) -> int:
    verify(tokens[0])
    return 200


@pytest.mark.parametrize("adapter", [one for one in BARE if one.in_process], ids=lambda adapter: adapter.name)
@pytest.mark.parametrize(
    ("peer", "headers", "expected"),
    [
        ("203.0.113.9", {"x-forwarded-for": "198.51.100.1"}, "203.0.113.9"),
        ("203.0.113.9", {"forwarded": "for=198.51.100.1"}, "203.0.113.9"),
        ("10.0.0.1", {}, "10.0.0.1"),
        ("10.0.0.1", {"x-forwarded-for": "198.51.100.66, 198.51.100.1, 10.0.0.2"}, "198.51.100.1"),
        ("10.0.0.1", {"forwarded": 'for="[2001:db8::9]:4711", for=10.0.0.2'}, "2001:db8::9"),
        ("10.0.0.1", {"x-forwarded-for": "nonsense"}, "10.0.0.1"),
        ("2001:db8:ffff::1", {"x-forwarded-for": "2001:db8::9"}, "2001:db8::9"),
    ],
)
def test_address_of_the_client(
    peer: str, headers: dict[str, str], expected: str, adapter: Adapter, instrument: Callable[..., Trail]
) -> None:
    trail = instrument(trusted_proxies="10.0.0.0/8,2001:db8:ffff::/48")
    token = mint()
    with adapter.serve(_serve) as app:
        trail.clear()
        assert adapter.get(app, token, headers=headers, client=peer).status == 200
    assert [event["client.address"] for event in trail.events] == [expected]


@pytest.mark.parametrize("adapter", BARE, ids=lambda adapter: adapter.name)
def test_no_proxy_is_trusted_by_default(adapter: Adapter, trail: Trail) -> None:
    token = mint()
    with adapter.serve(_serve) as app:
        trail.clear()
        adapter.get(app, token, headers={"x-forwarded-for": "198.51.100.1"}, client="127.0.0.1")
    assert [event["client.address"] for event in trail.events] == ["127.0.0.1"]
