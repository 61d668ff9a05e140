"""Whatever a claim holds becomes a value that is bounded, readable and can be encoded."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt.bounds import (
    INT64_MAX,
    INT64_MIN,
    LIST_LIMIT,
    STRING_LIMIT,
    as_int,
    as_text,
    as_texts,
    as_value,
    frozen,
    text,
)
from opentelemetry.sdk.trace import BoundedAttributes

NESTED: list[Any] = []
for _ in range(5000):
    NESTED = [NESTED]
CYCLE: list[Any] = []
CYCLE.append(CYCLE)


def repr_of(value: object) -> str:
    """A test id, of what CPython prints."""
    return str(value)[:40] if not isinstance(value, int) or value.bit_length() < 100 else "huge"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("alice", "alice"),
        ("Zoë, 名前, 🙂", "Zoë, 名前, 🙂"),
        ("a\nb\r\tc\x00", r"a\nb\r\tc\x00"),
        ("\u2028\u2029", r"\u2028\u2029"),  # line separators
        ("\u202egnp.exe", r"\u202egnp.exe"),  # a right-to-left override
        ("\ud800", r"\ud800"),  # a lone surrogate
        ("\U000e0001", r"\U000e0001"),
        ("a" * 256, "a" * 256),
        ("a" * 257, "a" * 255 + "…"),
        ("a" * 100_000, "a" * 255 + "…"),
        ("\n" * 128, r"\n" * 128),
        ("\n" * 129, r"\n" * 127 + "\\…"),
    ],
)
def test_text_is_escaped_and_cut(value: str, expected: str) -> None:
    assert text(value) == expected
    assert len(text(value)) <= STRING_LIMIT


@pytest.mark.parametrize(("limit", "expected"), [(0, ""), (1, "…"), (2, "a…"), (5, "abcde"), (9, "abcde")])
def test_the_limit_counts_the_mark_of_a_cut(limit: int, expected: str) -> None:
    assert text("abcde", limit) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("a", "a"),
        (7, "7"),
        (True, "true"),
        (1.5, "1.5"),
        ([], "[]"),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        ({"a": "\n"}, r'{"a":"\n"}'),
        (b"raw", "\"b'raw'\""),
        (10**200, "1" + "0" * 200),
        (10**1000, "1" + "0" * 254 + "…"),
        (1 << 100_000, "<integer of 100001 bits>"),
        (NESTED, "[" * 255 + "…"),
        (CYCLE, "<list>"),
        ({1: {(): 2}}, "<dict>"),
        (Decimal("1.5"), '"1.5"'),
    ],
    ids=lambda value: type(value).__name__,
)
def test_anything_is_text(value: object, expected: str | None) -> None:
    assert as_text(value) == expected


def test_a_huge_value_is_not_built_to_be_cut() -> None:
    """The work would be the attacker's to command."""
    read = 0

    class Counting(dict[str, object]):
        def items(self) -> Any:
            nonlocal read
            for number in range(1_000_000):
                read += 1
                yield str(number), "x" * 50

    shown = as_text(Counting(a=1))
    assert shown is not None
    assert len(shown) == STRING_LIMIT
    assert read < 100


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1_700_000_000, 1_700_000_000),
        ("1700000000", 1_700_000_000),
        (1_700_000_000.9, 1_700_000_000),
        (True, 1),
        (-1, -1),
        (2**63, INT64_MAX),
        (-(2**70), INT64_MIN),
        (1 << 20_000, INT64_MAX),
        ("9" * 5000, None),  # more digits than CPython converts
        (float("inf"), None),
        (float("nan"), None),
        ("soon", None),
        (None, None),
        ([1], None),
        ({}, None),
    ],
    ids=repr_of,
)
def test_a_date_is_an_integer_that_fits(value: object, expected: int | None) -> None:
    assert as_int(value) == expected
    assert type(as_int(value)) in (int, type(None))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        (("a",), ["a"]),
        (["a", None, "", 7, {"b": 1}], ["a", "7", '{"b":1}']),
        ({"a": 1}, ['{"a":1}']),
        ([], []),
        (None, []),
        (["x" * 300], ["x" * 255 + "…"]),
    ],
    ids=str,
)
def test_texts_are_bounded_strings(value: object, expected: list[str]) -> None:
    assert as_texts(value) == expected


def test_a_list_has_64_items_at_most() -> None:
    assert LIST_LIMIT == 64
    assert as_texts([str(number) for number in range(1000)]) == [str(number) for number in range(64)]
    assert as_value(list(range(1000))) == list(range(64))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (7, 7),
        (2**63 - 1, 2**63 - 1),
        (2**63, "9223372036854775808"),
        (-(2**63) - 1, "-9223372036854775809"),
        (1.5, 1.5),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
        ("a", "a"),
        ("", None),
        (None, None),
        ([], None),
        ([1, 2], [1, 2]),
        ([True, False], [True, False]),
        ([1.5], [1.5]),
        ([1.5, float("inf")], ["1.5", "Infinity"]),
        ([1, True], ["1", "true"]),
        ([1, 2**63], ["1", "9223372036854775808"]),
        ([1, "a"], ["1", "a"]),
        (["a", "b"], ["a", "b"]),
        ([None], None),
        ([["a"], {}], ['["a"]', "{}"]),
        ({"roles": ["a"]}, '{"roles":["a"]}'),
    ],
    ids=str,
)
def test_a_value_keeps_its_type_where_an_attribute_can_hold_it(value: object, expected: object) -> None:
    assert as_value(value) == expected
    assert type(as_value(value)) is type(expected)


@pytest.mark.parametrize("bound", [as_text, as_texts, as_value, as_int])
@pytest.mark.parametrize(
    "value",
    [
        "\ud800",
        2**64,
        -(2**64),
        [2**64],
        [True, 1],
        float("nan"),
        NESTED,
        CYCLE,
        {"\ud800": "\udfff"},
        ["\ud800"],
        b"\xff",
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_sdk_takes_it_as_it_is(
    bound: Callable[[object], Any], value: object, caplog: pytest.LogCaptureFixture
) -> None:
    """It neither drops nor changes it, nor complains."""
    safe = bound(value)
    if safe is None:
        return
    attributes = BoundedAttributes(attributes={"a": safe}, immutable=False)
    assert dict(attributes) == frozen({"a": safe})
    assert caplog.records == []
    str(safe).encode()
