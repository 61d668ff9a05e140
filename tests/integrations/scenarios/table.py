"""What applications do with tokens, and what an audit must say about each: written once, run in every framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tests.integrations.expectations import Expected
from tests.integrations.steps import good


class Given(NamedTuple):
    """What an endpoint has to work with."""

    tokens: list[str]  # those the request presented
    jwks: str  # URL of a key set that answers
    no_jwks: str  # URL of one that does not

    @property
    def token(self) -> str:
        return self.tokens[0]


class Scenario(NamedTuple):
    """One endpoint, and its audit."""

    act: Callable[[Given], int]  # returns the status it answers with, or raises
    tokens: Callable[[], list[str]]
    expected: tuple[Expected, ...]  # in the order of first sight, revocations last
    on_span: int | None  # which of them the span shows
    status: int

    @property
    def name(self) -> str:
        return self.act.__name__


SCENARIOS: list[Scenario] = []


def scenario(
    *expected: Expected, tokens: Callable[[], list[str]] | None = None, on_span: int | None = -1, status: int = 200
) -> Callable[[Callable[[Given], int]], Callable[[Given], int]]:
    """Register the decorated function. ``status`` is the one the client must see."""

    def register(act: Callable[[Given], int]) -> Callable[[Given], int]:
        SCENARIOS.append(Scenario(act, tokens or good, expected, on_span, status))
        return act

    return register
