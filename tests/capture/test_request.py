"""Whose address a request comes from: proxies are believed if they are trusted, and nobody else is."""

from __future__ import annotations

from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt.capture.request import client_address, request_attributes
from opentelemetry.instrumentation.pyjwt.config import Settings

PROXIES = "10.0.0.0/8,192.0.2.7,2001:db8:ffff::/48"


def client(
    peer: str | None, forwarded_for: str | None = None, *, forwarded: str | None = None, trusted: str = PROXIES
) -> Any:
    settings = Settings.load({"trusted_proxies": trusted})
    return client_address(settings.trusted_proxies, peer, forwarded, forwarded_for)


@pytest.mark.parametrize("peer", ["203.0.113.9", "2001:db8::9", "192.0.2.8", "testclient", "unix:", ""])
def test_untrusted_peer_is_the_client_whatever_it_claims(peer: str) -> None:
    assert client(peer, "198.51.100.1", forwarded="for=198.51.100.2") == peer


def test_nobody_is_trusted_unless_told() -> None:
    assert client("127.0.0.1", "198.51.100.1", forwarded="for=198.51.100.2", trusted="") == "127.0.0.1"


def test_without_a_peer_there_is_no_client() -> None:
    assert client(None, "198.51.100.1") is None


@pytest.mark.parametrize("peer", ["10.1.2.3", "192.0.2.7", "2001:db8:ffff::1", "::ffff:10.1.2.3"])
def test_trusted_peer_is_believed(peer: str) -> None:
    assert client(peer, "198.51.100.1") == "198.51.100.1"
    assert client(peer, forwarded="for=198.51.100.1") == "198.51.100.1"
    assert client(peer) == peer


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ("198.51.100.1, 10.1.1.1, 10.2.2.2", "198.51.100.1"),
        ("198.51.100.66, 198.51.100.1, 10.2.2.2", "198.51.100.1"),  # what stands before, anybody may have written
        ("10.6.6.6, 198.51.100.1", "198.51.100.1"),  # a forged hop that looks like one of ours
        ("10.1.1.1, 10.2.2.2", "10.1.1.1"),  # a client among the proxies
        ("198.51.100.1,10.1.1.1", "198.51.100.1"),
        ("  198.51.100.1  ", "198.51.100.1"),
        ("198.51.100.1:4711", "198.51.100.1"),
        ("2001:db8::9", "2001:db8::9"),
        ("2001:DB8:0::9", "2001:db8::9"),  # one spelling for one address
        ("[2001:db8::9]", "2001:db8::9"),
        ("[2001:db8::9]:4711", "2001:db8::9"),
        ('"198.51.100.1"', "198.51.100.1"),
        ("198.51.100.1, unknown", "10.0.0.1"),
        ("198.51.100.1, unknown, 10.2.2.2", "10.2.2.2"),
        ("198.51.100.1, ", "10.0.0.1"),
        ("", "10.0.0.1"),
        ("unknown", "10.0.0.1"),
        ("300.1.1.1", "10.0.0.1"),
        ("010.1.1.1", "10.0.0.1"),
        ("'; DROP TABLE clients", "10.0.0.1"),
        ("<script>", "10.0.0.1"),
        ("[", "10.0.0.1"),
        ("[]", "10.0.0.1"),
        (":", "10.0.0.1"),
        ("198.51.100.1\x00", "10.0.0.1"),
    ],
)
def test_chain_of_x_forwarded_for(chain: str, expected: str) -> None:
    assert client("10.0.0.1", chain) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("for=198.51.100.1", "198.51.100.1"),
        ("For=198.51.100.1;proto=https;by=10.0.0.1", "198.51.100.1"),
        ("proto=https; for=198.51.100.1", "198.51.100.1"),
        ("for=198.51.100.1, for=10.2.2.2", "198.51.100.1"),
        ("for=198.51.100.66, for=198.51.100.1, for=10.2.2.2", "198.51.100.1"),
        ('for="198.51.100.1:4711"', "198.51.100.1"),
        ('for="[2001:db8::9]"', "2001:db8::9"),
        ('for="[2001:db8::9]:4711"', "2001:db8::9"),
        ('for="[2001:db8::9]:4711", for=10.2.2.2;by=10.0.0.1', "2001:db8::9"),
        ("for=_hidden", "10.0.0.1"),
        ("for=unknown, for=10.2.2.2", "10.2.2.2"),
        ("by=10.0.0.1;proto=https", "10.0.0.1"),
        ("", "10.0.0.1"),
        ("for=", "10.0.0.1"),
        ("nonsense", "10.0.0.1"),
    ],
)
def test_chain_of_forwarded(header: str, expected: str) -> None:
    """RFC 7239."""
    assert client("10.0.0.1", forwarded=header) == expected


def test_an_endless_chain_is_read_for_so_long_and_no_longer() -> None:
    assert client("10.0.0.1", ", ".join(["198.51.100.1"] + ["10.1.1.1"] * 100_000)) == "10.1.1.1"


@pytest.mark.parametrize(
    ("method", "shown"),
    [("GET", "GET"), ("PATCH", "PATCH"), ("get", "_OTHER"), ("STEAL", "_OTHER"), ("", None), (None, None)],
)
def test_methods_that_clients_invent_are_not_passed_on(method: str | None, shown: str | None) -> None:
    assert _attributes(method=method).get("http.request.method") == shown


def test_what_is_not_known_is_absent() -> None:
    assert _attributes() == {}
    assert _attributes(user_agent="", route="", peer="") == {}


def test_text_from_the_client_is_bounded_and_escaped() -> None:
    shown = _attributes(user_agent="probe\n" + "x" * 1000, peer="host\x1b[31m")
    assert len(shown["user_agent.original"]) == 256
    assert "\n" not in shown["user_agent.original"]
    assert "\x1b" not in shown["client.address"]


def _attributes(**given: Any) -> dict[str, Any]:
    names = ("method", "route", "peer", "user_agent", "forwarded", "forwarded_for")
    return request_attributes(Settings.load({}), **{**dict.fromkeys(names), **given})
