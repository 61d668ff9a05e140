"""A library is patched in the versions we know, and else left alone with one line in the log."""

from __future__ import annotations

import logging
import sys
from importlib import metadata

import pytest
import werkzeug.local

from opentelemetry.instrumentation.pyjwt.patching import Library, Patches, WrapPatch

INSTALLED = tuple(int(number) for number in metadata.version("werkzeug").split(".")[:2])


def library(since: tuple[int, ...], before: tuple[int, ...], distribution: str = "werkzeug") -> Library:
    patches = tuple(
        WrapPatch("werkzeug.local", path, lambda wrapped, instance, args, kwargs: wrapped(*args, **kwargs))
        for path in ("release_local", "Local.__getattr__")
    )
    return Library(distribution, since, before, patches)


@pytest.mark.parametrize(
    ("row", "known"),
    [
        (library((0, 1), (99,)), True),
        (library(INSTALLED, (99,)), True),
        (library((99,), (100,)), False),
        (library((0, 1), INSTALLED), False),
        (library((0, 1), (99,), "no-such-distribution"), False),
    ],
)
def test_patched_if_known(row: Library, known: bool, caplog: pytest.LogCaptureFixture) -> None:
    before = werkzeug.local.release_local
    patches = Patches([row])
    with caplog.at_level(logging.WARNING):
        patches.install()
    try:
        assert (werkzeug.local.release_local is not before) is known
        said = [record.getMessage() for record in caplog.records]
        if known or row.distribution not in sys.modules:
            assert said == []
        else:
            assert len(said) == 1
            assert said[0].startswith("werkzeug ")
            assert "is left alone" in said[0]
    finally:
        patches.remove()
    assert werkzeug.local.release_local is before


def test_rows_of_one_library_have_each_their_own_range() -> None:
    before = werkzeug.local.release_local
    patches = Patches([library((99,), (100,)), library((0, 1), (99,))])
    patches.install()
    try:
        assert werkzeug.local.release_local is not before
    finally:
        patches.remove()
    assert werkzeug.local.release_local is before
