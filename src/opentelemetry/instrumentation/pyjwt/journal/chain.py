"""The chain: each record holds the hash of the one before it.

What is hashed is the record as it was written, in the one form that JSON of its content has (RFC 8785), without what
a pipeline adds on its way and without the signed proof, which is about the record before. The resource and the scope
are no part of it. Pure functions: nothing here knows of files or of OpenTelemetry.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256
from json.encoder import encode_basestring
from typing import Any, Final

#: A string as JSON text, with no escape that is not needed (RFC 8785 §3.2.2.2).
quoted: Final = encode_basestring

#: ``prev_hash`` of the first record of a stream.
FIRST: Final = "0" * 64
#: The member of a record that is not chained: a pipeline may set it anew.
OBSERVED: Final = "observedTimeUnixNano"

# Looked up here: a look-up that a signal handler breaks off leaves Python without the encoding for good.
_utf_16: Final = codecs.lookup("utf-16-be").encode
_EXACT: Final = 2**53  # beyond it, JSON's numbers (IEEE 754) are no longer all the integers
# Python's own encoder writes RFC 8785 but for fractions, exponents and long integers, and but for the order of names
# beyond the Basic Multilingual Plane. Where a text may hold one of these (or a string that looks like it), our own
# takes over, at several times the cost.
_plain: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode
_NOT_PLAIN: Final = tuple(
    re.compile(pattern).search  # apart, they are several times as fast as in one
    for pattern in ('":-?(?:[0-9]+[.eE]|[0-9]{16})', "[,\\[]-?(?:[0-9]+[.eE]|[0-9]{16})", "[\U00010000-\U0010ffff]")
)


def chained(name: str) -> bool:
    """Whether an attribute of this name is chained."""
    return not name.startswith(("audit.integrity.", "geo.")) and name != "event.name"


def order(name: str) -> bytes:
    """What names are sorted by: their UTF-16 code units (RFC 8785 §3.2.3)."""
    return _utf_16(name, "surrogatepass")[0]


def canonical(record: Mapping[str, Any]) -> bytes:
    """What of a log record (OTLP JSON) is chained, in canonical form; its attributes sorted by name.

    Raises:
        ValueError: it cannot be written as JSON: a lone surrogate, a number that is none.
        TypeError, LookupError: it is no log record.
    """
    kept = {name: value for name, value in record.items() if name != OBSERVED}
    if "attributes" in kept:
        attributes = [attribute for attribute in kept["attributes"] if chained(attribute["key"])]
        kept["attributes"] = sorted(attributes, key=lambda attribute: order(attribute["key"]))
    text = _plain(kept)
    return (_text(kept) if any(search(text) for search in _NOT_PLAIN) else text).encode()


def digest(record: Mapping[str, Any]) -> str:
    """SHA-256 of a log record's canonical form, in hex."""
    return sha256(canonical(record)).hexdigest()


def number(value: float) -> str:
    """A number as ECMAScript prints it (RFC 8785 §3.2.2.3)."""
    value = float(value)
    if not math.isfinite(value):
        raise ValueError("JSON has no such number")
    if value == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text = "".join(map(str, digits))
    point = len(text) + int(exponent)  # where the decimal point stands, from the first digit
    if 0 < point <= 21:
        text = text.ljust(point, "0") if len(text) <= point else f"{text[:point]}.{text[point:]}"
    elif -6 < point <= 0:
        text = f"0.{'0' * -point}{text}"
    else:
        fraction = f".{text[1:]}" if len(text) > 1 else ""
        text = f"{text[0]}{fraction}e{point - 1:+d}"
    return f"-{text}" if sign else text


def _text(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        try:
            return int.__repr__(value) if -_EXACT <= value <= _EXACT else number(value)
        except OverflowError:
            raise ValueError("JSON has no such number") from None
    if isinstance(value, float):
        return number(value)
    if isinstance(value, Mapping):
        return f"{{{','.join([f'{quoted(name)}:{_text(value[name])}' for name in sorted(value, key=order)])}}}"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_text, value))}]"
    raise TypeError(f"no JSON value: {type(value).__name__}")
