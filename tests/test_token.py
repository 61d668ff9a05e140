"""Token facts: what is kept of a token, and under which names."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from opentelemetry.instrumentation.pyjwt import TokenFacts
from opentelemetry.instrumentation.pyjwt.token import PARSE_LIMIT, TokenReader, identity
from tests.capture.forge import forged
from tests.support import KEY, mint

HEADER = {"alg": "HS256", "typ": "JWT"}


def read(
    claims: dict[str, Any], header: dict[str, Any] | None = None, *, verified: bool = True, **policy: Any
) -> TokenFacts:
    header = HEADER if header is None else header
    return TokenReader(**policy).read(forged(header, claims), header, claims, verified)


def attributes(claims: dict[str, Any], **policy: Any) -> dict[str, Any]:
    """What a verified token with these claims shows besides what every such token shows."""
    common = {"jwt.alg", "jwt.typ", "jwt.verified", "jwt.fingerprint"}
    return {name: value for name, value in read(claims, **policy).attributes.items() if name not in common}


# --- Claims and header ---


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({}, {}),
        ({"jti": "a", "iss": "b", "sid": "c"}, {"jwt.jti": "a", "jwt.iss": "b", "jwt.sid": "c"}),
        ({"jti": 7, "iss": ["b"]}, {"jwt.jti": "7", "jwt.iss": '["b"]'}),
        ({"jti": "", "iss": None, "sid": ""}, {}),
        ({"jti": "a\nb"}, {"jwt.jti": r"a\nb"}),
        ({"aud": "a"}, {"jwt.aud": ("a",)}),
        ({"aud": ["a", "b"]}, {"jwt.aud": ("a", "b")}),
        ({"aud": []}, {}),
        ({"exp": 3, "iat": "2", "nbf": 1.5}, {"jwt.exp": 3, "jwt.iat": 2, "jwt.nbf": 1}),
        ({"exp": "soon", "iat": 2**80}, {"jwt.iat": 2**63 - 1}),
        ({"client_id": "c"}, {"jwt.client_id": "c"}),
        ({"azp": "z"}, {"jwt.client_id": "z"}),
        ({"client_id": "c", "azp": "z"}, {"jwt.client_id": "c"}),
        ({"act": {"sub": "agent", "act": {"sub": "other"}}}, {"jwt.act.sub": "agent"}),
        ({"act": "agent"}, {}),
        ({"act": {}}, {}),
        ({"cnf": {"jkt": "thumb"}}, {"jwt.cnf": "thumb"}),
        ({"cnf": {"x5t#S256": "thumb"}}, {"jwt.cnf": "thumb"}),
        ({"cnf": {"jwk": {"k": "secret"}}}, {}),
        ({"cnf": "thumb"}, {}),
        ({"sub": "alice"}, {"jwt.sub": "alice", "user.id": "alice"}),
        ({"sub": 7}, {"jwt.sub": "7", "user.id": "7"}),
        ({"sub": ""}, {}),
        ({"email": "alice@example.com"}, {}),  # nobody asked for it
    ],
    ids=str,
)  # fmt: skip
def test_claims_have_their_attributes(claims: dict[str, Any], expected: dict[str, Any]) -> None:
    assert attributes(claims) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            {"alg": "RS256", "kid": "k", "typ": "at+jwt"},
            {"jwt.alg": "RS256", "jwt.kid": "k", "jwt.typ": "at+jwt"} | {"jwt.token_use": "access"},
        ),
        ({"alg": ["x"], "kid": 7}, {"jwt.alg": '["x"]', "jwt.kid": "7"}),
        ({}, {}),
        ({"alg": "HS256", "jwk": {"k": "secret"}, "x5c": ["certificate"]}, {"jwt.alg": "HS256"}),
    ],
)
def test_header_parameters_have_their_attributes(header: dict[str, Any], expected: dict[str, Any]) -> None:
    shown = dict(read({"jti": "a"}, header).attributes)
    assert (shown.pop("jwt.jti"), shown.pop("jwt.verified")) == ("a", True)
    assert shown == expected


@pytest.mark.parametrize(
    ("claims", "typ", "use"),
    [
        ({"token_use": "access"}, None, "access"),
        ({"token_type": "refresh"}, None, "refresh"),
        ({"type": "refresh"}, None, "refresh"),
        ({"typ": "Bearer"}, "JWT", "access"),
        ({"typ": "Refresh"}, "JWT", "refresh"),
        ({"typ": "Offline"}, "JWT", "refresh"),
        ({"typ": "ID"}, "JWT", "id"),
        ({"token_use": "id", "type": "access"}, None, "id"),
        ({"token_use": "mine", "type": "access"}, None, "access"),
        ({"extras": {"token_use": "refresh"}}, None, "refresh"),
        ({"extras": {"token_use": "refresh"}, "token_use": "access"}, None, "access"),
        ({"extras": ["token_use"]}, None, None),
        ({"type": 7}, "at+jwt", "access"),
        ({}, "application/at+jwt", "access"),
        ({}, "AT+JWT", "access"),
        ({}, "JWT", None),
        ({}, ["at+jwt"], None),
        ({"type": "mine"}, None, None),
    ],
    ids=str,
)
def test_the_use_of_a_token_has_three_words(claims: dict[str, Any], typ: Any, use: str | None) -> None:
    facts = read(claims, {"alg": "HS256"} if typ is None else {"alg": "HS256", "typ": typ})
    assert facts.token_use == use
    assert facts.attributes.get("jwt.token_use") == use


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({}, None),
        ({"scope": "read write"}, ("read", "write")),
        ({"scope": ["read", "write"]}, ("read", "write")),
        ({"scp": "read"}, ("read",)),
        ({"scp": ["read"]}, ("read",)),
        ({"scopes": "read"}, ("read",)),
        ({"scopes": ["read", "read", ""]}, ("read",)),
        ({"extras": {"scope": "read"}}, ("read",)),
        ({"extras": {"scope": "read"}, "scope": "list"}, ("list",)),
        ({"extras": "scope"}, None),
        ({"permissions": ["a:b"]}, ("a:b",)),
        ({"scope": "a", "permissions": ["b", "a"]}, ("a", "b")),
        ({"scope": ""}, ()),
        ({"scope": 7}, ()),
        ({"scope": [7, "a", None]}, ("a",)),
        ({"scope": "  a \t b\n"}, ("a", "b")),
    ],
    ids=str,
)
def test_scopes_come_in_many_shapes(claims: dict[str, Any], scopes: tuple[str, ...] | None) -> None:
    facts = read(claims)
    assert facts.scopes == scopes
    assert facts.attributes.get("jwt.scope.granted", ()) == (scopes or ())


def test_scopes_are_judged_whole_and_shown_bounded() -> None:
    facts = read({"scope": [f"s{number}" for number in range(100)]})
    assert len(facts.scopes or ()) == 100
    assert len(facts.attributes["jwt.scope.granted"]) == 64  # type: ignore[arg-type]


# --- Captured claims ---


def test_captured_claims_keep_their_type() -> None:
    shown = attributes(
        {"tenant": "t", "level": 3, "admin": True, "roles": ["a", "b"], "realm": {"x": 1}, "none": None, "other": 1},
        capture_claims=("tenant", "level", "admin", "roles", "realm", "none", "absent"),
    )
    assert shown == {
        "jwt.claims.tenant": "t",
        "jwt.claims.level": 3,
        "jwt.claims.admin": True,
        "jwt.claims.roles": ("a", "b"),
        "jwt.claims.realm": '{"x":1}',
    }


# --- Raw tokens ---


@pytest.mark.parametrize(
    "token", [None, 7, "", "a", "a.b", "...", "a.b.c", b"\xff.\xff.\xff", ["a"], "\ud800.\ud800.a"]
)
def test_what_cannot_be_read_has_no_facts(token: object) -> None:
    facts = TokenReader().read_raw(token)
    assert {name for name in facts.attributes if name != "jwt.fingerprint"} == {"jwt.verified"}
    assert facts.verified is False


def test_a_huge_token_is_not_parsed_for_the_record() -> None:
    token = mint(pad="x" * PARSE_LIMIT)
    facts = TokenReader().read_raw(token)
    assert facts.jti is None
    assert facts.fingerprint is not None
    assert TokenReader().read_minted(token, {}).jti == "token-1"  # our own is


def test_a_minted_token_is_read_as_it_was_encoded() -> None:
    reader = TokenReader()
    assert reader.read_minted(mint(jti="encoded"), {"jti": "given"}).jti == "encoded"
    assert reader.read_minted("x.y.z", {"jti": "given"}).jti == "given"
    assert reader.read_minted(mint(), {}).verified is True
    assert reader.read_minted(jwt.encode({"sub": "alice"}, None, "none"), {}).verified is False


def test_facts_of_a_token_presented_again_are_not_those_of_another() -> None:
    reader = TokenReader()
    token = mint()
    first = reader.read_verified(token, HEADER, {"jti": "a"})
    assert reader.read_verified(token, dict(HEADER), {"jti": "a"}) is first
    assert reader.read_verified(token, HEADER, {"jti": "b"}).jti == "b"
    assert reader.read_verified(token, {"alg": "none"}, {"jti": "b"}).alg == "none"
    given: dict[str, Any] = {"jti": "c", "realm": {"roles": ["user"]}}
    reader.read_verified(token, HEADER, given)
    given["realm"]["roles"].append("admin")  # the application may do with its claims what it likes
    assert reader.read_verified(token, HEADER, {"jti": "c", "realm": {"roles": ["user"]}}).jti == "c"


def test_an_identity_says_nothing_of_the_token() -> None:
    token = mint()
    assert identity(token) == identity(token.encode()) == identity(str(token))
    assert identity(token) != identity(token + "=")
    assert isinstance(identity([token]), int)
    assert isinstance(identity({}), int)


# --- The value itself ---


def test_facts_are_frozen_and_name_what_they_have() -> None:
    facts = read({"jti": "a", "sub": "alice", "aud": "b", "exp": 3, "act": {"sub": "agent"}, "scope": "x"})
    for name in ("jti", "sub", "verified", "scopes", "other"):
        with pytest.raises(AttributeError):
            setattr(facts, name, "changed")
    assert (facts.jti, facts.sub, facts.aud, facts.exp, facts.act_sub, facts.scopes) == (
        "a", "alice", ("b",), 3, "agent", ("x",)
    )  # fmt: skip
    assert (facts.alg, facts.typ, facts.verified) == ("HS256", "JWT", True)
    assert facts.iss is facts.nbf is facts.iat is facts.client_id is facts.sid is facts.kid is facts.cnf is None
    with pytest.raises(AttributeError, match="other"):
        facts.other  # noqa: B018
    assert repr(facts) == "TokenFacts(jti='a', iss=None, verified=True)"


@pytest.mark.parametrize("subject", ["plain", "hmac", "omit"])
def test_no_part_of_the_token_is_kept(subject: str) -> None:
    token = mint(jti=None)
    reader = TokenReader(subject=subject, pseudonym_key=b"pseudonyms")
    facts = reader.read_verified(token, HEADER, jwt.decode(token, KEY, ["HS256"]))
    kept = " ".join([repr(facts), repr(facts.attributes), repr(facts.sub), repr(vars(reader))])
    assert not any(part in kept for part in (*token.split("."), KEY))
