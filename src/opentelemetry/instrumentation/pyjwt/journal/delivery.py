"""One round through a journal: everything that is there is sent, and settled once it is acknowledged."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from opentelemetry.instrumentation.pyjwt.journal import directory as folder
from opentelemetry.instrumentation.pyjwt.journal.directory import Segment
from opentelemetry.instrumentation.pyjwt.journal.locks import is_alive
from opentelemetry.instrumentation.pyjwt.journal.retention import forget
from opentelemetry.instrumentation.pyjwt.journal.segments import Held, hold
from opentelemetry.instrumentation.pyjwt.journal.transport import DELIVERED, FAILED, Answer, Transport

_logger = logging.getLogger("opentelemetry.instrumentation.pyjwt")


class Undelivered(Exception):
    """The receiver could not be reached, or did not accept what it may accept later."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.reason)
        self.answer = answer


class Interrupted(Exception):
    """There is no time left."""


class OnceAMinute:
    """A line in the log, at most one a minute."""

    def __init__(self, level: int) -> None:
        self._level = level
        self._next = 0.0

    def __call__(self, message: str, *args: object) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + 60
            _logger.log(self._level, message, *args)


class Delivery:
    """Delivers a journal, round by round.

    Args:
        own: gives the stream of this process, or nothing while it has none; asked each round, which delivers this one
            and those of processes that are gone. ``None``: every stream.
        timeout: seconds one request may take.
        delivered: called with the number of records, each time some were acknowledged.
    """

    def __init__(
        self,
        directory: Path,
        transport: Transport,
        *,
        own: Callable[[], str] | None,
        timeout: float,
        delivered: Callable[[int], None],
    ) -> None:
        self._directory = directory
        self._transport = transport
        self._own = own
        self._timeout = timeout
        self._delivered = delivered
        self._done: set[Path] = set()
        # What was acknowledged although its position could not be written.
        self._unwritten: dict[Path, int] = {}
        self._refusal = OnceAMinute(logging.ERROR)
        self._failure = OnceAMinute(logging.ERROR)
        #: Records in dead letters since the start.
        self.refused = 0
        #: Last lines of dead processes that were cut short.
        self.torn = 0
        #: When to stop, on the monotonic clock.
        self.deadline = float("inf")

    def round(self) -> None:
        """Everything there is, once.

        Raises:
            Undelivered: something is to be sent again later.
            Interrupted: the deadline has passed.
            OSError: the journal cannot be read.
        """
        seen: set[Path] = set()
        own = None if self._own is None else self._own()
        for stream, segments in folder.streams(self._directory).items():
            seen.update(segment.path for segment in segments)
            dead = stream != own and not is_alive(self._directory, stream)
            if own in (None, stream) or dead:
                for segment in segments:  # all of them, also after one that is not to be had
                    self._segment(segment, closed=dead or segment is not segments[-1])
            if dead:
                with suppress(OSError):  # a lock too many harms nobody
                    forget(self._directory, stream)
        self._done &= seen
        self._unwritten = {path: position for path, position in self._unwritten.items() if path in seen}

    def _segment(self, segment: Segment, *, closed: bool) -> None:
        """Deliver what is there of a segment, and if it is closed, no more will be."""
        path = segment.path
        if path in self._done or segment.sealed:
            return
        try:
            with hold(path) as held:
                if held is None:
                    return
                position = max(held.position(), self._unwritten.get(path, 0))
                end = held.size()
                while position < end and (lines := held.lines(position)):
                    for count in self._deliver(held, lines):
                        position += count
                        self._settle(held, path, position)
                if not closed:
                    return
                if position < end:
                    held.set_aside(position)
                    self.torn += 1
                    self._settle(held, path, end)
        except OSError as error:  # of the disk; those of the network are answers
            self._failure("The journal's segment %s cannot be worked on: %s", path, error)
            return
        if path not in self._unwritten:
            self._done.add(path)

    def _deliver(self, held: Held, lines: list[bytes]) -> Iterator[int]:
        """Have the lines acknowledged, or those at fault set aside; yields the bytes that are settled, in order."""
        answer = self._send(lines)
        if answer.kind == DELIVERED:
            self._delivered(len(lines))
        elif len(lines) == 1 or answer.rejected >= len(lines):
            held.bury(lines, answer.reason, answer.status)
            self.refused += len(lines)
            self._refusal(
                "The receiver refuses records of the journal for good (%s). They are kept in %s; %d so far.",
                answer.reason,
                self._directory / "dead-letter",
                self.refused,
            )
        else:
            middle = len(lines) // 2
            yield from self._deliver(held, lines[:middle])
            yield from self._deliver(held, lines[middle:])
            return
        yield sum(map(len, lines)) + len(lines)

    def _send(self, lines: list[bytes]) -> Answer:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Interrupted
        answer = self._transport.send(lines, min(self._timeout, left))
        if answer.kind == FAILED:
            raise Undelivered(answer)
        return answer

    def _settle(self, held: Held, path: Path, position: int) -> None:
        try:
            held.settle(position)
            self._unwritten.pop(path, None)
        except OSError as error:
            self._unwritten[path] = position
            self._failure("The journal's position in %s cannot be written: %s", path, error)
