"""The journal on disk as a forwarder sees it: its segments, who holds them, and how far they were delivered.

A segment ``{stream}.{first}.jsonl`` is written by one process, which holds ``{stream}.lock`` as long as it lives.
It is closed once a later one of its stream exists or its process is gone. Who forwards a segment holds a lock on the
segment itself. ``{segment}.position`` tells how many of its bytes are settled: acknowledged, or set aside.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

_NAME: Final = re.compile(r"([0-9a-f]{32})\.([0-9]{12,})\.jsonl")
#: Bytes read at a time; a longer line is read whole.
CHUNK: Final = 512 * 1024

# A lock lives as long as any copy of its descriptor, and a forked child has copies of its parent's: left open, a
# segment would stay locked after the death of the only process that works on it.
_descriptors: set[int] = set()
_opening = threading.Lock()


def _close_inherited() -> None:
    for descriptor in _descriptors:
        with suppress(OSError):
            os.close(descriptor)
    _descriptors.clear()
    _opening.release()


os.register_at_fork(before=_opening.acquire, after_in_parent=_opening.release, after_in_child=_close_inherited)


class Segment(NamedTuple):
    """A segment by its name."""

    stream: str
    first: int
    path: Path


def streams(directory: Path) -> Iterator[tuple[str, list[Segment]]]:
    """Each stream with its segments in order. Raises OSError if the directory cannot be read."""
    with os.scandir(directory) as entries:
        found = sorted(
            Segment(match[1], int(match[2]), directory / entry.name)
            for entry in entries
            if (match := _NAME.fullmatch(entry.name)) and entry.is_file(follow_symlinks=False)
        )
    for stream, segments in groupby(found, key=lambda segment: segment.stream):
        yield stream, list(segments)


def is_alive(directory: Path, stream: str) -> bool:
    """Whether the process that writes the stream lives."""
    with _locked(directory / f"{stream}.lock", fcntl.LOCK_SH) as descriptor:  # others may ask at the same time
        return descriptor == -1


def forget(directory: Path, stream: str) -> None:
    """Remove the lock file of a dead stream that is delivered."""
    with suppress(OSError):
        (directory / f"{stream}.lock").unlink()


def pending(directory: Path) -> int:
    """Records that are not settled yet; raises OSError if the directory cannot be read."""
    count = 0
    for _, segments in streams(directory):
        for segment in segments:
            with suppress(FileNotFoundError), open(segment.path, "rb") as file:
                file.seek(position(segment.path, os.fstat(file.fileno()).st_size, file.fileno()))
                while chunk := file.read(CHUNK):
                    count += chunk.count(b"\n")
    return count


def position(path: Path, size: int, descriptor: int) -> int:
    """Bytes of a segment that are settled. A position that cannot be is none: better twice than not at all."""
    try:
        settled = int(_beside(path, ".position").read_bytes())
    except (FileNotFoundError, ValueError):
        return 0
    if settled == size or (0 < settled < size and os.pread(descriptor, 1, settled - 1) == b"\n"):
        return settled
    return 0


class Held:
    """A segment that nobody else forwards, seals or deletes meanwhile."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def position(self) -> int:
        return position(self._path, self.size(), self._descriptor)

    def lines(self, start: int) -> list[bytes]:
        """Whole lines from ``start``, without their ends; none if there is no whole one."""
        limit = CHUNK
        while True:
            chunk = os.pread(self._descriptor, limit, start)
            if lines := chunk.split(b"\n")[:-1]:
                return lines
            if len(chunk) < limit:
                return []
            limit *= 2

    def settle(self, position: int) -> None:
        """Note that all before ``position`` is done with. Raises OSError, with the old position in force."""
        name = _beside(self._path, ".position")
        temporary = _beside(self._path, ".position.tmp")
        with _private(temporary, os.O_TRUNC) as descriptor:
            os.write(descriptor, b"%d" % position)
        temporary.replace(name)

    def set_aside(self, start: int) -> None:
        """Keep what a dead process left of its last line, which is no record, under ``torn/``."""
        folder = self._path.parent / "torn"
        folder.mkdir(mode=0o700, exist_ok=True)
        rest = os.pread(self._descriptor, self.size() - start, start)
        with _private(folder / self._path.name, os.O_TRUNC) as descriptor:
            _write(descriptor, rest)

    def bury(self, lines: Sequence[bytes], reason: str, status: int | None) -> None:
        """Keep lines that were refused for good under ``dead-letter/``, with the reason; it is on the disk then."""
        folder = self._path.parent / "dead-letter"
        folder.mkdir(mode=0o700, exist_ok=True)
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        head = json.dumps({"reason": reason, "status": status, "time": now}, separators=(",", ":"))[:-1].encode()
        letters = b"".join(b'%s,"request":%s}\n' % (head, _as_json(line)) for line in lines)
        with _private(folder / self._path.name, os.O_APPEND) as descriptor:
            _write(descriptor, letters)
            os.fsync(descriptor)


@contextmanager
def hold(path: Path) -> Iterator[Held | None]:
    """The segment, locked; ``None`` if somebody else has it or it is gone."""
    with _locked(path, fcntl.LOCK_EX) as descriptor:
        if descriptor is None or descriptor == -1 or os.fstat(descriptor).st_nlink == 0:
            yield None
        else:
            yield Held(path, descriptor)


@contextmanager
def _locked(path: Path, how: int) -> Iterator[int | None]:
    """A descriptor of the file, locked; ``None`` if there is no such file, -1 if somebody else has it locked."""
    try:
        with _opening:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            _descriptors.add(descriptor)
    except FileNotFoundError:
        yield None
        return
    try:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            yield -1
        else:
            yield descriptor
    finally:
        with _opening:
            _descriptors.discard(descriptor)
            os.close(descriptor)


@contextmanager
def _private(path: Path, flag: int) -> Iterator[int]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | flag, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _as_json(line: bytes) -> bytes:
    """The line as it was, or, if it is no JSON, a string of it."""
    try:
        json.loads(line)
    except ValueError:
        return json.dumps(line.decode("utf-8", "backslashreplace")).encode()
    return line
