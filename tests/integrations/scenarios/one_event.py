"""One thing done with one token, and the event it gives."""

from __future__ import annotations

import time

import jwt

from opentelemetry.instrumentation.pyjwt import record_revocation
from tests.integrations.expectations import (
    UP_TO_EXP,
    UP_TO_SIGNATURE,
    issued,
    negative,
    rejected,
    revoked,
    unverified,
    validated,
)
from tests.integrations.scenarios.table import Given, scenario
from tests.integrations.steps import expired, fails, good, none, peek, refresh, verify
from tests.support import OTHER_KEY, mint


@scenario(validated())
def verified_and_served(given: Given) -> int:
    verify(given.token)
    return 200


@scenario(validated())
def verified_five_times(given: Given) -> int:
    for _ in range(5):
        verify(given.token)
    return 200


@scenario(tokens=good)
def token_not_looked_at(given: Given) -> int:
    return 200


@scenario(issued("minted-1"), tokens=none)
def login(given: Given) -> int:
    mint(jti="minted-1")
    return 200


@scenario(issued("minted-1"), issued("minted-2"), tokens=none)
def login_that_mints_a_pair(given: Given) -> int:
    mint(jti="minted-1")
    mint(jti="minted-2", token_use="refresh")
    return 200


@scenario(validated(**{"jwt.token_use": "refresh"}), issued("minted-1", parent="token-1"), tokens=refresh, on_span=0)
def refreshed(given: Given) -> int:
    verify(given.token)
    mint(jti="minted-1")
    return 200


@scenario(
    issued("minted-1", parent="token-1"),
    validated(**{"jwt.token_use": "refresh"}),
    issued("minted-2", parent="token-1"),
    tokens=refresh,
    on_span=1,
)
def refreshed_to_a_pair(given: Given) -> int:
    mint(jti="minted-1")
    verify(given.token)
    mint(jti="minted-2")
    return 200


@scenario(
    rejected("expired", UP_TO_EXP, **{"jwt.expires_in": negative, "jwt.token_use": "refresh"}),
    issued("minted-1"),
    tokens=lambda: [mint(exp=int(time.time()) - 60, token_use="refresh")],
    on_span=0,
)
def minted_although_the_refresh_token_expired(given: Given) -> int:
    fails(verify, given.token)
    mint(jti="minted-1")
    return 200


@scenario(rejected("expired", UP_TO_EXP, **{"jwt.expires_in": negative}), tokens=expired, status=401)
def expired_and_refused(given: Given) -> int:
    fails(verify, given.token)
    return 401


@scenario(rejected("expired", UP_TO_EXP, **{"jwt.expires_in": negative}), tokens=expired)
def expired_yet_served(given: Given) -> int:
    fails(verify, given.token)
    return 200


@scenario(rejected("invalid_signature", UP_TO_SIGNATURE, verified=False), tokens=lambda: [mint(OTHER_KEY)], status=401)
def forged(given: Given) -> int:
    fails(verify, given.token)
    return 401


@scenario(
    rejected("malformed", None, verified=False, **dict.fromkeys(("jwt.jti", "jwt.sub", "jwt.iss", "jwt.expires_in"))),
    tokens=lambda: ["nonsense"],
    status=400,
)
def malformed(given: Given) -> int:
    fails(verify, given.token)
    return 400


@scenario(unverified())
def read_unverified_only(given: Given) -> int:
    peek(given.token)
    return 200


@scenario()
def header_read_only(given: Given) -> int:
    """Reading a header is no use of a token."""
    jwt.get_unverified_header(given.token)
    return 200


@scenario(unverified(), status=401)
def read_unverified_and_refused(given: Given) -> int:
    """No signature was checked, whatever the application thought of it."""
    peek(given.token)
    return 401


@scenario(validated(), revoked("token-1", actor="alice", reason="logout"), on_span=0)
def logout(given: Given) -> int:
    verify(given.token)
    record_revocation("token-1", reason="logout")
    return 200


@scenario(revoked("token-of-somebody", actor="anonymous"), tokens=none, on_span=None)
def revoked_by_nobody_known(given: Given) -> int:
    record_revocation("token-of-somebody")
    return 200
