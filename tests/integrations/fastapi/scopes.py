"""Dependencies that verify the token and may mind the scopes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from fastapi import Header, HTTPException
from fastapi.security import SecurityScopes

from tests.integrations.steps import verify

ROUTE = "/items/{item}"
Bearer = Header(alias="x-tokens")


# --- Dependencies ----------------------------------------------------------------------------------------------------


def compare(token: str, required: SecurityScopes, status: int | None) -> Any:
    """Lets everybody through if there is no status to refuse with."""
    claims = verify(token)
    if status and not set(required.scopes) <= set(claims.get("scope", "").split()):
        raise HTTPException(status)
    return claims


def sync_user(status: int | None) -> Callable[..., Any]:
    def user(required: SecurityScopes, token: str = Bearer) -> Any:
        return compare(token, required, status)

    return user


def async_user(status: int | None) -> Callable[..., Any]:
    async def user(required: SecurityScopes, token: str = Bearer) -> Any:
        return compare(token, required, status)

    return user


def sync_yielding_user(status: int | None) -> Callable[..., Any]:
    def user(required: SecurityScopes, token: str = Bearer) -> Iterator[Any]:
        yield compare(token, required, status)
        verify(token)  # after the response: nothing new

    return user


def async_yielding_user(status: int | None) -> Callable[..., Any]:
    async def user(required: SecurityScopes, token: str = Bearer) -> AsyncIterator[Any]:
        yield compare(token, required, status)

    return user


def careless_user(token: str = Bearer) -> Any:
    """Asks nobody for the scopes."""
    return verify(token)
