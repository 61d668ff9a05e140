"""The journal of this process: takes events from all threads, and has each on the disk before it returns.

A fork begins a stream of its own with its first record. What goes wrong within a write ends the stream as it stands,
and the next record begins another: a stream is whole up to its end, whatever happened.
"""

from __future__ import annotations

import atexit
import errno
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt.events import AuditEvent
from opentelemetry.instrumentation.pyjwt.journal import directory as folder
from opentelemetry.instrumentation.pyjwt.journal.checkpoint import Signer, checkpoint
from opentelemetry.instrumentation.pyjwt.journal.companion import STOP, Companion, companions
from opentelemetry.instrumentation.pyjwt.journal.losses import JournalFull, Losses
from opentelemetry.instrumentation.pyjwt.journal.policy import Policy
from opentelemetry.instrumentation.pyjwt.journal.record import Draft, Drafter, SpanIds, envelope
from opentelemetry.instrumentation.pyjwt.journal.retention import sweep
from opentelemetry.instrumentation.pyjwt.journal.sealing import Sealer
from opentelemetry.instrumentation.pyjwt.journal.stream import Stream

_logger = logging.getLogger("opentelemetry.instrumentation.pyjwt")
_CHECKPOINT: Final = 60.0  # seconds of activity between checkpoints
_LOOK: Final = 100  # times as long as a look at the directory takes, until the next
_ATTEMPTS: Final = 3  # at a job that is interrupted by exceptions
_SWEEP: Final = 60.0  # seconds between looks for what may go

#: What is done to a stream, by one at a time. Gives what there is to raise.
Job = Callable[[], JournalFull | None]


