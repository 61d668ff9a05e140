"""A segment in the hands of one who works on it: what of it is settled, what comes next, what is set aside."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from opentelemetry.instrumentation.pyjwt.journal import directory as folder
from opentelemetry.instrumentation.pyjwt.journal.locks import TAKEN, held

#: Bytes read at a time; a longer line is read whole.
CHUNK: Final = 512 * 1024


class Held:
    """A segment that nobody else forwards, seals or deletes meanwhile."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def position(self) -> int:
        """Bytes that are settled. A position that cannot be is none: better twice than not at all."""
        settled, size = folder.position(self._path), self.size()
        if settled == size or (0 < settled < size and os.pread(self._descriptor, 1, settled - 1) == b"\n"):
            return settled
        return 0

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
        temporary = folder.beside(self._path, ".position.tmp")
        with _private(temporary, os.O_TRUNC) as descriptor:
            os.write(descriptor, b"%d" % position)
        temporary.replace(folder.beside(self._path, ".position"))

    def set_aside(self, start: int) -> None:
        """Keep what a dead process left of its last line, which is no record, under ``torn/``."""
        rest = os.pread(self._descriptor, self.size() - start, start)
        with _private(self._aside("torn"), os.O_TRUNC) as descriptor:
            _write(descriptor, rest)

    def bury(self, lines: Sequence[bytes], reason: str, status: int | None) -> None:
        """Keep lines that were refused for good under ``dead-letter/``, with the reason; it is on the disk then."""
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        head = json.dumps({"reason": reason, "status": status, "time": now}, separators=(",", ":"))[:-1].encode()
        letters = b"".join(b'%s,"request":%s}\n' % (head, _as_json(line)) for line in lines)
        with _private(self._aside("dead-letter"), os.O_APPEND) as descriptor:
            _write(descriptor, letters)
            os.fsync(descriptor)

    def _aside(self, name: str) -> Path:
        """The file of the same name in a folder of that name."""
        path = self._path.parent / name
        path.mkdir(mode=0o700, exist_ok=True)
        return path / self._path.name


@contextmanager
def hold(path: Path) -> Iterator[Held | None]:
    """The segment, locked; ``None`` if somebody else has it or it is gone."""
    with held(path) as descriptor:
        yield None if descriptor in (None, TAKEN) else Held(path, descriptor)


def pending(directory: Path) -> int:
    """Records that are not settled yet; raises OSError if the directory cannot be read."""
    count = 0
    for segments in folder.streams(directory).values():
        for segment in segments:
            if segment.sealed:
                continue
            with suppress(FileNotFoundError), open(segment.path, "rb") as file:
                file.seek(Held(segment.path, file.fileno()).position())
                while chunk := file.read(CHUNK):
                    count += chunk.count(b"\n")
    return count


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


def _as_json(line: bytes) -> bytes:
    """The line as it was, or, if it is no JSON, a string of it."""
    try:
        json.loads(line)
    except ValueError:
        return json.dumps(line.decode("utf-8", "backslashreplace")).encode()
    return line
