"""Threads that go with a journal: in each process that writes to it, from its first record on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from opentelemetry.instrumentation.pyjwt import guard

if TYPE_CHECKING:
    from opentelemetry.instrumentation.pyjwt.journal.writer import Journal

_GRACE: Final = 1.0  # seconds that the end of the process waits for a thread


class Companion(Protocol):
    def start(self) -> None:
        """Begin, in this process."""

    def stop(self) -> None:
        """End, in a second or less: the process is waiting."""


def companions(journal: Journal) -> tuple[Companion, ...]:
    """All that a journal is accompanied by."""
    return (Clockwork(journal.tick),)


class Clockwork:
    """A thread that does the journal's rounds, once a second."""

    def __init__(self, tick: Callable[[], None], seconds: float = 1.0) -> None:
        self._tick = tick
        self._seconds = seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jwt-audit-journal", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread is not threading.current_thread():
            self._thread.join(_GRACE)

    def _run(self) -> None:
        while not self._over.wait(self._seconds):
            try:
                self._tick()
            except Exception as error:
                guard.report(error, "Looking after the journal")
