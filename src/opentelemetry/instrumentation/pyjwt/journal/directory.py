"""The journal's directory: who may have it, what is in it, how much.

``{stream}.{first:012d}.jsonl`` is a segment: records of one stream, the first of them of that number. Its process
holds a lock on ``{stream}.lock`` for as long as it lives; a segment is closed, and grows no more, once that is free
or a later segment of its stream exists. ``{segment}.position`` says how many bytes of it have been delivered.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

_SEGMENT: Final = re.compile(r"([0-9a-f]{32})\.([0-9]{12,})\.jsonl(\.age)?")
_CREATE: Final = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC


class Unusable(Exception):
    """The directory is none that an audit trail can be entrusted to; says why."""


class Segment(NamedTuple):
    """A segment as its name tells it."""

    path: Path
    stream_id: str
    first: int  #: sequence number of its first record
    sealed: bool  #: encrypted, which is done to closed and delivered ones


def prepare(directory: Path) -> None:
    """Make the directory if it is not there, and see that nobody else can read or change it.

    Raises:
        Unusable: it cannot be made, or it is not ours alone.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.stat()
    except OSError as error:
        raise Unusable(f"{directory} cannot be made: {error.strerror}") from None
    if found.st_uid != os.geteuid():
        raise Unusable(f"{directory} belongs to user {found.st_uid}, and this process is user {os.geteuid()}")
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mode = stat.S_IMODE(found.st_mode)
        raise Unusable(f"{directory} is open to others (mode {mode:04o}): chmod 0700 it")
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise Unusable(f"{directory} cannot be written to")


def segment_path(directory: Path, stream_id: str, first: int) -> Path:
    return directory / f"{stream_id}.{first:012d}.jsonl"


def lock_path(directory: Path, stream_id: str) -> Path:
    return directory / f"{stream_id}.lock"


def create(path: Path) -> int:
    """A new file that only its owner can read, open for appending."""
    return os.open(path, _CREATE, 0o600)


def create_lock(directory: Path, stream_id: str) -> int:
    """The stream's lock, held. It appears under its name when it is held already, or somebody might find it free."""
    path = lock_path(directory, stream_id)
    unlocked = path.with_suffix(".lock.tmp")
    descriptor = create(unlocked)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    unlocked.rename(path)
    return descriptor


def segments(directory: Path) -> dict[str, list[Segment]]:
    """The segments of each stream, in order."""
    found: dict[str, list[Segment]] = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            if (match := _SEGMENT.fullmatch(entry.name)) is not None:
                stream_id, first, sealed = match.groups()
                segment = Segment(Path(entry.path), stream_id, int(first), sealed is not None)
                found.setdefault(stream_id, []).append(segment)
    for stream in found.values():
        stream.sort(key=lambda segment: segment.first)
    return found


def position(segment: Path) -> int:
    """How many of the segment's bytes have been delivered."""
    try:
        return int(segment.with_name(f"{segment.name}.position").read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return 0


def undelivered(segment: Segment, following: int) -> int:
    """How many of the segment's records have not been delivered, where the next segment begins with ``following``.

    Where some have, an estimate: their share of its bytes.
    """
    try:
        size = segment.path.stat().st_size
    except FileNotFoundError:
        return 0
    rest = max(size - position(segment.path), 0)
    return math.ceil((following - segment.first) * rest / size) if rest and not segment.sealed else 0


def usage(directory: Path) -> int:
    """Bytes in the directory and those below it."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # somebody has just delivered it
                total += os.stat(os.path.join(folder, name)).st_size
    return total


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold the lock on a file within the block, if it is there and nobody else does."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
