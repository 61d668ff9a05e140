"""The application cannot tell: results, exceptions and warnings are the same with and without the plugin."""

from __future__ import annotations

import asyncio
import inspect
import logging
import pickle
import sys
import typing
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from typing import Any, NamedTuple
from unittest.mock import create_autospec

import jwt
import jwt.api_jwt
import pytest

from opentelemetry.instrumentation.pyjwt import action, guard
from tests.capture.entry_points import attempt
from tests.capture.failures import FAILURES, PYJWT, decode
from tests.capture.forge import forged
from tests.support import KEY, Trail, claims, mint

FILTERS = ("always", "default", "once", "error", "ignore")
HS256 = ["HS256"]
FIXED = claims(iat=1_700_000_000, exp=4_000_000_000)
TOKEN = forged(None, FIXED)
WEAK = forged(None, FIXED, key="short")
PEEK = {"verify_signature": False}
complete = jwt.api_jwt.decode_complete


class Interrupting(jwt.PyJWT):
    """Is interrupted in mid-decode, as by Ctrl-C."""

    def _decode_payload(self, decoded: dict[str, Any]) -> Any:
        raise KeyboardInterrupt("now")


class Annotating(jwt.PyJWT):
    """Raises an error with a cause and, where Python has them, notes."""

    def _validate_claims(self, *args: Any, **kwargs: Any) -> None:
        try:
            raise LookupError("no such user")
        except LookupError as cause:
            error = jwt.InvalidTokenError("user", 7)
            if hasattr(error, "add_note"):  # Python 3.11
                error.add_note("seen twice")
            raise error from cause


class Talkative(jwt.PyJWT):
    """Warns in a step, and about whoever called it."""

    def _validate_claims(self, *args: Any, **kwargs: Any) -> None:
        for level in range(1, 5):
            warnings.warn(f"level {level}", UserWarning, stacklevel=level)
        super()._validate_claims(*args, **kwargs)


# --- How a call is made: warnings point at a line, so each way has its own -------------------------------------------


