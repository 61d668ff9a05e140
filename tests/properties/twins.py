"""The same call twice: on PyJWT under the instrumentation, and on a copy of PyJWT that nothing has touched.

The copy is loaded a second time under the same module names, so that types of exceptions, warnings and lines
can be compared by name. Its functions are other objects, and patches of the first copy do not reach them.
"""

from __future__ import annotations

import importlib
import math
import re
import sys
import warnings
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, NamedTuple

import jwt
import jwt.api_jwt
import jwt.jwks_client


def _pristine() -> ModuleType:
    def ours() -> dict[str, ModuleType]:
        return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "jwt"}

    known = ours()
    for name in known:
        del sys.modules[name]
    try:
        copy = importlib.import_module("jwt")
        for name in known:
            importlib.import_module(name)
    finally:
        for name in ours():
            del sys.modules[name]
        sys.modules.update(known)
    return copy


PATCHED = jwt
PRISTINE = _pristine()


class Fresh(NamedTuple):
    """An argument made anew for each copy: it is used up by a call, or is an instance of a class of the copy."""

    make: Callable[[ModuleType], Any]
    secret: str | bytes = ""  # what must not be found in any output


def fresh(value: Any, copy: ModuleType) -> Any:
    if isinstance(value, Fresh):
        return value.make(copy)
    # PyJWT 2.11 writes into the caller's options.
    return value.copy() if type(value) in (dict, list) else value


def _members(values: Iterable[Any]) -> list[Any]:
    """The very objects in the containers among some arguments."""
    return [
        [(key, id(item)) for key, item in value.items()] if isinstance(value, dict) else list(map(id, value))
        for value in values
        if isinstance(value, (dict, list))
    ]


class Call(NamedTuple):
    """A call of PyJWT: which function, and with what."""

    verb: str  # decode, encode or header
    way: str  # one of WAYS
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def token(self) -> Any:
        return self.args[0] if self.args else self.kwargs.get("jwt")

    def argument(self, position: int, name: str, copy: ModuleType = PRISTINE) -> Any:
        value = self.args[position] if len(self.args) > position else self.kwargs.get(name)
        return fresh(value, copy)

    def on(self, copy: ModuleType) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        args = tuple(fresh(value, copy) for value in self.args)
        return WAYS[self.way](copy), args, {name: fresh(value, copy) for name, value in self.kwargs.items()}


def _subclass(copy: ModuleType) -> Any:
    class Custom(copy.PyJWT):  # type: ignore[name-defined,misc]  # what libraries do
        def decode_complete(self, *args: Any, **kwargs: Any) -> Any:
            return super().decode_complete(*args, **kwargs)

        def _decode_payload(self, decoded: dict[str, Any]) -> Any:
            return super()._decode_payload(decoded)

        def encode(self, *args: Any, **kwargs: Any) -> Any:
            return super().encode(*args, **kwargs)

    return Custom()


_SUBCLASSED = {copy: _subclass(copy) for copy in (PATCHED, PRISTINE)}

WAYS: dict[str, Callable[[ModuleType], Callable[..., Any]]] = {
    "decode": lambda copy: copy.decode,
    "decode_complete": lambda copy: copy.api_jwt.decode_complete,
    "instance.decode": lambda copy: copy.PyJWT().decode,
    "instance.decode_complete": lambda copy: copy.PyJWT({"verify_exp": False, "verify_aud": False}).decode_complete,
    "subclass.decode": lambda copy: _SUBCLASSED[copy].decode,
    "subclass.decode_complete": lambda copy: _SUBCLASSED[copy].decode_complete,
    "encode": lambda copy: copy.encode,
    "instance.encode": lambda copy: copy.PyJWT().encode,
    "subclass.encode": lambda copy: _SUBCLASSED[copy].encode,
    "header": lambda copy: copy.get_unverified_header,
    "instance.header": lambda copy: copy.PyJWS().get_unverified_header,
}


class Outcome(NamedTuple):
    """What the caller gets."""

    result: Any
    error: Exception | None
    warnings: list[tuple[str, str, str, int]]  # category, text, file, line
    arguments: list[Any]  # what is in them after the call


def observe(call: Call, copy: ModuleType) -> Outcome:
    """Make the call on one copy; for either it is made from the same line and at the same depth."""
    function, args, kwargs = call.on(copy)
    result, error = None, None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = function(*args, **kwargs)
        except Exception as raised:
            error = raised
    shown = [(_name(w.category), _text(w.message), w.filename, w.lineno) for w in caught]
    return Outcome(result, error, shown, _members((*args, *kwargs.values())))


def differences(bare: Outcome, seen: Outcome) -> list[str]:
    """Which of result, exception and warnings are not the same."""
    found = []
    if not same(bare.result, seen.result):
        found.append("result")
    if not same(_anatomy(bare.error), _anatomy(seen.error)):
        found.append(f"exception: {type(bare.error).__name__} became {type(seen.error).__name__}")
    if bare.warnings != seen.warnings:
        found.append(f"warnings: {len(bare.warnings)} became {len(seen.warnings)}")
    if bare.arguments != seen.arguments:
        found.append("an argument was changed")
    return found


def same(one: Any, other: Any) -> bool:
    """Deep equality: types count, and the order of dicts; NaN equals NaN. No recursion, so any depth will do."""
    pairs = [(one, other)]
    while pairs:
        a, b = pairs.pop()
        if _name(type(a)) != _name(type(b)):
            return False
        if isinstance(a, dict):
            if len(a) != len(b):
                return False
            pairs += zip(a, b, strict=True)
            pairs += zip(a.values(), b.values(), strict=True)
        elif isinstance(a, (list, tuple)):
            if len(a) != len(b):
                return False
            pairs += zip(a, b, strict=True)
        elif isinstance(a, float):
            if a != b and not (math.isnan(a) and math.isnan(b)):
                return False
        elif isinstance(a, BaseException):
            pairs.append((_anatomy(a), _anatomy(b)))
        elif isinstance(a, (str, bytes, int, type(None))):
            if a != b:
                return False
        elif _text(a) != _text(b):
            return False
    return True


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _text(value: Any) -> str:
    """As text, without addresses of objects: PyJWT quotes a generator of its own in one message."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))


def _anatomy(error: BaseException | None) -> Any:
    if error is None:
        return None
    return (
        _name(type(error)),
        [_text(argument) if isinstance(argument, str) else argument for argument in error.args],
        _text(error),
        vars(error),
        _anatomy(error.__cause__),
        _anatomy(error.__context__),
        error.__suppress_context__,
    )
