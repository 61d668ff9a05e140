"""Several looks at one token, and the one verdict they come to."""

from __future__ import annotations

import jwt

from opentelemetry.instrumentation.pyjwt import record_scope_check
from tests.integrations.expectations import ALL, UP_TO_EXP, denied, issued, negative, rejected, validated
from tests.integrations.scenarios.table import Given, scenario
from tests.integrations.steps import expired, fails, none, peek, refuse, scoped, verify, with_kid
from tests.support import OTHER_KEY, mint


@scenario(validated())
def read_unverified_then_verified(given: Given) -> int:
    peek(given.token)
    verify(given.token)
    return 200


@scenario(validated())
def verified_then_read_unverified(given: Given) -> int:
    verify(given.token)
    peek(given.token)
    return 200


@scenario(validated(), tokens=lambda: [mint(OTHER_KEY)])
def key_rotation(given: Given) -> int:
    fails(verify, given.token)
    verify(given.token, OTHER_KEY)
    return 200


@scenario(validated(), tokens=lambda: [mint(OTHER_KEY)])
def key_rotation_that_tries_the_right_key_first(given: Given) -> int:
    verify(given.token, OTHER_KEY)
    fails(verify, given.token)
    return 200


@scenario(validated(**{"jwt.expires_in": negative}), tokens=expired)
def expired_then_accepted_with_more_leeway(given: Given) -> int:
    fails(verify, given.token)
    verify(given.token, leeway=120)
    return 200


@scenario(rejected("expired", ALL, **{"jwt.expires_in": negative}), tokens=expired, status=401)
def expired_then_decoded_without_its_expiry(given: Given) -> int:
    fails(verify, given.token)
    verify(given.token, options={"verify_exp": False})
    return 401


@scenario(validated(ALL - {"exp"}, **{"jwt.expires_in": negative}), tokens=expired)
def decoded_without_its_expiry(given: Given) -> int:
    verify(given.token, options={"verify_exp": False})
    return 200


@scenario(
    rejected("key_unavailable", None, verified=False, **{"jwt.kid": "key-of-nobody"}), tokens=with_kid, status=503
)
def read_unverified_then_key_set_out_of_reach(given: Given) -> int:
    peek(given.token)
    fails(jwt.PyJWKClient(given.no_jwks, timeout=5).get_signing_key_from_jwt, given.token)
    return 503


@scenario(
    rejected("key_unavailable", None, verified=False, **{"jwt.kid": "key-of-nobody"}), tokens=with_kid, status=401
)
def read_unverified_then_key_not_in_the_set(given: Given) -> int:
    peek(given.token)
    fails(jwt.PyJWKClient(given.jwks, timeout=5).get_signing_key_from_jwt, given.token)
    return 401


@scenario(
    rejected(
        "key_unavailable",
        None,
        verified=False,
        **{"jwt.kid": "key-of-nobody", "jwt.jti": None, "jwt.sub": None, "jwt.iss": None, "jwt.expires_in": None},
    ),
    tokens=with_kid,
    status=401,
)
def header_read_then_key_not_in_the_set(given: Given) -> int:
    kid = jwt.get_unverified_header(given.token)["kid"]
    fails(jwt.PyJWKClient(given.jwks, timeout=5).get_signing_key, kid)
    return 401


@scenario(validated(**{"jwt.kid": "key-of-nobody"}), tokens=with_kid)
def key_not_in_the_set_then_verified_with_another(given: Given) -> int:
    fails(jwt.PyJWKClient(given.jwks, timeout=5).get_signing_key_from_jwt, given.token)
    verify(given.token)
    return 200


@scenario(validated(**{"jwt.kid": "known"}), tokens=lambda: [mint(headers={"kid": "known"})])
def key_set_that_has_the_key(given: Given) -> int:
    key = jwt.PyJWKClient(given.jwks, timeout=5).get_signing_key_from_jwt(given.token)
    jwt.decode(given.token, key.key, ["HS256"])
    return 200


@scenario(rejected("revoked", ALL | {"revocation"}), status=401)
def verified_then_found_on_a_blocklist(given: Given) -> int:
    verify(given.token)
    refuse("revoked")
    return 401


@scenario(rejected("wrong_type", ALL), status=422)
def verified_then_of_the_wrong_type(given: Given) -> int:
    verify(given.token)
    refuse("wrong_type")
    return 422


@scenario(rejected("refused", ALL), status=401)
def verified_then_not_fresh(given: Given) -> int:
    verify(given.token)
    refuse("refused")
    return 401


@scenario(rejected("revoked", {"revocation"}, verified=False), status=401)
def refused_before_it_was_verified(given: Given) -> int:
    peek(given.token)
    refuse("revoked")
    return 401


_MISSING = {
    "jwt.scope.granted": {"read", "list"},
    "jwt.scope.required": {"read", "write"},
    "jwt.scope.missing": {"write"},
    "jwt.scope.outcome": "insufficient",
}


@scenario(
    validated(
        **{**_MISSING, "jwt.scope.required": {"read"}, "jwt.scope.missing": None, "jwt.scope.outcome": "sufficient"}
    ),
    tokens=scoped,
)
def scope_granted(given: Given) -> int:
    verify(given.token)
    record_scope_check("read")
    return 200


@scenario(denied(**_MISSING), tokens=scoped, status=403)
def scope_not_granted(given: Given) -> int:
    verify(given.token)
    record_scope_check("read write")
    return 403


@scenario(denied(**_MISSING), tokens=scoped)
def scope_not_granted_yet_served(given: Given) -> int:
    verify(given.token)
    record_scope_check(["read", "write"])
    return 200


@scenario(denied(**_MISSING), tokens=scoped, status=403)
def scope_asked_for_before_there_was_a_token(given: Given) -> int:
    record_scope_check("read write")
    verify(given.token)
    return 403


@scenario(denied(**{"jwt.scope.required": {"admin"}, "jwt.scope.outcome": "insufficient"}), status=401)
def permission_check_said_no_with_a_401(given: Given) -> int:
    verify(given.token)
    record_scope_check("admin", allowed=False)
    return 401


@scenario(denied(), status=403)
def hand_written_403(given: Given) -> int:
    verify(given.token)
    return 403


@scenario(rejected("refused", ALL), status=401)
def hand_written_401(given: Given) -> int:
    verify(given.token)
    return 401


@scenario(validated(), status=404)
def verified_then_not_found(given: Given) -> int:
    verify(given.token)
    return 404


@scenario(validated(), status=500)
def verified_then_answered_500(given: Given) -> int:
    verify(given.token)
    return 500


class Unhandled(Exception):
    """An application's bug."""


@scenario(validated(), status=500)
def verified_then_unhandled_exception(given: Given) -> int:
    verify(given.token)
    raise Unhandled


@scenario(rejected("expired", UP_TO_EXP, **{"jwt.expires_in": negative}), tokens=expired, status=500)
def expired_and_the_exception_unhandled(given: Given) -> int:
    verify(given.token)
    return 200


@scenario(issued("minted-1"), tokens=none)
def minted_then_decoded(given: Given) -> int:
    """As cookie and CSRF helpers do."""
    verify(mint(jti="minted-1"))
    return 200


@scenario(issued("minted-1"), tokens=none)
def minted_then_read_unverified(given: Given) -> int:
    peek(mint(jti="minted-1"))
    return 200
