"""What endpoints in these tests are given, and the steps they take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jwt

from opentelemetry.instrumentation.pyjwt.ledger import current_ledger
from tests.support import KEY, mint

# --- Tokens ---------------------------------------------------------------------------------------------------


def good() -> list[str]:
    return [mint()]


def two() -> list[str]:
    return [mint(), mint(jti="token-2", sub="bob")]


def expired() -> list[str]:
    return [mint(exp=int(time.time()) - 60)]


def with_kid() -> list[str]:
    return [mint(headers={"kid": "key-of-nobody"})]


def scoped() -> list[str]:
    return [mint(scope="read list")]


def refresh() -> list[str]:
    return [mint(token_use="refresh")]


def none() -> list[str]:
    return []


# --- Steps ----------------------------------------------------------------------------------------------------


def peek(token: str) -> Any:
    return jwt.decode(token, options={"verify_signature": False})


def verify(token: str, key: str = KEY, **options: Any) -> Any:
    return jwt.decode(token, key, ["HS256"], **options)


def fails(step: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """The step fails, and the application goes on."""
    try:
        step(*args, **kwargs)
    except jwt.PyJWTError:
        return
    raise AssertionError("this step was meant to fail")


def refuse(reason: str) -> None:
    """What a library that keeps a blocklist, or minds the token's type, says through its adapter."""
    ledger = current_ledger()
    assert ledger is not None
    ledger.refused(reason)
