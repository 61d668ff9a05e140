"""What an endpoint does in a test: a function of the tokens presented, whatever the framework."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable

# Gives the status to answer with; an asynchronous endpoint awaits it, where there is something to await.
Run = Callable[[list[str]], int | Awaitable[int]]


async def finished(status: int | Awaitable[int]) -> int:
    return await status if isawaitable(status) else status
