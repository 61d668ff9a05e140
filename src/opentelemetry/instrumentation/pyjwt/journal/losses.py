"""What the journal could not take: counted, and said once a minute."""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import Final

from opentelemetry.instrumentation.pyjwt import guard

_logger = logging.getLogger("opentelemetry.instrumentation.pyjwt")
_COMPLAINT: Final = 60.0  # seconds between complaints


class JournalFull(guard.Refused):
    """The audit journal cannot take the record of this, and is set to refuse what it cannot record."""


class Losses:
    """The losses of this process.

    Args:
        directory: the journal's.
        refuse: whether what cannot be recorded is refused.
    """

    def __init__(self, directory: Path, *, refuse: bool) -> None:
        self._directory = directory
        self._refuse = refuse
        self._trouble = ""  # what the last one was about
        self._said = (-math.inf, 0)  # when, and how many there were by then
        self.count = 0

    def record(self, error: OSError) -> JournalFull | None:
        """A record was not written. Gives what is to be raised, if any."""
        self.count += 1
        return self.trouble(error)

    def trouble(self, error: OSError) -> JournalFull | None:
        """The disk does not do what it should. Gives what is to be raised, if any."""
        self._trouble = error.strerror or type(error).__name__
        return JournalFull(f"the audit journal cannot take a record: {self._trouble}") if self._refuse else None

    def complain(self, *, at_last: bool = False) -> None:
        """Say what is new, if it is time to."""
        then, known = self._said
        if self.count > known and (at_last or time.monotonic() - then >= _COMPLAINT):
            self._said = (time.monotonic(), self.count)
            lost = self.count - known
            _logger.warning("%d audit records are not in the journal in %s: %s.", lost, self._directory, self._trouble)
