"""OTLP over HTTP, on ``http.client``: it is always there, repeats nothing by itself, and follows no redirect."""

from __future__ import annotations

import base64
import email.utils
import functools
import gzip
import http.client
import io
import json
import math
import os
import socket
import ssl
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from opentelemetry.instrumentation.pyjwt import bounds
from opentelemetry.instrumentation.pyjwt.journal.destination import Destination
from opentelemetry.instrumentation.pyjwt.journal.encoding import Encoding
from opentelemetry.instrumentation.pyjwt.journal.transport import (
    DELIVERED,
    FAILED,
    LONGEST_WAIT,
    REFUSED,
    Answer,
    accepted,
)
from opentelemetry.instrumentation.pyjwt.version import __version__

#: Bad data, too large, not to be processed. Anything else may be the fault of a configuration, and is waited out.
_FOR_GOOD: Final = (400, 413, 422)
#: Bytes of a response that are read; no export response is longer.
_RESPONSE: Final = 1024 * 1024


class HttpTransport:
    """One connection, kept alive. Raises ValueError if a certificate cannot be used."""

    def __init__(self, destination: Destination, encoding: Encoding) -> None:
        url = urlsplit(destination.endpoint)
        self._target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        self._encoding = encoding
        self._compression = destination.compression
        self._headers = {
            "content-type": encoding.content_type,
            "user-agent": f"opentelemetry-instrumentation-pyjwt/{__version__}",
            **{name.lower(): value for name, value in destination.headers.items()},
        }
        if url.username is not None:
            user = f"{unquote(url.username)}:{unquote(url.password or '')}".encode()
            self._headers.setdefault("authorization", f"Basic {base64.b64encode(user).decode()}")
        if self._compression != "none":
            self._headers["content-encoding"] = self._compression
        assert url.hostname is not None  # a destination has one
        self._aborted = False
        self._connection: http.client.HTTPConnection
        if url.scheme == "https":
            self._connection = http.client.HTTPSConnection(url.hostname, url.port, context=_tls(destination))
        else:
            self._connection = http.client.HTTPConnection(url.hostname, url.port)

    def send(self, lines: Sequence[bytes], timeout: float) -> Answer:
        try:
            body = self._compress(self._encoding.request(lines))
        except ValueError as error:
            return Answer(REFUSED, str(error))
        deadline = time.monotonic() + timeout
        reused = self._connection.sock is not None
        try:
            try:
                return self._exchange(body, deadline)
            except (ConnectionError, http.client.BadStatusLine):
                if not reused or self._aborted:
                    raise
                self._connection.close()  # kept alive for too long, as it seems
                return self._exchange(body, deadline)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            return Answer(FAILED, bounds.text(f"{type(error).__name__}: {error}"))

    def abort(self) -> None:
        self._aborted = True
        sock = self._connection.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._connection.close()

    def forsake(self) -> None:
        # Nothing that the parent's thread may have been holding when it was copied: the descriptor alone.
        if (sock := self._connection.sock) is not None:
            with suppress(OSError):
                os.close(sock.detach())

    def _exchange(self, body: bytes, deadline: float) -> Answer:
        connection = self._connection
        connection.timeout = max(deadline - time.monotonic(), 0.001)
        if connection.sock is None and not self._aborted:
            connection.connect()
        if self._aborted:  # which could not reach a socket that was not there yet
            raise ConnectionAbortedError("given up")
        connection.sock.settimeout(connection.timeout)
        connection.response_class = functools.partial(_Response, deadline=deadline)  # type: ignore[assignment]
        connection.request("POST", self._target, body, self._headers)
        response = connection.getresponse()
        # Only a read without a limit tells whether all of it came.
        whole = response.length is not None and response.length <= _RESPONSE
        said = response.read() if whole else response.read(_RESPONSE)
        if not response.isclosed():  # longer than that
            connection.close()
        return self._answer(response, said)

    def _answer(self, response: http.client.HTTPResponse, body: bytes) -> Answer:
        status = response.status
        media_type = (response.getheader("content-type") or "").partition(";")[0].strip().lower()
        if not 200 <= status < 300:
            return Answer(
                REFUSED if status in _FOR_GOOD else FAILED,
                bounds.text(f"HTTP {status} {response.reason}{_message(media_type, body)}"),
                status,
                _seconds(response.getheader("retry-after")),
            )
        if media_type == "text/html":
            return Answer(FAILED, f"HTTP {status} with a page of HTML", status)  # of a proxy or a log-in, not of OTLP
        if media_type != self._encoding.content_type:
            return Answer(DELIVERED, status=status)
        try:
            return accepted(*self._encoding.rejected(body or b"{}" if media_type.endswith("json") else body), status)
        except ValueError:
            return Answer(FAILED, f"HTTP {status} with a response that cannot be read", status)

    def _compress(self, body: bytes) -> bytes:
        # The lowest level: lines repeat each other, and a higher one takes twice the time for little.
        if self._compression == "gzip":
            return gzip.compress(body, 1, mtime=0)
        return zlib.compress(body, 1) if self._compression == "deflate" else body


class _Response(http.client.HTTPResponse):
    """A response that has to be there by a deadline, however slowly it trickles."""

    def __init__(self, sock: socket.socket, *args: Any, deadline: float, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self._raw = _Until(sock, deadline)
        self.fp = io.BufferedReader(self._raw)

    def begin(self) -> None:
        super().begin()
        # Which takes the end of the connection for the end of the headers.
        if self._raw.ended:
            raise http.client.IncompleteRead(b"")


class _Until(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._deadline = deadline
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        count = self._raw.readinto(buffer)
        self.ended = count == 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def _tls(destination: Destination) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=destination.certificate)
        if destination.client_certificate:
            context.load_cert_chain(destination.client_certificate, destination.client_key)
    except OSError as error:  # ssl.SSLError is one
        raise ValueError(f"certificates cannot be used: {error}") from None
    return context


def _seconds(text: str | None) -> float | None:
    """``Retry-After`` (RFC 9110 §10.2.3): seconds, or a date."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT) if math.isfinite(seconds) else None


def _message(media_type: str, body: bytes) -> str:
    """The message of the ``google.rpc.Status`` in a refusal, if it has one that can be read."""
    said: object = None
    with suppress(ValueError, AttributeError):
        said = json.loads(body).get("message") if media_type == "application/json" else None
    return f": {said}" if isinstance(said, str) and said else ""
