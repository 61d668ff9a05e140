"""The Collector of ``collector-config/builder.yaml``, built once, and a journal of the product."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.beside import beside
from tests.collector import everything
from tests.collector.running import Collector
from tests.journal.writing import Signer
from tests.support import Trail


@pytest.fixture(scope="session")
def binary() -> Path:
    """What `make collector` builds, or has built."""
    return beside("collector")


@pytest.fixture
def collector(binary: Path, tmp_path: Path) -> Iterator[Callable[..., Collector]]:
    """Call it to have a Collector run, with these processors; it is gone at the end of the test."""
    with ExitStack() as stack:

        def start(**processors: Any) -> Collector:
            running = Collector(binary, tmp_path, processors)
            stack.callback(running.stop)
            running.start()
            return running

        yield start


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """The public key of whoever signs checkpoints; the private one lies beside it."""
    signer = Signer()
    (tmp_path / "private.pem").write_bytes(signer.private_pem)
    (tmp_path / "public.pem").write_bytes(signer.pem)
    return tmp_path / "public.pem"


@pytest.fixture
def written(instrument: Callable[..., Trail], key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A journal that is closed, and not delivered: everything that can be in one."""
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    everything.write(instrument, tmp_path / "journal", key.with_name("private.pem"))
    return tmp_path / "journal"
