"""Our failures as they are in production: logged, not raised."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from opentelemetry.instrumentation.pyjwt import guard
from tests.sinks.failing import own_log


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What our own log says, in production."""
    monkeypatch.setattr(guard, "reraise", False)
    monkeypatch.setattr(guard, "_reported", set())
    return own_log(caplog)
