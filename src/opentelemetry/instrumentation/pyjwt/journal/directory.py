"""The journal's directory: who may have it, what is in it, how much.

``{stream}.{first:012d}.jsonl`` is a segment: records of one stream, the first of them of that number, and with
``.age`` behind it, encrypted. Its process holds a lock on ``{stream}.lock`` for as long as it lives; a segment is
closed, and grows no more, once that is free or a later segment of its stream exists. ``{segment}.position`` says how
many bytes of it are settled: delivered, or set aside.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import stat
from pathlib import Path
from typing import Final, NamedTuple

_SEGMENT: Final = re.compile(r"([0-9a-f]{32})\.([0-9]{12,})\.jsonl(\.age)?")
_CREATE: Final = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC


class Unusable(Exception):
    """The directory is none that an audit trail can be entrusted to; says why."""


class Segment(NamedTuple):
    """A segment as its name tells it."""

    stream_id: str
    first: int  #: sequence number of its first record
    sealed: bool  #: encrypted, which is done to closed and settled ones
    path: Path


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


def beside(segment: Path, suffix: str) -> Path:
    """A file that belongs to a segment."""
    return segment.with_name(segment.name + suffix)


def create(path: Path) -> int:
    """A new file that only its owner can read, open for appending."""
    return os.open(path, _CREATE, 0o600)


def as_segment(path: Path) -> Segment | None:
    """The segment of that name, if it is one's name."""
    if (match := _SEGMENT.fullmatch(path.name)) is None:
        return None
    stream_id, first, sealed = match.groups()
    return Segment(stream_id, int(first), sealed is not None, path)


def streams(directory: Path) -> dict[str, list[Segment]]:
    """The segments of each stream, in order. Raises OSError if the directory cannot be read."""
    found: dict[str, list[Segment]] = {}
    with os.scandir(directory) as entries:
        paths = [Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False)]
    for segment in sorted(filter(None, map(as_segment, paths))):
        found.setdefault(segment.stream_id, []).append(segment)
    return found


def position(segment: Path) -> int:
    """How many of the segment's bytes are settled, as it is noted."""
    try:
        return int(beside(segment, ".position").read_bytes())
    except (FileNotFoundError, ValueError):
        return 0


def is_settled(segment: Segment) -> bool:
    """Whether nothing that is in the segment, or was, is left to be delivered."""
    try:
        return segment.sealed or position(segment.path) == segment.path.stat().st_size
    except FileNotFoundError:
        return True


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
