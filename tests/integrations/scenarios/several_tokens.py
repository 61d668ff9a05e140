"""Several tokens in one request: each has its verdict, the status concerns one of them."""

from __future__ import annotations

import time

import jwt

from tests.integrations.expectations import ALL, UP_TO_EXP, denied, issued, negative, rejected, unverified, validated
from tests.integrations.scenarios.table import Given, scenario
from tests.integrations.steps import fails, peek, two, verify
from tests.support import mint

_BOB = {"jwt.jti": "token-2", "jwt.sub": "bob", "user.id": "bob"}


@scenario(validated(), validated(**_BOB), tokens=two)
def two_verified(given: Given) -> int:
    verify(given.tokens[0])
    verify(given.tokens[1])
    return 200


@scenario(validated(), denied(**_BOB), tokens=two, status=403)
def two_verified_then_403(given: Given) -> int:
    verify(given.tokens[0])
    verify(given.tokens[1])
    return 403


@scenario(rejected("refused", ALL), validated(**_BOB), tokens=two, on_span=0, status=401)
def two_verified_the_first_again_then_401(given: Given) -> int:
    verify(given.tokens[0])
    verify(given.tokens[1])
    verify(given.tokens[0])
    return 401


@scenario(
    denied(),
    unverified(**{**_BOB, "user.id": None}),
    tokens=two,
    on_span=0,
    status=403,
)
def one_verified_one_read_then_403(given: Given) -> int:
    """The status says something about the one that was verified; so does the span."""
    verify(given.tokens[0])
    peek(given.tokens[1])
    return 403


@scenario(
    validated(),
    rejected("expired", UP_TO_EXP, **{**_BOB, "jwt.expires_in": negative}),
    tokens=lambda: [mint(), mint(jti="token-2", sub="bob", exp=int(time.time()) - 60)],
    status=401,
)
def one_verified_then_one_expired(given: Given) -> int:
    verify(given.tokens[0])
    fails(verify, given.tokens[1])
    return 401


_REFRESH = {"jwt.token_use": "refresh"}


@scenario(
    validated(**_REFRESH),
    validated(**{**_BOB, **_REFRESH}),
    issued("minted-1", parent="token-2"),
    tokens=lambda: [mint(token_use="refresh"), mint(jti="token-2", sub="bob", token_use="refresh")],
    on_span=1,
)
def minted_from_the_refresh_token_presented_last(given: Given) -> int:
    verify(given.tokens[0])
    verify(given.tokens[1])
    mint(jti="minted-1")
    return 200


_KID = {"jwt.kid": "key-of-nobody"}


@scenario(
    unverified(**_KID),
    rejected("key_unavailable", None, verified=False, **{**_BOB, "user.id": None, **_KID}),
    tokens=lambda: [
        mint(headers={"kid": "key-of-nobody"}),
        mint(jti="token-2", sub="bob", headers={"kid": "key-of-nobody"}),
    ],
    status=401,
)
def two_read_then_the_key_of_the_last_not_in_the_set(given: Given) -> int:
    peek(given.tokens[0])
    peek(given.tokens[1])
    fails(jwt.PyJWKClient(given.jwks, timeout=5).get_signing_key, "key-of-nobody")
    return 401
