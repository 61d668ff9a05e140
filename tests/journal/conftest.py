"""A journal in a directory of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt import audit
from opentelemetry.instrumentation.pyjwt.journal.writer import Journal
from tests.journal.checking import SIGNER
from tests.journal.writing import Stream, some
from tests.support import Trail


@pytest.fixture(autouse=True)
def not_forwarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written is looked at here; tests/forwarder has what is delivered."""
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def journal(directory: Path, instrument: Callable[..., Trail]) -> Callable[..., Journal]:
    """Call it to switch the plugin on with a journal, and options of it; gives the journal."""

    def switch_on(**options: Any) -> Journal:
        instrument(journal=directory, **{f"journal_{name}": value for name, value in options.items()})
        assert audit.active is not None
        assert audit.active._journal is not None
        return audit.active._journal.journal

    return switch_on


@pytest.fixture
def stream() -> Stream:
    """100 records that no code of the product has written; segments begin with 1, 41 and 81."""
    return some(Stream(SIGNER), 100, every=15, rotate=40)


@pytest.fixture
def archive(stream: Stream, tmp_path: Path) -> Path:
    """The stream on disk."""
    stream.save(tmp_path / "journal")
    return tmp_path / "journal"


@pytest.fixture
def messages(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What our own log says."""
    name = "opentelemetry.instrumentation.pyjwt"
    return lambda: [record.getMessage() for record in caplog.records if record.name == name]


@pytest.fixture
def turn_back() -> Callable[[Journal, float], None]:
    """What a journal did last, it did that many seconds before it did."""

    def turn(journal: Journal, seconds: float) -> None:
        assert journal._stream is not None
        journal._stream.opened -= seconds
        number, then = journal._checkpointed
        journal._checkpointed = (number, then - seconds)

    return turn
