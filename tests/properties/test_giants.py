"""Tokens too big for any header: ten megabytes, a hundred thousand levels. The audit holds, and stays small."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt import guard
from tests.properties.lab import POLICIES, Lab
from tests.properties.tokens import OTHER_SECRET, SECRET, segment, signed
from tests.properties.twins import Call
from tests.properties.values import SUBJECT

MEGABYTE = 1_000_000
_HEADER = b'{"alg":"HS256","typ":"JWT"}'


def _claims(**claims: Any) -> bytes:
    return json.dumps({"sub": SUBJECT, **claims}).encode()


def _decode(token: Any, key: Any = SECRET, **kwargs: Any) -> Call:
    return Call("decode", "decode", (token, key, ["HS256"]), kwargs)


def _encode(payload: Any) -> Call:
    return Call("encode", "encode", (payload, SECRET, "HS256"), {})


# Each as a function: together they would fill the memory.
GIANTS = {
    "jti of 10 MB": lambda: _decode(signed(_HEADER, _claims(jti="j" * 10 * MEGABYTE))),
    "bytes of 10 MB, signature of another key": lambda: _decode(
        signed(_HEADER, _claims(jti="j" * 7 * MEGABYTE)).encode(), OTHER_SECRET
    ),
    "10 MB of dots": lambda: _decode("." * 10 * MEGABYTE),
    "10 MB of zero bytes": lambda: _decode(bytes(10 * MEGABYTE)),
    "10 MB of lone surrogates": lambda: _decode("\ud800" * 5 * MEGABYTE),
    "signature of 1 MB": lambda: _decode(signed(_HEADER, _claims()) + "A" * MEGABYTE),
    "header of 1 MB": lambda: _decode(signed(json.dumps({"alg": "HS256", "kid": "k" * MEGABYTE}).encode(), _claims())),
    "1 MB of newlines and line separators": lambda: _decode(signed(_HEADER, _claims(jti="\n\u2028" * MEGABYTE))),
    "a million scopes": lambda: _decode(signed(_HEADER, _claims(scope="read " * MEGABYTE))),
    "100,000 claims": lambda: _decode(
        signed(_HEADER, _claims(**{f"claim-{number}": number for number in range(100_000)}))
    ),
    "sub of 1 MB, claims only read": lambda: _decode(
        signed(_HEADER, _claims(sub="s" * MEGABYTE)), options={"verify_signature": False}
    ),
    "payload 100,000 deep": lambda: _decode(signed(_HEADER, b'{"role":' + b"[" * 100_000 + b"]" * 100_000 + b"}")),
    "header 100,000 deep": lambda: _decode(f"{segment(b'[' * 100_000)}.e30.AAAAAAAAAAAA"),
    "100,000 segments": lambda: _decode(".".join([segment(_HEADER)] * 100_000)),
    "1 MB of no header": lambda: Call("header", "header", ("!" * MEGABYTE,), {}),
    "minted, jti of 1 MB": lambda: _encode({"sub": SUBJECT, "jti": "j\n" * MEGABYTE}),
    "minted, a million members": lambda: _encode({"sub": SUBJECT, "role": list(range(MEGABYTE))}),
}


@pytest.mark.parametrize("giant", GIANTS)
def test_a_giant_is_one_small_event(instrument, monkeypatch, giant):
    """All that holds of small tokens holds of giants, and what is recorded of them stays under 16 kB."""
    monkeypatch.setattr(guard, "reraise", False)
    trail = instrument(**POLICIES["hmac"])
    with Lab(trail, "hmac").open() as lab:
        lab.check(GIANTS[giant](), "action")
    assert len(trail.records) == 1
    assert len(trail.encoded()) < 16_384
