"""A stream: the records of one process, chained, in the segments they are written to."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections import deque
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final

from opentelemetry.instrumentation.pyjwt.journal import directory as folder
from opentelemetry.instrumentation.pyjwt.journal.chain import FIRST
from opentelemetry.instrumentation.pyjwt.journal.checkpoint import Signer
from opentelemetry.instrumentation.pyjwt.journal.locks import create_lock
from opentelemetry.instrumentation.pyjwt.journal.record import Draft, line, sequenced, vouched

_NONE: Final = -1


class Stream:
    """A new stream. Its owner sees to it that one thread at a time is in here.

    Args:
        directory: where its segments are.
        envelope: what stands before and behind each record.
    """

    def __init__(self, directory: Path, envelope: tuple[bytes, bytes]) -> None:
        self.id = uuid.uuid4().hex
        self.number = 0  # of the record written last
        self.prev_hash = FIRST
        self.synced = 0  # number of the record up to which the disk has them
        self.path = directory  # of the segment, once there is one
        self.size = 0  # of the segment, in bytes
        self.opened = 0.0  # when the segment was opened, on the monotonic clock
        self.broken = False  # a write has begun and not ended: nothing may follow it
        self.envelope = envelope
        self._directory = directory
        self._retired: deque[int] = deque()  # descriptors of segments that grow no more, to be synced and closed
        self._new = False  # a segment is there that the disk's directory may not have yet
        self._segment = _NONE
        self._lock = create_lock(directory, self.id)
        try:
            self._open()
        except OSError:
            self.close()
            raise

    def place(self, draft: Draft) -> tuple[bytes, bytes]:
        """The draft as the stream's next record: what is hashed, and what is written."""
        canonical = sequenced(draft, self.id, self.number + 1, self.prev_hash)
        return canonical, line(self.envelope, draft, canonical, time.time_ns())

    def vouched(self, draft: Draft, signer: Signer, issued_at: int) -> Draft:
        """The draft of a checkpoint, signed as the stream's next record."""
        canonical, _ = self.place(draft)
        claims: dict[str, str | int] = {
            "stream_id": self.id,
            "number": self.number + 1,
            "hash": self.prev_hash,
            "digest": sha256(canonical).hexdigest(),
            "iat": issued_at,
        }
        return vouched(draft, signer.proof(claims))

    def append(self, canonical: bytes, text: bytes) -> None:
        """Write what :meth:`place` gave. The kernel has it when this returns.

        Raises:
            OSError: nothing of it was written.
        """
        self.broken = True  # until it is done: a signal handler may raise anywhere in between
        try:
            written = os.write(self._segment, text)
            if written != len(text):
                self._complete(text[written:])
        except OSError:
            self.broken = os.fstat(self._segment).st_size != self.size
            raise
        self.prev_hash = sha256(canonical).hexdigest()
        self.number += 1
        self.size += len(text)
        self.broken = False

    def rotate(self) -> None:
        """Go on in a new segment, which closes this one.

        Raises:
            OSError: there is no new one.
        """
        previous = self._segment
        self.broken = True  # until it is done: this segment may be closed already
        try:
            self._open()
            self._retired.append(previous)
        except OSError:
            self.broken = False
            raise
        self.broken = False

    def sync(self, fsync: Callable[[int], None]) -> None:
        """Have the disk take what the kernel has. Not for two threads at a time, but beside those who write."""
        reached, new, self._new = self.number, self._new, False
        self._retire(fsync)
        if (segment := self._segment) != _NONE:
            fsync(segment)
        if new:
            descriptor = os.open(self._directory, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fsync(descriptor)
            finally:
                os.close(descriptor)
        self.synced = reached

    def lost(self) -> bool:
        """Whether somebody has removed the segment from under us."""
        return os.fstat(self._segment).st_nlink == 0

    def end(self) -> None:
        """Nothing more is written. What is retired is still to be synced; the lock goes with :meth:`close`."""
        if self._segment != _NONE:
            self._retired.append(self._segment)
            self._segment = _NONE

    def close(self) -> None:
        """Let go of the stream; also of another process's, whose files we have by having been forked."""
        self.end()
        self._retire()
        if self._lock != _NONE:
            lock, self._lock = self._lock, _NONE
            os.close(lock)

    def _retire(self, fsync: Callable[[int], None] | None = None) -> None:
        while self._retired:
            descriptor = self._retired.popleft()
            try:
                if fsync is not None:
                    fsync(descriptor)
            finally:
                os.close(descriptor)

    def _open(self) -> None:
        path = folder.segment_path(self._directory, self.id, self.number + 1)
        self._segment = folder.create(path)
        self.path, self.size, self.opened, self._new = path, 0, time.monotonic(), True

    def _complete(self, rest: bytes) -> None:
        """The disk has room for a part of a line: for the rest, too, or for none of it."""
        try:
            while rest:
                rest = rest[os.write(self._segment, rest) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._segment, self.size)
            raise error
