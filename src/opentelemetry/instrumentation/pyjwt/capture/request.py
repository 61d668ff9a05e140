"""What all requests have in common: a ledger, unless they are excluded, and who they come from."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.audit import Audit
from opentelemetry.instrumentation.pyjwt.bounds import Value, as_text
from opentelemetry.instrumentation.pyjwt.config import Network, Settings
from opentelemetry.instrumentation.pyjwt.ledger import Ledger, current_ledger
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

# Where the ledger is, in the scope or environ of a request and so in those of applications it is passed on to.
_LEDGER: Final = "opentelemetry.instrumentation.pyjwt"
_ROUTE: Final = f"{_LEDGER}.route"
SWITCHING_PROTOCOLS: Final = 101
FORBIDDEN: Final = 403
SERVER_ERROR: Final = 500

# RFC 9110 §9.1 and RFC 5789; another method is a client's invention (semantic conventions: _OTHER).
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
_HOPS: Final = 32  # of a forwarding chain that are looked at
_FOR: Final = re.compile(r'for="?(\[[^\]]*\]|[^;,"\s]*)', re.IGNORECASE)


def open_ledger(
    active: Audit,
    request: MutableMapping[str, Any],
    url: Callable[[], str],
    describe: Callable[[], Mapping[str, Value]],
) -> Ledger | None:
    """A ledger for a request that begins here; a muted one if the request is not to be recorded.

    A request that was passed on to here has its ledger, and none is given.

    Args:
        active: the running audit.
        request: its scope or environ, in which it is marked.
        url: gives the request's URL without query, for those who exclude URLs or have a scope policy.
        describe: gives the request's attributes once it has been routed.
    """
    if _LEDGER in request:
        if (ledger := current_ledger()) is not None:
            ledger.refine(describe)
        return None
    excluded = active.settings.excluded_urls
    muted = not is_instrumentation_enabled() or (excluded is not None and excluded.search(url()) is not None)
    request[_LEDGER] = ledger = Ledger(describe, muted=muted)
    ledger.url = url
    active.opened(ledger)
    return ledger


def ledger_of(request: Mapping[str, Any]) -> Ledger | None:
    """The ledger of a request, by its scope or environ, wherever that is asked."""
    return request.get(_LEDGER)


def note_route(request: MutableMapping[str, Any], route: str | None) -> None:
    """Keep the template of the route taken, for a framework that leaves no trace of it in scope or environ."""
    if route is not None:
        request[_ROUTE] = route


def noted_route(request: Mapping[str, Any]) -> str | None:
    """The template that was kept."""
    return request.get(_ROUTE)


def request_attributes(
    settings: Settings,
    *,
    method: str | None,
    route: str | None,
    peer: str | None,
    user_agent: str | None,
    forwarded: str | None,
    forwarded_for: str | None,
) -> dict[str, Value]:
    """The request's attributes.

    Args:
        settings: whose proxies are trusted.
        method: HTTP method.
        route: the route's template, as the framework writes it.
        peer: address of the other end of the connection.
        user_agent: header ``User-Agent``.
        forwarded: header ``Forwarded`` (RFC 7239), believed from a trusted proxy alone.
        forwarded_for: header ``X-Forwarded-For``, likewise.
    """
    attributes: dict[str, Value] = {}
    if method:
        attributes[semconv.HTTP_METHOD] = method if method in _METHODS else "_OTHER"
    if route:
        attributes[semconv.HTTP_ROUTE] = route
    client = client_address(settings.trusted_proxies, peer, forwarded, forwarded_for)
    if client is not None and (address := as_text(client)) is not None:
        attributes[semconv.CLIENT_ADDRESS] = address
    if user_agent is not None and (agent := as_text(user_agent)) is not None:
        attributes[semconv.USER_AGENT] = agent
    return attributes


def client_address(
    trusted: tuple[Network, ...], peer: str | None, forwarded: str | None, forwarded_for: str | None
) -> str | None:
    """The client's address: the nearest that no trusted proxy vouches for as one of its own.

    A proxy appends whom it saw, so the chain is read from its end for as long as it is told by trusted
    addresses; what stands before that, anybody may have written.
    """
    if not trusted or peer is None or not _is_trusted(trusted, peer):
        return peer
    if forwarded is not None:
        hops = [match.group(1) for match in _FOR.finditer(forwarded)]
    elif forwarded_for is not None:
        hops = forwarded_for.split(",")
    else:
        return peer
    client = peer
    for hop in reversed(hops[-_HOPS:]):
        address = _address(hop)
        if address is None:  # "unknown", an obfuscated name, or nonsense: the chain ends here
            break
        client = address
        if not _is_trusted(trusted, address):
            break
    return client


def _address(hop: str) -> str | None:
    """The IP address in one hop, without brackets and port."""
    hop = hop.strip().strip('"')
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    try:
        return str(ipaddress.ip_address(hop))
    except ValueError:
        return None


def _is_trusted(trusted: tuple[Network, ...], address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return any((mapped or parsed) in network for network in trusted)
