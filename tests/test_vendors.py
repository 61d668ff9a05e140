"""PyJWT patched by others too: another vendor's patch, on top of ours or below, lives on, and each call counts once."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jwt
import jwt.api_jwt
import pytest
import wrapt

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from tests.support import KEY, Trail, mint

TOKEN = mint(exp=4_000_000_000)
COMPLETE = jwt.PyJWT.decode_complete


class Vendor:
    """Counts decodes; a context manager that puts its patch in and takes it out again."""

    def __init__(self) -> None:
        self.calls = 0

    def count(self, wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
        self.calls += 1
        return wrapped(*args, **kwargs)

    def __enter__(self) -> Vendor:
        raise NotImplementedError

    def __exit__(self, *_: object) -> None:
        raise NotImplementedError


class ByWrapt(Vendor):
    """The class attribute, with wrapt, as OpenTelemetry's instrumentations do."""

    def __enter__(self) -> Vendor:
        wrapt.wrap_function_wrapper(jwt.api_jwt, "PyJWT.decode_complete", self.count)
        return self

    def __exit__(self, *_: object) -> None:
        jwt.PyJWT.decode_complete = COMPLETE  # type: ignore[method-assign]


class ByClosure(Vendor):
    """The class attribute, with a closure that says nothing of what it wraps."""

    def __enter__(self) -> Vendor:
        theirs = jwt.PyJWT.decode_complete

        def counting(*args: Any, **kwargs: Any) -> Any:
            return self.count(theirs, None, args, kwargs)

        jwt.PyJWT.decode_complete = counting  # type: ignore[method-assign]
        return self

    __exit__ = ByWrapt.__exit__


class ByAlias(Vendor):
    """The names in the modules."""

    names = ((jwt, "decode"), (jwt.api_jwt, "decode"))

    def __enter__(self) -> Vendor:
        self.theirs = [getattr(module, name) for module, name in self.names]
        for (module, name), theirs in zip(self.names, self.theirs, strict=True):
            setattr(module, name, lambda *args, theirs=theirs, **kwargs: self.count(theirs, None, args, kwargs))
        return self

    def __exit__(self, *_: object) -> None:
        for (module, name), theirs in zip(self.names, self.theirs, strict=True):
            setattr(module, name, theirs)


class ByCode(Vendor):
    """The code in the function, as we do."""

    def __enter__(self) -> Vendor:
        self.code = COMPLETE.__code__
        below = types.FunctionType(
            self.code, COMPLETE.__globals__, COMPLETE.__name__, COMPLETE.__defaults__, COMPLETE.__closure__
        )
        below.__kwdefaults__ = COMPLETE.__kwdefaults__

        def counting(*args: Any, **kwargs: Any) -> Any:
            call = "call"
            return call(*args, **kwargs)  # type: ignore[operator]

        template = counting.__code__
        hook = partial(self._call, below)
        COMPLETE.__code__ = template.replace(
            co_consts=tuple(hook if constant == "call" else constant for constant in template.co_consts)
        )
        return self

    def _call(self, below: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self.count(below, None, args, kwargs)

    def __exit__(self, *_: object) -> None:
        COMPLETE.__code__ = self.code


VENDORS = (ByWrapt, ByClosure, ByAlias, ByCode)


def decode_once(vendor: Vendor, trail: Trail) -> tuple[int, int]:
    """How often the vendor and we have seen one call."""
    vendor.calls = 0
    trail.clear()
    jwt.decode(TOKEN, KEY, ["HS256"])
    return vendor.calls, len(trail.names)


@pytest.fixture
def switch() -> Iterator[PyJWTInstrumentor]:
    instrumentor = PyJWTInstrumentor()
    yield instrumentor
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


@pytest.mark.parametrize("kind", VENDORS)
def test_a_vendor_below_us_lives_on(kind: type[Vendor], switch: PyJWTInstrumentor, global_trail: Trail) -> None:
    with kind() as vendor:
        for _ in range(2):
            switch.instrument()
            assert decode_once(vendor, global_trail) == (1, 1)
            switch.uninstrument()
            assert decode_once(vendor, global_trail) == (1, 0)
    assert decode_once(vendor, global_trail) == (0, 0)


@pytest.mark.parametrize("kind", VENDORS)
def test_a_vendor_on_top_of_us_lives_on(kind: type[Vendor], switch: PyJWTInstrumentor, global_trail: Trail) -> None:
    switch.instrument()
    with kind() as vendor:
        for _ in range(2):
            assert decode_once(vendor, global_trail) == (1, 1)
            switch.uninstrument()
            assert decode_once(vendor, global_trail) == (1, 0)
            switch.instrument()
        assert decode_once(vendor, global_trail) == (1, 1)
    assert decode_once(vendor, global_trail) == (0, 1)
    switch.uninstrument()
    assert decode_once(vendor, global_trail) == (0, 0)


@pytest.mark.parametrize("kind", [ByWrapt, ByClosure, ByAlias])
def test_a_vendor_that_leaves_from_below_us_does_not_keep_us_from_coming_back(
    kind: type[Vendor], switch: PyJWTInstrumentor, global_trail: Trail
) -> None:
    with kind() as vendor:
        switch.instrument()
    switch.uninstrument()
    assert decode_once(vendor, global_trail) == (0, 0)
    switch.instrument()
    assert decode_once(vendor, global_trail) == (0, 1)
