"""An application that must not notice, and what our own log says of a part that fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from opentelemetry.instrumentation.pyjwt import action
from tests.support import KEY, mint

HS256 = ["HS256"]
GOOD = mint(exp=4_000_000_000)


class Broken(Exception):
    """What the part that fails raises."""


def broken(*_: object, **__: object) -> Any:
    raise Broken(GOOD)


def own_log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What our own log says."""

    def messages() -> list[str]:
        records = [record for record in caplog.records if record.name == "opentelemetry.instrumentation.pyjwt"]
        assert all(record.levelno == logging.ERROR for record in records)
        return [record.getMessage() for record in records]

    return messages


def use_everything() -> None:
    """The application, which must not notice."""
    for _ in range(3):
        assert jwt.decode(GOOD, KEY, HS256)["jti"] == "token-1"
        assert jwt.get_unverified_header(jwt.encode({"jti": "m"}, KEY))["alg"] == "HS256"
        with pytest.raises(jwt.DecodeError):
            jwt.decode("a.b", KEY, HS256)
        with action("job"):
            jwt.decode(GOOD, KEY, HS256)


EVENTS = ["jwt.validated", "jwt.issued", "jwt.rejected: malformed", "jwt.validated"] * 3
