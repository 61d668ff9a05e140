"""Strategies for calls of PyJWT with hostile arguments of every kind."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from tests.properties.tokens import BASE, KEYS, PAIRS, Treacherous, detached, one_in, pick, tokens
from tests.properties.twins import WAYS, Call, Fresh
from tests.properties.values import CLAIMS, ISSUER, SUBJECT, object_giants, objects


def _generator(*items: Any) -> Fresh:
    return Fresh(lambda _: (item for item in items))


ALGORITHMS: list[Any] = [
    None, [], (), "HS256", "", {"HS256", "HS512"}, {"HS256": 1}, _generator("HS256", "ES256"), ["none"],
    [None], [["HS256"]], 5, Treacherous(), list(PAIRS), frozenset(PAIRS),
]  # fmt: skip
_algorithms = pick(ALGORITHMS)
OPTIONS: list[Any] = [
    {}, {"verify_signature": False}, {"verify_signature": False}, {"verify_signature": 0, "verify_exp": True},
    {"verify_signature": None}, {"verify_signature": "false"}, {"verify_signature": False, "verify_aud": True},
    {"verify_exp": False}, {"verify_aud": False}, {"verify_aud": False, "verify_sub": False, "verify_jti": False},
    {"require": ["jti", "exp"]}, {"require": "exp"}, {"require": [["exp"]]}, {"require": 5}, {"require": None},
    {"strict_aud": True}, {"unknown": object()}, {"enforce_minimum_key_length": True}, {"verify_iat": ""},
    [], [("verify_signature", False)], "verify_signature", 5, True, Treacherous(),
]  # fmt: skip
_options = pick(OPTIONS)
OTHERS: dict[str, list[Any]] = {
    "audience": ["service", ["service"], {"service"}, _generator("service", SUBJECT), [], 5, b"service", {"a": 1}],
    "issuer": [ISSUER, [ISSUER], {ISSUER}, _generator(ISSUER), ISSUER + "/more", 5, ["\ud800"], {}],
    "subject": [SUBJECT, "somebody", 5, ""],
    "leeway": [10, -1e12, 1e12, float("inf"), float("nan"), timedelta(days=1), "5", Decimal(5), None, 10**400],
    "verify": [True, False, None],
    "detached_payload": [b'{"sub":"detached"}', b"", b"[]", "text", None],
    "unexpected": [1],
}


_other = st.just([]) | st.lists(
    pick([(name, value) for name, values in OTHERS.items() for value in values]), max_size=2
)
_keys = pick(KEYS)


def _key(draw: st.DrawFn, right: Any) -> Any:
    return draw(_keys) if draw(one_in(8)) else right


def _kwargs(draw: st.DrawFn) -> dict[str, Any]:
    kwargs: dict[str, Any] = {}
    if draw(one_in(3)):
        kwargs["options"] = draw(_options)
    kwargs.update(draw(_other))
    return kwargs


_algorithm = st.sampled_from(["HS256"] * 8 + ["HS512", "ES256", "EdDSA", "RS256"])
_decodes = st.sampled_from([way for way in WAYS if "decode" in way])
_encodes = st.sampled_from([way for way in WAYS if "encode" in way])
_reads = st.sampled_from([way for way in WAYS if "header" in way])


@st.composite
def decode_calls(draw: st.DrawFn) -> Call:
    """A call of ``decode`` or ``decode_complete``."""
    algorithm = draw(_algorithm)
    key = _key(draw, PAIRS[algorithm][1])
    algorithms = draw(_algorithms) if draw(one_in(12)) else [algorithm]
    kwargs = _kwargs(draw)
    if draw(one_in(20)):
        token, kwargs["detached_payload"] = draw(detached(algorithm))
    else:
        token = draw(tokens(algorithm))
    way = draw(_decodes)
    if draw(one_in(6)):
        return Call("decode", way, (), {"jwt": token, "key": key, "algorithms": algorithms, **kwargs})
    return Call("decode", way, (token, key, algorithms), kwargs)


@st.composite
def header_calls(draw: st.DrawFn) -> Call:
    """A call of ``get_unverified_header``."""
    return Call("header", draw(_reads), (draw(tokens()),), {})


class Encoder(json.JSONEncoder):
    def default(self, o: object) -> str:
        return f"<{type(o).__name__}>"


HEADERS: list[Any] = [
    {}, {"kid": "k-1"}, {"kid": 5}, {"kid": ["k"]}, {"kid": "line\n\ud800" * 60}, {"typ": None}, {"typ": ""},
    {"typ": ["JWT"]}, {"typ": "at+jwt"}, {"alg": "none"}, {"alg": ["HS256"]}, {"alg": {"a": 1}}, {"alg": None},
    {"alg": "HS512"}, {"alg": "HS999"},
    {"crit": ["exp"]}, {"b64": False}, {"b64": False, "crit": "b64"}, {"b64": True}, {1: "number"}, {"x": {"set"}},
    [], [("kid", "k")], "kid", 5, Treacherous(),
]  # fmt: skip
_headers = pick(HEADERS)
PAYLOADS: list[Any] = [None, [], [("sub", "x")], "text", b"{}", 5, {"sub"}, object(), Treacherous()]
_payloads = pick(PAYLOADS)


_kept = st.sets(st.sampled_from([(name, json.loads(raw)) for name, raw in BASE]), min_size=3).map(dict)
_added = st.dictionaries(st.sampled_from(CLAIMS), objects, max_size=4)
_giant = st.tuples(st.sampled_from(CLAIMS), object_giants)
_encoders = st.sampled_from([Encoder, None, json.JSONEncoder, dict, 5])
NO_ALGORITHMS: list[Any] = [None, "none", "HS999", "", 5, ["HS256"], "hs256", Treacherous(), "HS512"]
_no_algorithms = pick(NO_ALGORITHMS)


@st.composite
def encode_calls(draw: st.DrawFn) -> Call:
    """A call of ``encode``."""
    payload: Any = {**draw(_kept), **draw(_added)}
    if draw(one_in(30)):
        payload.update([draw(_giant)])
    if draw(one_in(25)):
        payload = draw(_payloads)
    algorithm = draw(_algorithm)
    kwargs: dict[str, Any] = {}
    if draw(one_in(4)):
        kwargs["headers"] = draw(_headers)
    if draw(one_in(8)):
        kwargs["json_encoder"] = draw(_encoders)
    args: tuple[Any, ...] = (payload, _key(draw, PAIRS[algorithm][0]))
    if draw(one_in(12)):
        algorithm = draw(_no_algorithms)
    if draw(st.booleans()):
        return Call("encode", draw(_encodes), args, {"algorithm": algorithm, **kwargs})
    return Call("encode", draw(_encodes), (*args, algorithm), kwargs)
