"""Clients of the shop, over real HTTP: three honest ones with their mishaps, and an attacker with accomplices.

Each request says what the audit trail will have to say about it, and the traffic, what a review will have to find.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import httpx
import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ALICE, BOB, KIOSK, MALLORY = "127.0.0.11", "127.0.0.12", "127.0.0.13", "127.0.0.66"
ACCOMPLICES = ("127.0.0.67", "127.0.0.68", "127.0.0.69")
CLIENTS = (ALICE, BOB, KIOSK, MALLORY, *ACCOMPLICES)


class Expected(NamedTuple):
    """One event, as far as a client can foretell it."""

    verdict: str  # the event's body without "jwt."
    user: str | None
    client: str
    action: str
    status: int


class UnexpectedAnswer(Exception):
    """The service did not answer as it should: the demo itself is broken."""


class Traffic:
    """What was sent so far.

    Args:
        url: where the service is.
        password: everybody's.
        proxied: clients have one address and the one they should have had goes into ``X-Forwarded-For``.
    """

    def __init__(self, url: str, password: str, *, proxied: bool) -> None:
        self.url = url
        self.password = password
        self.proxied = proxied
        self.expected: list[Expected] = []
        self.findings: dict[str, str] = {}  # rules, and the token or the address each will name
        self.tokens: set[str] = set()

    @contextmanager
    def client(self, address: str) -> Iterator[Client]:
        headers = {"X-Forwarded-For": address} if self.proxied else {}
        transport = httpx.HTTPTransport(local_address=None if self.proxied else address)
        with httpx.Client(base_url=self.url, transport=transport, headers=headers, timeout=10) as http:
            yield Client(self, address, http)


class Client:
    """Somebody at an address."""

    def __init__(self, traffic: Traffic, address: str, http: httpx.Client) -> None:
        self.user: str | None = None  # whose tokens it presents
        self._traffic = traffic
        self._address = address
        self._http = http

    def send(
        self,
        method: str,
        path: str,
        *verdicts: str,
        status: int = 200,
        token: str | None = None,
        forged: bool = False,
        json: Any = None,
    ) -> Any:
        """One request; gives its answer.

        Args:
            verdicts: what the trail should say of the tokens presented and issued.
            status: the answer's, in the trail as well.
            token: presented as a bearer token.
            forged: the trail must not take the token's word for who it is.
            json: the request's body.
        """
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        response = self._http.request(method, path, json=json, headers=headers)
        if response.status_code != status:
            raise UnexpectedAnswer(f"{method} {path} was answered with {response.status_code} instead of {status}")
        for verdict in verdicts:
            user = None if forged else self.user
            self._traffic.expected.append(Expected(verdict, user, self._address, f"{method} {path}", status))
        if token:
            self._traffic.tokens.add(token)
        return response.json()

    def login(self, user: str) -> Any:
        """The access and the refresh token of a user."""
        self.user = user
        credentials = {"user": user, "password": self._traffic.password}
        tokens = self.send("POST", "/login", "issued", "issued", json=credentials)
        self._traffic.tokens |= {tokens["access_token"], tokens["refresh_token"]}
        return tokens

    def refresh(self, token: str) -> str:
        """A fresh access token for a refresh token."""
        fresh = self.send("POST", "/refresh", "validated", "refreshed", json={"refresh_token": token})["access_token"]
        self._traffic.tokens |= {token, fresh}
        return str(fresh)


def play(traffic: Traffic) -> None:
    """Everybody's requests."""
    with ExitStack() as stack:
        clients = [stack.enter_context(traffic.client(address)) for address in CLIENTS]
        alice, bob, kiosk, mallory, *accomplices = clients

        # Alice works, and later goes on with a fresh token.
        tokens = alice.login("alice")
        alice.send("GET", "/orders", "validated", token=tokens["access_token"])
        alice.send("POST", "/orders", "validated", status=201, token=tokens["access_token"], json={"item": "cake"})
        stolen = alice.refresh(tokens["refresh_token"])
        alice.send("GET", "/orders", "validated", token=stolen)

        # Bob may only read, and mixes up his tokens.
        tokens = bob.login("bob")
        bob.send("POST", "/orders", "denied", status=403, token=tokens["access_token"], json={"item": "cake"})
        bob.send("GET", "/orders", "denied", status=401, token=tokens["refresh_token"])

        # The kiosk's token lives for a second.
        tokens = kiosk.login("kiosk")
        expiry = time.time() + tokens["expires_in"]

        # Mallory has one of Alice's tokens, and tries to make more of it.
        mallory.user = "alice"
        forged = altered(stolen, sub="admin", scope="admin")
        public_keys = mallory.send("GET", "/.well-known/jwks.json")
        for token, reason in (
            (forged, "invalid_signature"),
            (altered(stolen, scope="admin"), "invalid_signature"),
            (unsigned(forged), "invalid_algorithm"),
            (signed_with_public_key(forged, public_keys), "invalid_algorithm"),
            (forged.rpartition(".")[0], "malformed"),
        ):
            mallory.send("GET", "/admin", f"rejected: {reason}", status=401, token=token, forged=True)
        mallory.send("GET", "/greeting", "unverified", token=forged, forged=True)
        traffic.findings |= {"algorithm-confusion": MALLORY, "unverified-token": MALLORY}

        # It passes for Alice as it is, also with those it is given to.
        mallory.send("GET", "/orders", "validated", token=stolen)
        mallory.send("GET", "/admin", "denied", status=403, token=stolen)
        traffic.findings["failures-then-success"] = MALLORY
        for accomplice in accomplices:
            accomplice.user = "alice"
            accomplice.send("GET", "/orders", "validated", token=stolen)
        traffic.findings["token-many-addresses"] = _decode(stolen.split(".")[1])["jti"]

        # Somebody comes back to the kiosk.
        time.sleep(max(0.0, expiry - time.time()))
        kiosk.send("GET", "/orders", "rejected: expired", status=401, token=tokens["access_token"])


# --- attacks ----------------------------------------------------------------------------------------------


def altered(token: str, **changes: str) -> str:
    """The token with other claims under its old signature."""
    header, claims, signature = token.split(".")
    return ".".join((header, _encode({**_decode(claims), **changes}), signature))


def unsigned(token: str) -> str:
    """The token as one that needs no signature (RFC 8725 §2.1)."""
    header, claims, _ = token.split(".")
    return ".".join((_encode({**_decode(header), "alg": "none"}), claims, ""))


def signed_with_public_key(token: str, public_keys: dict[str, Any]) -> str:
    """The token with an HMAC whose secret is the service's public RSA key (RFC 8725 §2.1)."""
    public_key = jwt.PyJWKSet.from_dict(public_keys).keys[0].key
    secret = public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header, claims, _ = token.split(".")
    content = f"{_encode({**_decode(header), 'alg': 'HS256'})}.{claims}"
    signature = hmac.new(secret, content.encode(), hashlib.sha256).digest()
    return f"{content}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _decode(part: str) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded


def _encode(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
