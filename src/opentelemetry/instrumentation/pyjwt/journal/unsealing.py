"""Opens sealed files with identities: as a stream, and never onto the disk."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from opentelemetry.instrumentation.pyjwt.journal.files import DamagedError, UnreadableError

_ENCRYPTED: Final = (b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----")
_NONE_FITS: Final = "No matching keys found"


class Identities:
    """Secret keys; any of them may open a file."""

    def __init__(self, identities: Iterable[Any]) -> None:
        self._identities = list(identities)

    @classmethod
    def load(cls, paths: Iterable[Path]) -> Identities:
        """Identities from files as ``age-keygen`` writes them, and from SSH keys (Ed25519, RSA).

        Raises:
            UnreadableError: a file cannot be read, holds no identity, or is protected by a passphrase.
            ModuleNotFoundError: ``pyrage`` is not installed.
        """
        return cls(identity for path in paths for identity in _identities_in(path))

    def unseal(self, path: Path, plain: BinaryIO) -> None:
        """Write what is in a sealed file; each part of it is authentic, and the end is missed if it is not there.

        Raises:
            UnreadableError: none of the identities opens it.
            DamagedError: it is not as it was written.
            OSError: it cannot be read, or ``plain`` takes no more.
        """
        import pyrage

        try:
            with open(path, "rb") as sealed:
                pyrage.decrypt_io(sealed, plain, self._identities)
        except pyrage.DecryptError as error:
            if str(error) == _NONE_FITS:
                raise UnreadableError(
                    f"{path} is sealed to none of the identities given, or its header is damaged"
                ) from None
            raise DamagedError(f"{path} is damaged: {str(error).splitlines()[0]}") from None
        except OSError as error:
            if error.errno is not None:  # of a file, and not of what is in it
                raise
            raise DamagedError(f"{path} is damaged, or cut off") from None

    def open(self, path: Path) -> BinaryIO:
        """What is in a sealed file, to be read; reading raises what :meth:`unseal` does."""
        return cast(BinaryIO, io.BufferedReader(_Unsealed(lambda plain: self.unseal(path, plain))))


class _Unsealed(io.RawIOBase):
    """What a thread writes, which waits for as long as nobody reads: a pipe's worth is in memory."""

    def __init__(self, unseal: Callable[[BinaryIO], None]) -> None:
        reading, self._writing = os.pipe()
        self._pipe = io.FileIO(reading)
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(unseal,), daemon=True)
        self._thread.start()

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        """Whoever reads there reads it all before anything is read here, which raises what was wrong then."""
        return self._pipe.fileno()

    def readinto(self, buffer: Any) -> int:
        count = self._pipe.readinto(buffer)
        if not count:
            self._thread.join()
            if self._error is not None:
                raise self._error
        return count or 0

    def close(self) -> None:
        self._pipe.close()
        self._thread.join()
        super().close()

    def _run(self, unseal: Callable[[BinaryIO], None]) -> None:
        try:
            with open(self._writing, "wb") as plain:
                unseal(plain)
        except BrokenPipeError:
            pass  # the reader has left
        except Exception as error:
            self._error = error


def _identities_in(path: Path) -> Iterator[Any]:
    import pyrage

    try:
        text = path.read_bytes()
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror}") from error
    if text.startswith(_ENCRYPTED):
        raise UnreadableError(f"{path} is protected by a passphrase: decrypt it first (age -d)")
    try:
        if text.lstrip().startswith(b"-----BEGIN "):
            yield pyrage.ssh.Identity.from_buffer(text)
            return
        lines = [line.strip() for line in text.decode().splitlines()]
        keys = [line for line in lines if line and not line.startswith("#")]
        if not keys:
            raise UnreadableError(f"{path} holds no identity")
        for key in keys:
            yield pyrage.x25519.Identity.from_str(key)
    except UnicodeDecodeError:
        raise UnreadableError(f"{path} holds no identity") from None
    except pyrage.IdentityError as error:
        raise UnreadableError(f"{path} holds no identity that can be used: {error}") from None
