"""An application close to the recursion limit: the plugin may lose its record there, never the application's call."""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt import guard
from tests.properties.tokens import SECRET, signed
from tests.properties.twins import PATCHED, PRISTINE, Call

_TOKEN = signed(b'{"alg":"HS256"}', b'{"sub":"alice"}')
CALLS = {
    "decode": Call("decode", "decode", (_TOKEN, SECRET, ["HS256"]), {}),
    "encode": Call("encode", "encode", ({"sub": "alice"}, SECRET, "HS256"), {}),
    "header": Call("header", "header", (_TOKEN,), {}),
    "header of no token": Call("header", "header", ("no token",), {}),
}
#: Frames of ours between the application and the innermost step of PyJWT's.
OUR_FRAMES = 3


def _below(frames: int, function: Callable[[], Any]) -> Any:
    return function() if frames <= 0 else _below(frames - 1, function)


def _least_room(call: Call, copy: Any) -> int:
    """How many frames a call needs: with that many, and with any more, it ends as it does with plenty."""
    function, args, kwargs = call.on(copy)

    def outcome() -> Any:
        try:
            return function(*args, **kwargs)
        except copy.PyJWTError as error:
            return type(error).__name__

    expected, least = outcome(), 0
    for room in range(5, 120):
        try:
            met = _below(sys.getrecursionlimit() - room, outcome) == expected
        except RecursionError:
            met = False
        if not met:
            least = room + 1
    return least


def _in_a_thread(function: Callable[[], Any]) -> Any:
    """On a stack of its own, so that it does not matter how deep a test runner has got."""
    results: list[Any] = []
    thread = Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join(60)
    return results[0]


@pytest.mark.parametrize("name", CALLS)
def test_a_call_needs_hardly_more_room_on_the_stack(trail, monkeypatch, name):
    """Wherever the untouched PyJWT succeeds with a few frames to spare, so does the instrumented one."""
    monkeypatch.setattr(guard, "reraise", False)
    monkeypatch.setattr(guard, "_reported", set())
    bare, ours = _in_a_thread(lambda: (_least_room(CALLS[name], PRISTINE), _least_room(CALLS[name], PATCHED)))
    assert 5 < bare < 100
    assert ours <= bare + OUR_FRAMES
