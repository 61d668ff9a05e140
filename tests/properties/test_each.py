"""Each hostile thing once: every value in every claim, every change of a token, every key, option and header."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt import guard
from tests.properties.lab import POLICIES, SCENES, Lab
from tests.properties.strategies import ALGORITHMS, HEADERS, NO_ALGORITHMS, OPTIONS, OTHERS, PAYLOADS, Encoder
from tests.properties.tokens import BASE, CHANGES, KEYS, NO_TOKENS, PAIRS, SECRET, object_text, signed
from tests.properties.twins import WAYS, Call
from tests.properties.values import (
    CLAIMS,
    ISSUER,
    OBJECT_GIANTS,
    OBJECTS,
    RAW_GIANTS,
    RAW_PARAMETERS,
    RAW_VALUES,
    SUBJECT,
)

_HEADER = b'{"alg":"HS256","typ":"JWT"}'
_GOOD = signed(_HEADER, object_text(BASE).encode())
_UNCHECKED = {f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}


def _decode(token: Any, key: Any = SECRET, algorithms: Any = ("HS256",), way: str = "decode", **kwargs: Any) -> Call:
    return Call("decode", way, (token, key, algorithms), kwargs)


def _encode(payload: Any, key: Any = SECRET, algorithm: Any = "HS256", way: str = "encode", **kwargs: Any) -> Call:
    return Call("encode", way, (payload, key, algorithm), kwargs)


def _everywhere(raw: str) -> str:
    return signed(_HEADER, object_text([(name, raw) for name in CLAIMS]).encode())


def _in_the_header(raw: str) -> str:
    header = object_text([("alg", '"HS256"'), ("typ", raw), ("kid", raw), ("x", raw)])
    return signed(header.encode(), object_text(BASE).encode())


GROUPS: dict[str, Callable[[], list[Call]]] = {
    "value in all claims": lambda: [_decode(_everywhere(raw)) for raw in RAW_VALUES],
    "value in all claims, unchecked": lambda: [_decode(_everywhere(raw), options=_UNCHECKED) for raw in RAW_VALUES],
    "value in the header": lambda: [_decode(_in_the_header(raw)) for raw in RAW_PARAMETERS],
    "giant in a claim": lambda: [
        _decode(signed(_HEADER, object_text([(name, raw)]).encode()), options=_UNCHECKED)
        for raw in RAW_GIANTS
        for name in ("jti", "sub", "aud", "scope", "act", "role")
    ],
    "giant in the header": lambda: [_decode(_in_the_header(raw)) for raw in RAW_GIANTS],
    "giant object": lambda: [_encode({"sub": SUBJECT, "role": value}) for value in OBJECT_GIANTS],
    "object in all claims": lambda: [
        _encode({name: value for name in CLAIMS if name != "iss"}, json_encoder=encoder)
        for value in OBJECTS
        for encoder in (None, Encoder)
    ],
    "change": lambda: [_decode(change(_GOOD, place)) for change in CHANGES for place in (3, 60, len(_GOOD) - 3)],
    "no token": lambda: [_decode(token) for token in NO_TOKENS],
    "no header": lambda: [Call("header", "header", (token,), {}) for token in NO_TOKENS],
    "key": lambda: [_decode(_GOOD, key) for key in KEYS],
    "key to sign with": lambda: [_encode({"sub": SUBJECT}, key) for key in KEYS],
    "algorithms": lambda: [_decode(_GOOD, algorithms=given) for given in ALGORITHMS],
    "algorithm to sign with": lambda: [
        _encode({"sub": SUBJECT}, key, algorithm) for algorithm in (*NO_ALGORITHMS, *PAIRS) for key in (SECRET, None)
    ],
    "option": lambda: [_decode(_GOOD, options=options) for options in OPTIONS],
    "argument": lambda: [_decode(_GOOD, **{name: value}) for name, values in OTHERS.items() for value in values],
    "headers": lambda: [_encode({"sub": SUBJECT}, headers=headers) for headers in HEADERS],
    "payload": lambda: [_encode(payload) for payload in PAYLOADS],
    "arguments that do not fit": lambda: [
        Call(way.rpartition(".")[2].partition("_")[0], way, args, kwargs)
        for way in WAYS
        if "subclass" not in way  # which takes anything
        for args, kwargs in [((), {}), ((), {"key": SECRET}), ((_GOOD,) * 15, {}), ((_GOOD,), {"jwt": _GOOD})]
    ],
    "way": lambda: [
        _decode(_GOOD, way=way, issuer=ISSUER) if "decode" in way else _encode({"sub": SUBJECT}, way=way)
        for way in WAYS
        if "header" not in way
    ],
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("group", GROUPS)
def test_each_hostile_thing_leaves_the_application_and_the_audit_whole(instrument, monkeypatch, group, policy):
    """The same as for arbitrary calls, and in every run: what is rare there, and has its own branch here."""
    monkeypatch.setattr(guard, "reraise", False)
    with Lab(instrument(**POLICIES[policy]), policy).open() as lab:
        for number, call in enumerate(GROUPS[group]()):
            lab.check(call, SCENES[number % len(SCENES)])