class Journal:
    """A journal in ``directory``.

    Args:
        resource: gives the resource of what is written, asked once for each stream.
        signer: of checkpoints, if there are to be any.
        sealer: of segments, if they are to be sealed.
        forwarding: makes what delivers the journal, if anything does; once in each process that writes.

    Raises:
        Unusable: the directory cannot be used, or must not.
    """

    def __init__(
        self,
        directory: Path,
        policy: Policy,
        resource: Callable[[], Mapping[str, Any]],
        signer: Signer | None = None,
        sealer: Sealer | None = None,
        forwarding: Callable[[Journal], Companion | None] = lambda journal: None,
    ) -> None:
        folder.prepare(directory)
        self.directory = directory
        self.policy = policy
        self.sealer = sealer
        self.forwarding = forwarding
        self._resource = resource
        self._signer = signer
        self._drafter = Drafter()
        self.stopped = False
        self._stream: Stream | None = None
        self._companions: tuple[Companion, ...] = ()
        self._renew()
        _journals.add(self)
        atexit.register(self.stop)

    def _renew(self) -> None:
        """Begin anew, in this process: what a fork finds is its parent's."""
        if self._stream is not None:
            self._stream.close()
        self._stream = None
        for companion in self._companions:
            companion.forsake()
        self._companions = ()
        self._lock = threading.RLock()  # held by one job at a time
        self._owner = 0  # the thread whose job it is
        self._jobs: deque[Job] = deque()
        self._sync_lock = threading.RLock()  # held by one who syncs and closes files
        self._others = 0  # bytes in the directory as of the last look, less those written by this process
        self._grown = 0  # bytes written by this process
        self._looked = 0.0  # when to look next, on the monotonic clock
        self._checkpointed = (0, time.monotonic())  # number of the last checkpoint, and when it was
        self._swept = time.monotonic()
        #: Records written by this process, and those that could not be.
        self.written = 0
        self.losses = Losses(self.directory, refuse=self.policy.on_full == "refuse")

    # --- for those who write -------------------------------------------------------------------------------

    def write(self, event: AuditEvent, span: SpanIds | None = None) -> None:
        """Write the record of ``event``: then nothing that happens to this process does anything to it.

        Raises:
            JournalFull: it could not be written, and the policy is to refuse.
        """
        refusal = self._exclusively(partial(self._append, self._drafter.draft(event, span)))
        if refusal is None and self.policy.fsync == "always":
            refusal = self._sync_now()
        if refusal is not None:
            raise refusal

    def stop(self) -> None:
        """The last checkpoint, all synced, the lock free, and delivered what can be in the time that is given to it.

        What is written later begins another stream.
        """
        deadline = time.monotonic() + STOP
        atexit.unregister(self.stop)
        self.stopped = True
        self._exclusively(self._finish)  # after it nothing begins that is not ended below
        for companion in self._companions:
            companion.stop(max(deadline - time.monotonic(), 0.0))
        self._companions = ()
        self.losses.complain(at_last=True)

    def stream_id(self) -> str:
        """The stream this process writes now; empty while there is none."""
        return "" if (stream := self._stream) is None else stream.id

    def pending(self) -> int:
        """Records of this process that have not been delivered; within a segment, by their share of its bytes."""
        if (stream := self._stream) is None:
            return 0
        segments = folder.streams(self.directory).get(stream.id, [])
        following = [segment.first for segment in segments[1:]] + [stream.number + 1]
        return sum(map(folder.undelivered, segments, following))

    # --- for those who look after it --------------------------------------------------------------------------

    def tick(self) -> None:
        """The rounds, once a second."""
        if time.monotonic() >= self._looked:
            started, grown = time.monotonic(), self._grown
            self._others = folder.usage(self.directory) - grown
            self._looked = started + _LOOK * (time.monotonic() - started)
        self._exclusively(self._look_after)
        with self._sync_lock:
            if (stream := self._stream) is not None:
                stream.sync(self._fsync)
        if time.monotonic() - self._swept >= _SWEEP:
            self._swept = time.monotonic()
            sweep(self.directory, self.policy.retention)
        self.losses.complain()

    # --- one at a time ------------------------------------------------------------------------------------------

    def _exclusively(self, job: Job) -> JournalFull | None:
        """Have the job done, alone."""
        refusal = interruption = None
        thread = threading.get_ident()
        if self._owner == thread:
            # We are in a signal handler or a finalizer, within a job of this thread: that one goes on to ours.
            self._jobs.append(job)
            return None
        with self._lock:
            try:
                self._owner = thread
                self._jobs.append(job)
                attempts = 0
                while self._jobs:
                    try:
                        refusal = self._jobs[0]() or refusal
                        self._jobs.popleft()
                        attempts = 0
                    except BaseException as error:  # raised by a signal handler, and then it is not the job's fault
                        interruption = error
                        attempts += 1
                        if attempts == _ATTEMPTS:
                            self._jobs.popleft()
                            attempts = 0
            finally:
                self._owner = 0
        if interruption is not None:
            raise interruption
        return refusal

    def _append(self, draft: Draft) -> JournalFull | None:
        try:
            if (stream := self._stream) is not None and stream.broken:
                self._end()
            elif stream is not None and stream.size >= self.policy.rotate_bytes:
                self._rotate(stream)
            self._write(self._stream or self._begin(), draft)
        except OSError as error:
            return self.losses.record(error)
        return None

    def _write(self, stream: Stream, draft: Draft) -> None:
        canonical, text = stream.place(draft)
        if self._others + self._grown + len(text) > self.policy.max_bytes:
            raise OSError(errno.EDQUOT, f"it holds {self.policy.max_bytes} bytes, the most it may")
        stream.append(canonical, text)
        self._grown += len(text)
        self.written += 1

    def _begin(self) -> Stream:
        """A stream for this process, and the threads that go with it."""
        if not self._companions and not self.stopped:
            self._companions = companions(self)
        try:
            folder.prepare(self.directory)
        except folder.Unusable as unusable:
            raise OSError(errno.EACCES, str(unusable)) from None
        self._others = folder.usage(self.directory) - self._grown
        self._stream = Stream(self.directory, envelope(self._resource()))
        self._checkpointed = (0, time.monotonic())
        return self._stream

    def _look_after(self) -> None:
        if (stream := self._stream) is None:
            return
        if stream.broken:
            self._end()
        elif stream.lost():
            _logger.error("Somebody has removed %s, which was being written to.", stream.path)
            self._end()
        elif stream.size and time.monotonic() - stream.opened >= self.policy.rotate:
            self._rotate(stream)
        elif time.monotonic() - self._checkpointed[1] >= _CHECKPOINT:
            self._checkpoint(stream)

    def _rotate(self, stream: Stream) -> None:
        self._checkpoint(stream)
        if stream.broken:
            return
        try:
            stream.rotate()
        except OSError as error:  # no more files: this one goes on
            self.losses.trouble(error)

    def _checkpoint(self, stream: Stream) -> None:
        """Sign what the stream holds, unless the last checkpoint says it already."""
        if self._signer is None or stream.broken or stream.number == self._checkpointed[0]:
            return
        event = checkpoint()
        draft = stream.vouched(self._drafter.draft(event), self._signer, event.time_unix_nano // 1_000_000_000)
        try:
            self._write(stream, draft)
        except OSError as error:
            self.losses.trouble(error)
        self._checkpointed = (stream.number, time.monotonic())

    def _finish(self) -> None:
        if (stream := self._stream) is not None:
            self._checkpoint(stream)
            self._end()

    def _end(self) -> None:
        """Nothing more is written to the stream."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.end()
            with self._sync_lock:
                try:
                    stream.sync(self._fsync)
                except OSError as error:
                    self.losses.trouble(error)
                finally:
                    stream.close()

    # --- the disk -----------------------------------------------------------------------------------------------

    def _fsync(self, descriptor: int) -> None:
        if self.policy.fsync != "never":
            os.fsync(descriptor)

    def _sync_now(self) -> JournalFull | None:
        """What is written until now is on the disk then, whoever wrote it: several writers share one sync."""
        stream = self._stream
        if stream is None:
            return None  # it has been ended meanwhile, and synced
        number = stream.number
        try:
            with self._sync_lock:
                if stream.synced < number:
                    stream.sync(self._fsync)
        except OSError as error:
            return self.losses.trouble(error)
        return None


_journals: weakref.WeakSet[Journal] = weakref.WeakSet()


def _renew_all() -> None:
    for journal in _journals:
        journal._renew()


os.register_at_fork(after_in_child=_renew_all)
