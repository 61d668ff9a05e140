"""Keys, and strategies for tokens: properly signed whatever they say, changed on the way, or none at all."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import strategies as st

from tests.properties.twins import PRISTINE, Fresh
from tests.properties.values import (
    CLAIMS,
    FUTURE,
    ISSUER,
    SUBJECT,
    Text,
    raw_giants,
    raw_parameters,
    raw_values,
    texts,
)

# --- Keys ---------------------------------------------------------------------------------------------------

SECRET = "a-secret-key-for-the-properties-of-more-than-sixty-four-bytes-in-all"
OTHER_SECRET = "another-secret-key-for-the-properties-of-more-than-sixty-four-bytes"


def _pem(key: Any) -> tuple[str, str]:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)

#: Private and public key by algorithm. That of RSA has been read before: it costs as much as ten cases.
PAIRS: dict[str, tuple[Any, Any]] = {
    "HS256": (SECRET, SECRET),
    "HS512": (SECRET, SECRET),
    "ES256": _pem(ec.generate_private_key(ec.SECP256R1())),
    "EdDSA": _pem(ed25519.Ed25519PrivateKey.generate()),
    "RS256": (_RSA, _pem(_RSA)[1]),
}
_JWK = {"kty": "oct", "alg": "HS256", "k": base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("=")}
KEYS: list[Any] = [
    SECRET.encode(),
    OTHER_SECRET,
    *(public for _, public in PAIRS.values()),
    PAIRS["ES256"][0],
    Fresh(lambda _: _RSA, _pem(_RSA)[0]),
    Fresh(lambda copy: copy.PyJWK.from_dict(_JWK), _JWK["k"]),
    Fresh(lambda copy: copy.PyJWK.from_dict({**_JWK, "alg": "HS512", "kid": "k-1"}), SECRET),
    "short",
    "",
    b"",
    "\ud800 no text at all",
    "-----BEGIN PUBLIC KEY-----\nnot a key after all\n-----END PUBLIC KEY-----",
    Text(SECRET),
    bytearray(SECRET.encode()),
    None,
    5,
    1.5,
    [SECRET],
    {"k": SECRET},
    object(),
]

# --- Tokens -------------------------------------------------------------------------------------------------


def segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def signature(signing_input: bytes, algorithm: str) -> bytes:
    key = PAIRS[algorithm][0]
    if algorithm.startswith("HS"):
        return hmac.digest(key.encode(), signing_input, hashlib.sha256 if algorithm == "HS256" else hashlib.sha512)
    signer, prepared = _signer(algorithm)
    signed: bytes = signer.sign(signing_input, prepared)
    return signed


@functools.cache
def _signer(algorithm: str) -> tuple[Any, Any]:
    signer = PRISTINE.PyJWS()._algorithms[algorithm]
    return signer, signer.prepare_key(PAIRS[algorithm][0])


def signed(header: bytes, payload: bytes, algorithm: str = "HS256") -> str:
    """A token over these very bytes, whatever they are."""
    signing_input = f"{segment(header)}.{segment(payload)}"
    return f"{signing_input}.{segment(signature(signing_input.encode(), algorithm))}"


def object_text(pairs: list[tuple[str, str]]) -> str:
    """JSON text of an object, which may name a member twice."""
    return "{" + ",".join(f"{json.dumps(name)}:{raw}" for name, raw in pairs) + "}"


def pick(items: list[Any]) -> st.SearchStrategy[Any]:
    """One of the items, none of which is touched."""
    return st.integers(0, len(items) - 1).map(items.__getitem__)


@functools.cache
def one_in(count: int) -> st.SearchStrategy[bool]:
    """True in about one of so many examples."""
    return st.integers(1, count).map(lambda number: number == count)


BASE = [("jti", '"token-1"'), ("sub", json.dumps(SUBJECT)), ("iss", json.dumps(ISSUER)), ("exp", FUTURE)]
# Strategies are costly to make: they are made once.
_kept = st.sets(st.sampled_from(BASE), min_size=3).map(list)
_claim = st.sampled_from(CLAIMS)
_added = st.just([]) | st.lists(st.tuples(_claim, raw_values), max_size=3)
_giant = st.tuples(_claim, raw_giants)
_codec = st.sampled_from(["ascii"] * 15 + ["utf-8-sig", "utf-16"])
_broken = st.sampled_from(
    [b"", b"{", b"[]", b"null", b"5", b'"text"', b"\xff\xfe", b"{'a': 1}", b'{"alg":"HS256"}{}', b'{"a":\x00}']
)
_algs = ['["HS256"]', '{"a":1}', '"none"', '"None"', "null", "5", '"HS999"', '"hs256"', '""', '"HS512"', "true"]
_crits = ["[]", '["b64"]', '["exp"]', '"b64"', "null", "[5]", '["b64","b64"]']
_parameter = st.one_of(
    st.tuples(st.sampled_from(["kid", "typ", "jwk"]), raw_parameters),
    st.tuples(st.just("alg"), st.sampled_from(_algs)),
    st.tuples(st.just("crit"), st.sampled_from(_crits)),
    st.tuples(st.just("b64"), st.sampled_from(["false", "true", "0", '"false"', "null"])),
)
_parameters = st.lists(_parameter, min_size=1, max_size=3)


@st.composite
def _claims(draw: st.DrawFn) -> bytes:
    if draw(one_in(25)):
        return draw(_broken)
    pairs = draw(_kept) + draw(_added)
    if draw(one_in(30)):
        pairs.append(draw(_giant))
    return object_text(pairs).encode(draw(_codec))


@st.composite
def _headers(draw: st.DrawFn, algorithm: str) -> bytes:
    if draw(one_in(25)):
        return draw(_broken)
    pairs = [("alg", json.dumps(algorithm)), ("typ", '"JWT"')]
    if draw(one_in(5)):
        pairs += draw(_parameters)
    if draw(one_in(80)):
        pairs.append(("kid", draw(raw_giants)))
    return object_text(pairs).encode()


def _swap(token: str, place: int) -> str:
    place %= len(token)
    return token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]


#: What may happen to a token on its way.
CHANGES: list[Callable[[str, int], Any]] = [
    lambda token, place: token.encode(),
    lambda token, place: Text(token),
    lambda token, place: bytearray(token.encode()),
    lambda token, place: memoryview(token.encode()),
    lambda token, place: token + "=",
    lambda token, place: token + "==",
    lambda token, place: token + "!",
    lambda token, place: token.translate(str.maketrans("-_", "+/")),
    lambda token, place: ".".join(part + "=" * (-len(part) % 4) for part in token.split(".")),
    lambda token, place: token.rpartition(".")[0],
    lambda token, place: token.rpartition(".")[0] + ".",
    lambda token, place: token + "." + token,
    lambda token, place: token + "." * 200,
    lambda token, place: "Bearer " + token,
    lambda token, place: f" {token}\n",
    lambda token, place: token[:place] + "\ud800" + token[place:],
    lambda token, place: token[: place % len(token)],
    lambda token, place: token.swapcase(),
    _swap,
    _swap,
]
_changes = st.sampled_from(CHANGES)
_places = st.integers(0, 400)
_JWE = ".".join(
    map(segment, (b'{"alg":"dir","enc":"A256GCM"}', b"", b"iv-of-12-byt", b"\x00secret\xff" * 9, b"tag" * 5))
)


class Unhashable:
    __hash__ = None  # type: ignore[assignment]


class Treacherous:
    """Raises whatever it is asked."""

    def _no(self, *_: Any) -> Any:
        raise ArithmeticError("do not ask")

    __hash__ = __eq__ = __bool__ = __len__ = __iter__ = __getitem__ = __contains__ = _no  # type: ignore[assignment]


#: What is no token at all.
NO_TOKENS: list[Any] = [
    "", ".", "..", "...", "." * 5_000, "a.b.c", "\n", _JWE, _JWE.encode(), "e30.e30.", "=.=.=", "\ud800.\ud800.\ud800",
    None, 5, 1.5, True, [], {}, ("a.b.c",), {"a.b.c"}, object(), Unhashable(), Treacherous(), Ellipsis,
]  # fmt: skip
_garbage = st.one_of(
    pick(NO_TOKENS),
    texts,
    st.binary(max_size=60),
    st.lists(st.binary(min_size=9, max_size=40).map(segment), min_size=1, max_size=6).map(".".join),
)

_crit = st.sampled_from(['["b64"]', "[]"])


@st.composite
def detached(draw: st.DrawFn, algorithm: str) -> tuple[str, bytes]:
    """A token whose payload travels apart (RFC 7797)."""
    header = object_text([("alg", json.dumps(algorithm)), ("b64", "false"), ("crit", draw(_crit))])
    payload = draw(_claims())
    protected = segment(header.encode())
    return f"{protected}..{segment(signature(protected.encode() + b'.' + payload, algorithm))}", payload


@st.composite
def tokens(draw: st.DrawFn, algorithm: str = "HS256") -> Any:
    """A token that was signed properly, whatever it says; or one that was changed after that; or none."""
    if draw(one_in(8)):
        return draw(_garbage)
    token = signed(draw(_headers(algorithm)), draw(_claims()), algorithm)
    if draw(one_in(5)):
        return draw(_changes)(token, draw(_places))
    return token
