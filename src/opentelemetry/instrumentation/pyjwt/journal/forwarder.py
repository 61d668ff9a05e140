"""The forwarder: keeps delivering a journal, for ever, and leaves within two seconds when it is told to."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Final

from opentelemetry.instrumentation.pyjwt import guard, semconv
from opentelemetry.instrumentation.pyjwt.journal.delivery import Delivery, Interrupted, OnceAMinute, Undelivered
from opentelemetry.instrumentation.pyjwt.journal.destination import Destination, without_secrets
from opentelemetry.instrumentation.pyjwt.journal.transport import connect
from opentelemetry.instrumentation.pyjwt.version import __version__
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.metrics import Counter, MeterProvider, get_meter

#: Seconds between rounds while all goes well.
INTERVAL: Final = 1.0
#: Seconds a stop may take, whatever the receiver does.
STOP: Final = 2.0
_REST: Final = 100  # times as long as a look at a journal without anything new takes, until the next
_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 30.0


class Forwarder:
    """Delivers the journal in ``directory``: a thread of a process that writes one, or round by round.

    A forked child has no thread: its owner makes a forwarder of its own.

    Args:
        directory: the journal.
        destination: where to.
        own: gives the stream this process writes, or nothing while it has none; asked each round. ``None`` for every
            stream, whoever writes it.
        meter_provider: for ``jwt.audit.records.forwarded``.
        progress: called with the number of records, each time some were acknowledged.

    Raises:
        ValueError: nothing can be sent to that destination; the message says why.
    """

    def __init__(
        self,
        directory: Path,
        destination: Destination,
        *,
        own: Callable[[], str] | None = None,
        meter_provider: MeterProvider | None = None,
        progress: Callable[[int], None] = lambda records: None,
    ) -> None:
        self._transport = connect(destination)
        self._delivery = Delivery(
            directory, self._transport, own=own, timeout=destination.timeout, delivered=self._count
        )
        self._meter_provider = meter_provider
        self._progress = progress
        self._endpoint = without_secrets(destination.endpoint)
        self._failures = 0
        self._failure = OnceAMinute(logging.WARNING)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jwt-audit-forwarder", daemon=True)
        #: Records that were acknowledged since the start.
        self.delivered = 0

    @property
    def refused(self) -> int:
        """Records in dead letters since the start."""
        return self._delivery.refused

    @property
    def torn(self) -> int:
        """Last lines of dead processes that were set aside, since the start."""
        return self._delivery.torn

    def start(self) -> None:
        """Start the thread; once."""
        self._thread.start()

    def stop(self, timeout: float = 1.5) -> None:
        """Deliver what can be delivered within ``timeout`` seconds, two at most, and end the thread."""
        timeout = min(timeout, STOP)
        # A little of it for the last answer to be noted.
        self._delivery.deadline = time.monotonic() + timeout * 0.8
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout * 0.9)
            if self._thread.is_alive():
                self._transport.abort()
                self._thread.join(timeout * 0.1)

    def forsake(self) -> None:
        """In a child of the process: let go of what is the parent's, who goes on with it."""
        self._transport.forsake()

    def close(self) -> None:
        """Give up the connection. The thread does so when it ends."""
        self._transport.close()

    def turn(self, deadline: float = float("inf")) -> float:
        """One round, until ``deadline`` on the monotonic clock; returns the seconds to wait before the next."""
        if deadline < self._delivery.deadline:  # which a stop may be setting right now
            self._delivery.deadline = deadline
        delivered, started = self.delivered, time.thread_time()
        try:
            with suppress_instrumentation():
                self._delivery.round()
        except Undelivered as error:
            self._failures += 1
            wait = self._backoff() if error.answer.retry_after is None else error.answer.retry_after
            self._failure(
                "The journal cannot be delivered to %s: %s. It is kept, and sent again.", self._endpoint, error
            )
            return wait
        except Interrupted:
            return 0.0
        self._failures = 0
        # A journal of very many segments is not looked through every second.
        spent = time.thread_time() - started if self.delivered == delivered else 0.0
        return min(max(INTERVAL, _REST * spent), _LONGEST_WAIT)

    @cached_property
    def _counter(self) -> Counter:
        # Made when it is used: a forwarder is made while a record is written, which is not to wait for the SDK's locks.
        return get_meter("opentelemetry.instrumentation.pyjwt", __version__, self._meter_provider).create_counter(
            semconv.RECORDS_FORWARDED, unit="{record}", description="Audit records that the receiver acknowledged."
        )

    def _run(self) -> None:
        while True:
            last = self._stopping.is_set()
            try:
                wait = self.turn()
            except Exception as error:
                guard.report(error, "Forwarding the journal")
                self._failures += 1
                wait = self._backoff()
            if last:
                self.close()
                return
            self._stopping.wait(wait)

    def _backoff(self) -> float:
        # Twice as long each time; never the same for all who wait.
        return min(_FIRST_WAIT * 2.0 ** min(self._failures, 16), _LONGEST_WAIT) * random.uniform(0.5, 1)

    def _count(self, records: int) -> None:
        self.delivered += records
        self._counter.add(records)
        self._progress(records)
