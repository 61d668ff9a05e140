"""Seals segments: what is closed and delivered stays on the disk encrypted, to recipients of age (``age1…``, SSH keys).

A sealed segment takes the place of the plain one once it is whole and on the disk. A crash leaves the plain one, or
both, and then it is done again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from opentelemetry.instrumentation.pyjwt.journal import directory as folder
from opentelemetry.instrumentation.pyjwt.journal.directory import Segment
from opentelemetry.instrumentation.pyjwt.journal.locks import TAKEN, held, is_alive


class Sealer:
    """Encrypts to ``recipients``, with public keys alone.

    Args:
        undelivered: seal also what has not been delivered; nobody delivers it afterwards.

    Raises:
        ValueError: one of the recipients is none; the message says which.
        ImportError: ``pyrage`` is not installed.
    """

    def __init__(self, recipients: Sequence[str], *, undelivered: bool = False) -> None:
        self._recipients = [_recipient(text, number) for number, text in enumerate(recipients, 1)]
        self._undelivered = undelivered

    def round(self, directory: Path, over: Callable[[], bool] = lambda: False) -> int:
        """Seal all that may be; returns how many segments.

        Args:
            over: asked all the time: whether to leave the rest for another round.

        Raises:
            OSError: the directory cannot be read, or segments cannot be sealed, the first of them for that reason;
                all others are.
        """
        sealed = 0
        failure: OSError | None = None
        for stream_id, segments in folder.streams(directory).items():
            for segment in segments[:-1] if is_alive(directory, stream_id) else segments:
                if segment.sealed:
                    continue
                try:
                    sealed += self._seal(segment, over)
                except OSError as error:
                    if over():
                        return sealed
                    failure = failure or error
        if failure is not None:
            raise failure
        return sealed

    def _seal(self, segment: Segment, over: Callable[[], bool]) -> bool:
        path = segment.path
        with held(path) as descriptor:
            if descriptor is None or descriptor == TAKEN or not (self._undelivered or folder.is_settled(segment)):
                return False
            temporary = folder.beside(path, ".age.tmp")
            try:
                self._encrypt(_Plain(descriptor, over), temporary)
                temporary.replace(folder.beside(path, ".age"))
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            _sync(path.parent)
            path.unlink()
            folder.beside(path, ".position").unlink(missing_ok=True)
        return True

    def _encrypt(self, plain: _Plain, target: Path) -> None:
        import pyrage

        with open(target, "wb", opener=_private) as sealed:
            try:
                # Not encrypt_file(), which stops all other threads for as long as it takes.
                pyrage.encrypt_io(plain, sealed, self._recipients)
            except pyrage.EncryptError as error:  # whatever the files have raised: its text is left of it
                raise OSError(f"{target}: {error}") from None
            sealed.flush()
            os.utime(sealed.fileno(), ns=plain.times)  # as old as what it holds, for retention
            os.fsync(sealed.fileno())


class _Plain:
    """The segment, as encryption reads it: to its end, or until it is told to stop.

    The end of the process must not find a thread in the midst of it, and waits for a second.
    """

    def __init__(self, descriptor: int, over: Callable[[], bool]) -> None:
        self._descriptor = descriptor
        self._over = over
        found = os.fstat(descriptor)
        self.times = (found.st_atime_ns, found.st_mtime_ns)

    def read(self, size: int = -1) -> bytes:
        if self._over():
            raise OSError("there is no time left")
        return os.read(self._descriptor, size)


def _recipient(text: str, number: int) -> Any:
    # Never shown: it may be a secret key that somebody has put there by mistake.
    import pyrage

    kind = pyrage.ssh if text.startswith("ssh-") else pyrage.x25519
    try:
        return kind.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise ValueError(f"recipient {number} is neither age1… nor an ssh-ed25519 or ssh-rsa key ({error})") from None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _sync(directory: Path) -> None:
    """Have the names in the directory on the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
