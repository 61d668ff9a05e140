"""What may go: segments that are closed, delivered and old, and locks of streams that are no more, or never were."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from opentelemetry.instrumentation.pyjwt.journal import directory as folder
from opentelemetry.instrumentation.pyjwt.journal.directory import Segment
from opentelemetry.instrumentation.pyjwt.journal.locks import TAKEN, held, is_alive

_BIRTH: Final = 3600.0  # seconds after which a lock that was about to be made never will be


def sweep(directory: Path, retention: float) -> None:
    """Remove what is delivered and was last written to more than ``retention`` seconds ago."""
    for stream_id, segments in folder.streams(directory).items():
        for segment in segments[:-1] if is_alive(directory, stream_id) else segments:
            _remove(segment, time.time() - retention)
    for lock in directory.glob("*.lock"):
        forget(directory, lock.name.removesuffix(".lock"))
    for unfinished in directory.glob("*.lock.tmp"):
        _remove_unfinished(unfinished)


def forget(directory: Path, stream_id: str) -> None:
    """Remove the lock of a stream whose process is gone, once none of its segments waits to be delivered."""
    path = folder.lock_path(directory, stream_id)
    with held(path) as descriptor:
        # Looked for while it is held: before, the stream may just have begun.
        if descriptor not in (None, TAKEN) and all(
            map(folder.is_settled, folder.streams(directory).get(stream_id, []))
        ):
            path.unlink(missing_ok=True)


def _remove(segment: Segment, until: float) -> None:
    with held(segment.path) as descriptor:
        if descriptor not in (None, TAKEN) and folder.is_settled(segment) and segment.path.stat().st_mtime < until:
            segment.path.unlink()
            folder.beside(segment.plain, ".position").unlink(missing_ok=True)


def _remove_unfinished(lock: Path) -> None:
    """A lock whose process was killed before it had its name."""
    with held(lock) as descriptor:
        if descriptor not in (None, TAKEN) and lock.stat().st_mtime < time.time() - _BIRTH:
            lock.unlink()
