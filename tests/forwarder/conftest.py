"""Forwarders that are closed when the test is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt.journal.destination import Destination
from opentelemetry.instrumentation.pyjwt.journal.forwarder import Forwarder


@pytest.fixture
def forwarding() -> Iterator[Callable[..., Forwarder]]:
    """Call it with the journal and the URL of the receiver."""
    with ExitStack() as stack:

        def make(directory: Path, url: str, protocol: str = "http/json", **more: Any) -> Forwarder:
            of_forwarder = {name: more.pop(name) for name in ("own", "meter_provider") if name in more}
            destination = Destination(protocol, url, **more)
            return stack.enter_context(closing(Forwarder(directory, destination, **of_forwarder)))

        yield make
