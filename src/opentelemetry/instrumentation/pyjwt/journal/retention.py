"""What may go: segments that are closed, delivered and old, and locks of streams that are no more, or never were."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from opentelemetry.instrumentation.pyjwt.journal import directory as folder
from opentelemetry.instrumentation.pyjwt.journal.directory import Segment

_BIRTH: Final = 3600.0  # seconds after which a lock that was about to be made never will be


def sweep(directory: Path, retention: float) -> None:
    """Remove what is delivered and was last written to more than ``retention`` seconds ago."""
    streams = folder.segments(directory)
    for stream_id, segments in streams.items():
        alive = _is_alive(directory, stream_id)
        for segment in segments[:-1] if alive else segments:
            _remove(segment, retention)
    locks = {path.name.removesuffix(".lock") for path in directory.glob("*.lock")}
    _remove_locks(directory, locks - folder.segments(directory).keys())
    for unfinished in directory.glob("*.lock.tmp"):
        _remove_unfinished(unfinished)


def _is_alive(directory: Path, stream_id: str) -> bool:
    path = folder.lock_path(directory, stream_id)
    with folder.held(path) as free:
        return not free and path.exists()


def _remove(segment: Segment, retention: float) -> None:
    path = segment.path
    with folder.held(path) as ours, contextlib.suppress(FileNotFoundError):
        found = path.stat()
        delivered = segment.sealed or folder.position(path) == found.st_size
        if ours and delivered and found.st_mtime < time.time() - retention:
            path.unlink()
            path.with_name(f"{path.name}.position").unlink(missing_ok=True)


def _remove_locks(directory: Path, stream_ids: Iterable[str]) -> None:
    for stream_id in stream_ids:
        path = folder.lock_path(directory, stream_id)
        with folder.held(path) as free:
            # Held, and none of its segments left: it was looked for before, when the stream may just have begun.
            if free and not any(directory.glob(f"{stream_id}.*.jsonl*")):
                path.unlink(missing_ok=True)


def _remove_unfinished(lock: Path) -> None:
    """A lock whose process was killed before it had its name."""
    with folder.held(lock) as free, contextlib.suppress(FileNotFoundError):
        if free and lock.stat().st_mtime < time.time() - _BIRTH:
            lock.unlink()
