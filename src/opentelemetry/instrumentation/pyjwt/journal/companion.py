"""Threads that go with a journal: in each process that writes to it, from its first record on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from opentelemetry.instrumentation.pyjwt import guard

if TYPE_CHECKING:
    from opentelemetry.instrumentation.pyjwt.journal.writer import Journal

_logger = logging.getLogger("opentelemetry.instrumentation.pyjwt")

_SEAL: Final = 60.0  # seconds between looks for what may be sealed
#: Seconds the end of a process is held up by all of them together, whatever they are doing.
STOP: Final = 1.8
_GRACE: Final = 0.5  # of these, for a clockwork


class Companion(Protocol):
    def start(self) -> None:
        """Begin, in this process. Raises RuntimeError if there can be no thread."""

    def stop(self, timeout: float) -> None:
        """End, in so many seconds: the process is waiting."""

    def forsake(self) -> None:
        """In a child of the process: let go of what is the parent's, who goes on with it."""


def companions(journal: Journal) -> tuple[Companion, ...]:
    """All that a journal is accompanied by, begun; in the order in which they are to end."""
    begun: list[Companion] = []
    for companion in (Clockwork(journal.tick), _sealing(journal), journal.forwarding(journal)):
        try:
            if companion is not None:
                companion.start()
                begun.append(companion)
        except RuntimeError:  # no more threads, or none so late in the interpreter's life
            _logger.warning("The audit journal in %s has to do without a thread of its own.", journal.directory)
    return tuple(begun)


def _sealing(journal: Journal) -> Companion | None:
    """Apart from the other rounds, which do not wait for it."""
    sealer = journal.sealer
    if sealer is None:
        return None

    def tick() -> None:
        try:
            sealer.round(journal.directory, clockwork.over.is_set)
        except OSError as error:
            _logger.error("Not all that is delivered of the journal in %s can be sealed: %s", journal.directory, error)

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

    def stop(self, timeout: float) -> None:
        self.over.set()
        if self._thread is not threading.current_thread():
            self._thread.join(min(timeout, _GRACE))

    def forsake(self) -> None:
        """There is nothing but the thread, which the child does not have."""

    def _run(self) -> None:
        while not self.over.wait(self._seconds):
            try:
                self._tick()
            except Exception as error:
                guard.report(error, "Looking after the journal")
