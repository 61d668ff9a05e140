"""The journal's locks (``flock``): who writes a stream, and who works on a segment."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from opentelemetry.instrumentation.pyjwt.journal.directory import create, lock_path

#: In place of a descriptor: somebody else has it locked.
TAKEN: Final = -1

# A lock lives as long as any copy of its descriptor, and a forked child has copies of its parent's: left open, a
# segment would stay locked after the death of the only process that works on it.
_descriptors: set[int] = set()
_opening = threading.RLock()


def _close_inherited() -> None:
    for descriptor in _descriptors:
        with suppress(OSError):
            os.close(descriptor)
    _descriptors.clear()
    _opening.release()


os.register_at_fork(before=_opening.acquire, after_in_parent=_opening.release, after_in_child=_close_inherited)


def create_lock(directory: Path, stream_id: str) -> int:
    """The stream's lock, held. It appears under its name when it is held already, or somebody might find it free."""
    path = lock_path(directory, stream_id)
    unlocked = path.with_suffix(".lock.tmp")
    descriptor = create(unlocked)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    unlocked.rename(path)
    return descriptor


def is_alive(directory: Path, stream_id: str) -> bool:
    """Whether the process that writes the stream lives."""
    with held(lock_path(directory, stream_id), fcntl.LOCK_SH) as descriptor:  # others may ask at the same time
        return descriptor == TAKEN


@contextmanager
def held(path: Path, how: int = fcntl.LOCK_EX) -> Iterator[int | None]:
    """A descriptor of the file, locked within the block; ``None`` if there is no such file, or :data:`TAKEN`."""
    try:
        with _opening:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            _descriptors.add(descriptor)
    except FileNotFoundError:
        yield None
        return
    try:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            yield TAKEN
        else:
            # It may have been removed after it was opened.
            yield descriptor if os.fstat(descriptor).st_nlink else None
    finally:
        with _opening:
            _descriptors.discard(descriptor)
            os.close(descriptor)
