"""The canonical form and its hash."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt.journal.chain import FIRST, canonical, digest, number

# RFC 8785, appendix B: IEEE 754 bits, and ECMAScript's text.
NUMBERS = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]


@pytest.mark.parametrize(("bits", "text"), NUMBERS)
def test_numbers_are_printed_as_ecmascript_does(bits: str, text: str) -> None:
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert number(value) == text
    assert float(text) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_in_json_has_no_form(value: float) -> None:
    with pytest.raises(ValueError, match="no such number"):
        number(value)


def attribute(key: str, value: Any = "x") -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def test_members_and_attributes_are_sorted_and_strings_escaped_no_more_than_needed() -> None:
    text = '\u20ac$\x0f\nA\'B"\\\\"/\x7f\u2028'
    record = {"b": 1, "attributes": [attribute("b", text), attribute("a")], "a": [True, None, 1.5, 10**21]}
    assert canonical(record).decode() == (
        '{"a":[true,null,1.5,1e+21],"attributes":[{"key":"a","value":{"stringValue":"x"}},'
        '{"key":"b","value":{"stringValue":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/\x7f\u2028"}}],"b":1}'
    )


def test_names_are_sorted_by_their_utf_16_code_units() -> None:
    """RFC 8785 §3.2.3: an emoji comes before U+FB33, though its code point is greater."""
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "\u00f6"]
    assert list(json.loads(canonical(dict.fromkeys(names, 1)))) == [
        "\r", "1", "\x80", "\u00f6", "\u20ac", "\U0001f600", "\ufb33",
    ]  # fmt: skip


def test_what_a_pipeline_adds_and_the_proof_are_not_chained() -> None:
    bare = {"eventName": "e", "attributes": [attribute("a"), attribute("b")], "timeUnixNano": "1"}
    added = [attribute(name) for name in ("geo.country.iso_code", "event.name", "audit.integrity.value")]
    rich = {**bare, "attributes": [added[0], attribute("b"), *added[1:], attribute("a")], "observedTimeUnixNano": "7"}
    assert canonical(rich) == canonical(bare)
    assert digest(rich) == digest(bare) != FIRST


@pytest.mark.parametrize(
    "change",
    [
        {"eventName": "f"},
        {"timeUnixNano": "2"},
        {"traceId": "00"},
        {"attributes": [attribute("a")]},
        {"attributes": [attribute("a"), attribute("b", "y")]},
        {"attributes": [attribute("a"), attribute("geo")]},
    ],
)
def test_all_else_is(change: dict[str, Any]) -> None:
    bare = {"eventName": "e", "attributes": [attribute("a"), attribute("b")], "timeUnixNano": "1"}
    assert digest({**bare, **change}) != digest(bare)


def test_a_lone_surrogate_has_no_form() -> None:
    with pytest.raises(ValueError, match="surrogates not allowed"):
        canonical({"a": "\ud800"})
