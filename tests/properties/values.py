"""Hostile values: what a token may hold although no issuer would write it, as JSON text and as Python objects."""

from __future__ import annotations

import json
from collections import OrderedDict
from datetime import datetime, timezone
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Any

from hypothesis import strategies as st

SUBJECT = "subject-alice-7f3a91"
ISSUER = "https://issuer.example"
PAST, FUTURE = "1000000000", "4102444800"  # far from now: both calls of a pair must see the same
DEEP = 10_000
DIGITS = 4_999


class Text(str):
    """A string that is not just one."""


class Role(str, Enum):
    ADMIN = "admin"


_STRINGS = [
    "",
    SUBJECT,
    "…",
    "admin",
    "access",
    "refresh",
    "at+jwt",
    "read write read",
    "jwt.validated: forged",
    "line one\nline two\r\n\tjwt.rejected: forged",
    "\x00\x1b[31m\x7f\x85",
    "left\u202eright\u2066\u2028\u2029\ufeff",
    "\ud800lone",
    "low\udc00",
    "\ud83d\ude00 whole",
    "é" * 255,
    "é" * 256,
    "é" * 257,
    "😀" * 300,
    "\n" * 300,
    "x" * 255 + "\ud800",
]
_NUMBERS = [
    PAST,
    FUTURE,
    "0",
    "-1",
    "true",
    "false",
    "null",
    "1.5",
    "-0.0",
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "9" * 400,
    "-" + "9" * 4_299,
    "9" * DIGITS,
    f'"{FUTURE}"',
    '" 12 "',
    '"\\uff11\\uff12"',  # full-width digits, which int() reads
    '"1_000"',
]
_STRUCTURES = [
    "[]",
    "{}",
    '[""]',
    "[null]",
    "[[[]]]",
    "[true,false]",
    "[1,2,9223372036854775808]",
    "[1.5,NaN,-Infinity]",
    '[1,"a",null,{"b":[]}]',
    '["read","write",5,"\\ud800"]',
    json.dumps([f"scope-{number}" for number in range(100)]),
    json.dumps(list(range(1_000))),
    json.dumps({f"name-{number}": number for number in range(200)}),
    '{"sub":"' + SUBJECT + '","jkt":"thumbprint","x5t#S256":5}',
    '{"sub":["' + SUBJECT + '"],"jkt":{"a":1}}',
    '{"sub":null,"sub":9223372036854775808}',
    '{"":{"\\n":"\\u202e","\\ud800":[]}}',
    "[" * 30 + "]" * 30,
    '{"a":' * 100 + "1" + "}" * 100,
]
RAW_GIANTS = [
    json.dumps("line\n" * 20_000),
    json.dumps("j" * 100_000),
    "[" + ",".join(["null"] * 20_000) + "]",
    "[" * DEEP + "]" * DEEP,
    '{"a":' * DEEP + "1" + "}" * DEEP,
]

RAW_VALUES = [*map(json.dumps, _STRINGS), *_NUMBERS, *_STRUCTURES]

#: Any text, lone surrogates and all.
texts = st.text(st.characters(exclude_categories=()), max_size=60)

#: Most examples are small, so that there can be many.
raw_values = st.one_of(
    st.sampled_from(RAW_VALUES),
    st.sampled_from(RAW_VALUES),
    texts.map(json.dumps),
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(json.dumps),
)
#: The same for a header, which says nothing about a subject.
RAW_PARAMETERS = [raw for raw in RAW_VALUES if SUBJECT not in raw]
raw_parameters = st.one_of(st.sampled_from(RAW_PARAMETERS), texts.map(json.dumps))
raw_giants = st.sampled_from(RAW_GIANTS)

CLAIMS = (
    *("jti", "sub", "iss", "aud", "exp", "nbf", "iat", "client_id", "azp", "sid", "act", "cnf"),
    *("scope", "scp", "scopes", "permissions", "token_use", "token_type", "type", "typ"),
    *("role", "user.id", "jwt.verified", "audit.record.id", "", "\n", "\ud800"),
)
#: Of these some are captured as jwt.claims.<name>.
CAPTURED = ("sub", "role", "act", "jti", "scope", "exp", "aud", "user.id")


def _nested(depth: int, kind: type) -> Any:
    value: Any = kind()
    for _ in range(depth):
        value = [value] if kind is list else {"a": value}
    return value


def _parsed(raw: str) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):  # what only the text can say
        return 10**DIGITS if raw.lstrip("-").isdigit() else _nested(DEEP, list if raw[0] == "[" else dict)


_OBJECTS = [
    datetime(2100, 1, 1, tzinfo=timezone.utc),
    datetime(2001, 1, 1),
    Decimal("1.5"),
    Text("text"),
    Role.ADMIN,
    b"bytes",
    bytearray(b"bytes"),
    ("a", "b"),
    {1: "number", None: "none", 1.5: "float"},
    {("tuple",): 1},
    {"set"},
    range(3),
    MappingProxyType({"a": 1}),
    OrderedDict(b=1, a=2),
    Ellipsis,
    int,
]
_cyclic: list[Any] = []
_cyclic.append(_cyclic)

#: Values of claims as an issuer in Python may hand them over.
OBJECTS: list[Any] = [*map(_parsed, RAW_VALUES), *_OBJECTS, _cyclic]
objects = st.one_of(
    st.sampled_from(OBJECTS),
    texts,
    st.integers(-(2**70), 2**70),
    st.floats(),
)
OBJECT_GIANTS = list(map(_parsed, RAW_GIANTS))
object_giants = st.sampled_from(OBJECT_GIANTS)
