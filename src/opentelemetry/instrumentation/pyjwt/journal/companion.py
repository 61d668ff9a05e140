"""Threads that go with a journal: in each process that writes to it, from its first record on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from opentelemetry.instrumentation.pyjwt import guard

if TYPE_CHECKING:
    from opentelemetry.instrumentation.pyjwt.journal.sealing import Sealer
    from opentelemetry.instrumentation.pyjwt.journal.writer import Journal

_logger = logging.getLogger("opentelemetry.instrumentation.pyjwt")
_SEAL: Final = 60.0  # seconds between looks for what may be sealed
_GRACE: Final = 1.0  # seconds that the end of the process waits for a thread


class Companion(Protocol):
    def start(self) -> None:
        """Begin, in this process."""

    def stop(self) -> None:
        """End, in a second or less: the process is waiting."""


def companions(journal: Journal) -> tuple[Companion, ...]:
    """All that a journal is accompanied by."""
    rounds = Clockwork(journal.tick)
    return (rounds,) if journal.sealer is None else (rounds, _sealing(journal.directory, journal.sealer))


def _sealing(directory: Path, sealer: Sealer) -> Companion:
    """Apart from the other rounds, which do not wait for it."""

    def tick() -> None:
        try:
            sealer.round(directory, clockwork.over.is_set)
        except OSError as error:
            _logger.error("Not all that is delivered of the journal in %s can be sealed: %s", directory, error)

    clockwork = Clockwork(tick, _SEAL, "jwt-audit-sealing")
    return clockwork


class Clockwork:
    """A thread that does the journal's rounds, once a second."""

    def __init__(self, tick: Callable[[], None], seconds: float = 1.0, name: str = "jwt-audit-journal") -> None:
        self._tick = tick
        self._seconds = seconds
        #: Set when the thread is to end.
        self.over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.over.set()
        if self._thread is not threading.current_thread():
            self._thread.join(_GRACE)

    def _run(self) -> None:
        while not self.over.wait(self._seconds):
            try:
                self._tick()
            except Exception as error:
                guard.report(error, "Looking after the journal")
