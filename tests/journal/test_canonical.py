"""The canonical form is RFC 8785's, and leaves out what it should."""

from __future__ import annotations

import json
import struct

import pytest

from opentelemetry.instrumentation.pyjwt.journal import chain
from tests.journal.writing import Stream, copied, hash_of, some


@pytest.mark.parametrize(
    ("bits", "text"),
    [  # RFC 8785, appendix B
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555554", "333333333.33333325"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
    ],
)
def test_numbers(bits: str, text: str) -> None:
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert chain.canonical({"a": value}) == f'{{"a":{text}}}'.encode()
    assert chain.canonical({"a": [1, value]}) == f'{{"a":[1,{text}]}}'.encode()


def test_names_are_sorted_by_their_utf_16_and_strings_are_escaped_as_in_the_rfc() -> None:
    names = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}  # RFC 8785 §3.2.3
    assert list(json.loads(chain.canonical(names)).values()) == [2, 4, 6, 7, 1, 5, 3]
    given = {"string": '\u20ac$\u000f\nA\'B"\\\\"/', "literals": [None, True, False]}  # §3.2.2
    assert chain.canonical(given) == (
        b'{"literals":[null,true,false],"string":"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


@pytest.mark.parametrize(
    "text", ["plain", "a:1.5", '":1.5', "[1e5,2.0]", "::ffff:192.0.2.1", "1234567890123456789", "😀", "\x7f\u2028"]
)
def test_both_ways_to_write_it_agree(text: str) -> None:
    record = {"body": {"stringValue": text}, "flags": 1}
    assert chain.canonical(record) == json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()


def test_integers_beyond_2_to_the_53_are_doubles() -> None:
    assert chain.canonical({"a": 2**53 + 1}) == b'{"a":9007199254740992}'
    assert chain.canonical({"a": 2**53 - 1}) == b'{"a":9007199254740991}'
    assert chain.canonical({"a": 10**21}) == b'{"a":1e+21}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, "\ud800", {"a": "\udfff"}])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        chain.canonical({"a": value})


def test_an_independent_writer_has_the_same_hashes() -> None:
    for record in some(Stream(), 120).records:
        assert chain.digest(record) == hash_of(record)


def test_what_a_pipeline_adds_is_not_chained() -> None:
    record = some(Stream(), 10).records[3]
    more = copied(record) | {"flags": record.get("flags", 0)}
    del more["traceId"], more["spanId"], more["flags"]
    assert chain.digest(more) == chain.digest(record)
    names = ["audit.integrity.value", "geo.country.iso_code", "event.name"]
    more["attributes"] += [{"key": name, "value": {"stringValue": "x"}} for name in names]
    assert chain.digest(more) == chain.digest(record)
    more["attributes"].append({"key": "geography", "value": {"stringValue": "x"}})
    assert chain.digest(more) != chain.digest(record)