def directly(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


def from_c(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return list(map(partial(function, **kwargs), *([arg] for arg in args)))


def in_a_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *args, **kwargs).result()


def in_a_task(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    async def call() -> Any:
        return function(*args, **kwargs)

    return asyncio.run(call())


def in_an_action(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with action("test"):
        return function(*args, **kwargs)


CALLS: dict[str, Callable[[], object]] = {
    "decode": lambda: jwt.decode(TOKEN, KEY, HS256),
    "decode_complete": lambda: complete(TOKEN, KEY, HS256),
    "encode": lambda: jwt.encode(FIXED, KEY),
    "encode with headers": lambda: jwt.encode(FIXED, KEY, "HS256", {"kid": "a", "typ": "at+jwt"}),
    "header": lambda: jwt.get_unverified_header(TOKEN),
    "peek": lambda: jwt.decode(TOKEN, options=PEEK),
    # Warnings.
    "decode: deprecated keyword": lambda: jwt.decode(TOKEN, KEY, HS256, nothing=1),
    "decode_complete: deprecated keywords": lambda: complete(TOKEN, KEY, HS256, nothing=1, less=2),
    "decode: verify does not match": lambda: jwt.decode(TOKEN, KEY, HS256, verify=False),
    "decode_complete: verify does not match": lambda: complete(TOKEN, KEY, HS256, verify=False),
    "decode: all of it": lambda: jwt.decode(WEAK, "short", HS256, verify=False, nothing=1),
    "decode: weak key": lambda: jwt.decode(WEAK, "short", HS256),
    "decode_complete: weak key": lambda: complete(WEAK, "short", HS256),
    "encode: weak key": lambda: jwt.encode(FIXED, "short"),
    "PyJWT().decode: weak key": lambda: jwt.PyJWT().decode(WEAK, "short", HS256),
    "PyJWT().encode: weak key": lambda: jwt.PyJWT().encode(FIXED, "short"),
    "a warning subclass": lambda: Talkative().decode(TOKEN, KEY, HS256),
    "a warning subclass, complete": lambda: Talkative().decode_complete(TOKEN, KEY, HS256),
    **{
        f"weak key {way.__name__}": partial(way, function, WEAK, "short", HS256)
        for way in (directly, from_c, in_a_thread, in_a_task, in_an_action)
        for function in (complete,)
    },
    # Wrong calls: the interpreter's own words name the function.
    "decode()": lambda: jwt.decode(),  # type: ignore[call-arg]
    "decode_complete()": lambda: complete(),  # type: ignore[call-arg]
    "decode_complete of nothing": lambda: jwt.PyJWT.decode_complete(),  # type: ignore[call-arg]
    "decode_complete of another": lambda: jwt.PyJWT.decode_complete(7, TOKEN, KEY, HS256),  # type: ignore[arg-type]
    "too many": lambda: complete(*range(20)),  # type: ignore[arg-type]
    "twice": lambda: complete(TOKEN, KEY, HS256, jwt=TOKEN),  # type: ignore[misc]
    "encode()": lambda: jwt.encode(),  # type: ignore[call-arg]
    "encode with a stray keyword": lambda: jwt.encode(FIXED, KEY, nothing=1),  # type: ignore[call-arg]
    "encode no claims": lambda: jwt.encode("claims", KEY),  # type: ignore[arg-type]
    "encode what JSON cannot": lambda: jwt.encode({"a": {1}}, KEY),
    "encode with no such algorithm": lambda: jwt.encode(FIXED, KEY, "XX1"),
    "header()": lambda: jwt.get_unverified_header(),  # type: ignore[call-arg]
    "header of None": lambda: jwt.get_unverified_header(None),  # type: ignore[arg-type]
    "key look-up()": lambda: jwt.PyJWKClient("http://127.0.0.1:0").get_signing_key_from_jwt(),  # type: ignore[call-arg]
    "key look-up": lambda: jwt.PyJWKClient("http://127.0.0.1:0").get_signing_key_from_jwt(TOKEN),
    "signing key": lambda: jwt.PyJWKClient("http://127.0.0.1:0").get_signing_key("a"),
    "nested too deep": lambda: jwt.decode(forged(b"[" * 100_000), KEY, HS256),
    # Exceptions of the application's own.
    "interrupted": lambda: Interrupting().decode(TOKEN, KEY, HS256),
    "with cause and notes": lambda: Annotating().decode(TOKEN, KEY, HS256),
    **{f"refused: {failure.title}": partial(decode, failure, failure.token()) for failure in FAILURES},
}


class Observed(NamedTuple):
    """What the application sees of one call made twice."""

    results: list[object]
    warnings: list[tuple[type[Warning], str, str, int]]


def described(error: BaseException | None, depth: int = 0) -> object:
    """Everything about an exception but its traceback."""
    if error is None or depth > 4:
        return None
    return (
        type(error),
        repr(error.args),
        str(error),
        repr(error),
        getattr(error, "__notes__", None),
        {name: repr(value) for name, value in vars(error).items()},
        error.__suppress_context__,
        described(error.__cause__, depth + 1),
        described(error.__context__, depth + 1),
    )


def observe(call: Callable[[], object], behaviour: str) -> Observed:
    results: list[object] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(behaviour)  # type: ignore[arg-type]
        for _ in range(2):
            try:
                result = call()
                results.append(described(result) if isinstance(result, BaseException) else result)
            except BaseException as error:
                results.append(described(error))
    return Observed(
        results, [(warning.category, str(warning.message), warning.filename, warning.lineno) for warning in caught]
    )


@pytest.mark.parametrize("name", CALLS)
def test_a_call_looks_the_same(name: str, instrument: Callable[..., Trail]) -> None:
    call = CALLS[name]
    without = {behaviour: observe(call, behaviour) for behaviour in FILTERS}
    instrument()
    assert {behaviour: observe(call, behaviour) for behaviour in FILTERS} == without


def test_the_table_of_calls_warns_and_raises() -> None:
    """Or the comparison would show nothing."""
    observed = {name: observe(call, "always") for name, call in CALLS.items()}
    warned = {name for name, seen in observed.items() if seen.warnings}
    assert {"decode: deprecated keyword", "decode: verify does not match", "a warning subclass"} <= warned
    if PYJWT >= (2, 11):
        assert {name for name in CALLS if "weak key" in name} <= warned
        assert observed["decode_complete: weak key"].warnings[0][2] == __file__
    assert all("missing" in str(observed[name].results[0]) for name in ("decode()", "decode_complete()", "encode()"))


def test_an_interruption_is_no_event(trail: Trail) -> None:
    with pytest.raises(KeyboardInterrupt):
        Interrupting().decode(TOKEN, KEY, HS256)
    assert trail.names == []
    jwt.decode(TOKEN, KEY, HS256)  # and nothing of it stays behind
    assert trail.names == ["jwt.validated"]


# --- What tools read off the functions -----------------------------------------------------------------------------


def anatomy(function: Callable[..., Any]) -> dict[str, object]:
    """What reflection shows of a function."""
    bare = getattr(function, "__func__", function)
    return {
        "signature": inspect.signature(function),
        "arguments": inspect.getfullargspec(function),
        "names": (bare.__name__, bare.__qualname__, bare.__module__, bare.__doc__),
        "defaults": (bare.__defaults__, bare.__kwdefaults__),
        "annotations": dict(bare.__annotations__),
        "kind": (inspect.isfunction(bare), inspect.ismethod(function), inspect.iscoroutinefunction(function)),
        "repr": repr(function),
    }


FUNCTIONS = {
    "jwt.encode": jwt.encode,
    "jwt.decode": jwt.decode,
    "jwt.api_jwt.decode_complete": complete,
    "jwt.get_unverified_header": jwt.get_unverified_header,
    "PyJWT._validate_claims": jwt.PyJWT._validate_claims,
    "PyJWS._verify_signature": jwt.PyJWS._verify_signature,
    "PyJWKClient.get_signing_key_from_jwt": jwt.PyJWKClient.get_signing_key_from_jwt,
    "PyJWKClient.get_signing_key": jwt.PyJWKClient.get_signing_key,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_reflection_shows_the_same(name: str, instrument: Callable[..., Trail]) -> None:
    without = anatomy(FUNCTIONS[name])
    instrument()
    assert anatomy(FUNCTIONS[name]) == without


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_wrapper_made_by_functools_shows_the_same_signature(name: str, instrument: Callable[..., Trail]) -> None:
    function = FUNCTIONS[name]

    def wrapper_signature() -> inspect.Signature:
        @wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return inspect.signature(wrapper)

    without = wrapper_signature()
    instrument()
    assert wrapper_signature() == without


@pytest.mark.usefixtures("trail")
def test_tools_that_build_on_reflection_work() -> None:
    copy = pickle.loads(pickle.dumps(complete))
    assert copy(TOKEN, KEY, HS256)["payload"] == FIXED
    double = create_autospec(jwt.encode)
    with pytest.raises(TypeError, match="payload"):
        double()
    bound = inspect.signature(jwt.decode).bind(TOKEN, KEY, algorithms=HS256)
    assert jwt.decode(*bound.args, **bound.kwargs) == FIXED
    assert typing.get_type_hints(jwt.PyJWKClient.get_signing_key)["kid"] is str


# --- At the end of the stack ------------------------------------------------------------------------------------------


def below(depth: int, call: Callable[[], object]) -> object:
    return below(depth - 1, call) if depth else call()


def deepest(call: Callable[[], object]) -> int:
    """How far down the stack the call still succeeds."""
    for depth in range(sys.getrecursionlimit(), 0, -1):
        try:
            below(depth, call)
        except RecursionError:
            continue
        return depth
    raise AssertionError("it never succeeds")


def test_a_full_stack_is_the_same_error_and_leaves_nothing_behind(
    instrument: Callable[..., Trail], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is still room for PyJWT and a few frames of ours, a call succeeds, recorded or not."""
    monkeypatch.setattr(guard, "reraise", False)
    monkeypatch.setattr(guard, "_reported", set())
    logging.disable(logging.CRITICAL)  # logging itself finds no room, and says so on stderr
    try:
        jwt.decode(TOKEN, KEY, HS256)  # whatever is imported on first use
        without = deepest(lambda: jwt.decode(TOKEN, KEY, HS256))
        trail = instrument()
        jwt.decode(TOKEN, KEY, HS256)
        assert without - 12 <= deepest(lambda: jwt.decode(TOKEN, KEY, HS256)) <= without
    finally:
        logging.disable(logging.NOTSET)
    trail.clear()
    jwt.decode(TOKEN, KEY, HS256)
    attempt(lambda: jwt.decode(mint(exp=1), KEY, HS256))
    assert trail.names == ["jwt.validated", "jwt.issued", "jwt.rejected: expired"]
