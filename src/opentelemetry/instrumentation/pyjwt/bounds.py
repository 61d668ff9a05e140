"""Attacker's text made safe to record: bounded, escaped, encodable.

A claim may hold anything JSON can say, and more: newlines that forge log lines, lone surrogates that make a
whole batch unencodable, integers that no 64-bit field holds. Whatever leaves this module is a value that
every OTLP encoder accepts.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

STRING_LIMIT: Final = 256  # characters, including the mark of a cut
LIST_LIMIT: Final = 64  # items
CUT: Final = "…"
INT64_MAX: Final = 2**63 - 1
INT64_MIN: Final = -(2**63)

Scalar = str | bool | int | float
# Lists, for the SDK takes a third of the time over them that it takes over tuples: it asks each value whether it is
# a Sequence, and a tuple is one by registration only, which is looked up anew every time. Nobody changes them; what
# leaves this package gets them as tuples.
Value = Scalar | list[Scalar]


def text(value: str, limit: int = STRING_LIMIT) -> str:
    """``value`` with everything unprintable escaped, at most ``limit`` characters.

    Control characters, line separators, bidirectional overrides and lone surrogates become backslash
    escapes. A longer text is cut and ends in ``…``.
    """
    if len(value) <= limit and value.isprintable():
        return value
    # Escapes only lengthen a text, so nothing behind the limit can survive the cut.
    escaped = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in value[: limit + 1]
    )
    return escaped if len(escaped) <= limit else escaped[: max(limit - 1, 0)] + CUT[:limit]


def as_text(value: object, limit: int = STRING_LIMIT) -> str | None:
    """``value`` as a bounded string, whatever it is; ``None`` where it says nothing (null, empty)."""
    if value is None or value == "":
        return None
    return text(value if isinstance(value, str) else _json(value, limit), limit) or None


def as_int(value: object) -> int | None:
    """``value`` as a NumericDate (RFC 7519 §2), read as PyJWT reads it and kept within 64 bits, or ``None``."""
    if type(value) is not int:
        if not isinstance(value, (int, float, str)):
            return None
        try:
            value = int(value)
        except (ValueError, OverflowError):
            return None
    return min(max(value, INT64_MIN), INT64_MAX)


def as_texts(values: object, limit: int = STRING_LIMIT) -> list[Scalar]:
    """A string, or an iterable of anything, as at most 64 bounded strings."""
    if not isinstance(values, (list, tuple)):
        values = (values,)
    return [item for value in itertools.islice(values, LIST_LIMIT) if (item := as_text(value, limit)) is not None]


def frozen(attributes: Mapping[str, Scalar | Sequence[Scalar]]) -> dict[str, Scalar | Sequence[Scalar]]:
    """A copy of ``attributes`` that shares nothing that can be changed."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in attributes.items()}


def as_value(value: object, limit: int = STRING_LIMIT) -> Value | None:
    """Any JSON value as an attribute: scalars keep their type, lists become strings or scalars of one type.

    Objects, and lists that mix kinds, become bounded JSON text; an integer outside 64 bits its digits.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if INT64_MIN <= value <= INT64_MAX else as_text(value, limit)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple)):
        if not value:
            return None
        items = value[:LIST_LIMIT]
        kind = type(items[0])
        if kind is bool and all(type(item) is bool for item in items):
            return list(items)
        if kind is float and all(type(item) is float and math.isfinite(item) for item in items):
            return list(items)
        if kind is int and all(type(item) is int and INT64_MIN <= item <= INT64_MAX for item in items):
            return list(items)
        return as_texts(items, limit) or None
    return as_text(value, limit)


def _json(value: Any, limit: int) -> str:
    """The first ``limit`` and a few characters of ``value`` as compact JSON, without building the rest."""
    if isinstance(value, int) and not isinstance(value, bool):
        # Longer than any limit, and CPython refuses to print more than some thousand digits (CVE-2020-10735).
        return str(value) if value.bit_length() < 4096 else f"<integer of {value.bit_length()} bits>"
    chunks: list[str] = []
    length = 0
    try:
        for chunk in _ENCODER.iterencode(value):
            chunks.append(chunk[: limit + 1])
            length += len(chunk)
            if length > limit:
                break
    except (TypeError, ValueError, RecursionError):
        return f"<{type(value).__name__}>"
    return "".join(chunks)


class _LazyEncoder(json.JSONEncoder):
    """Yields piece by piece: the C encoder would build all of a hostile claim before the cut."""

    def default(self, o: object) -> object:
        return dict(o) if isinstance(o, Mapping) else str(o)


_ENCODER: Final = _LazyEncoder(separators=(",", ":"), ensure_ascii=False)
