"""One batch of lines to a receiver, and what it answered, in the one shape that all protocols share.

OpenTelemetry's exporters are no use for this: they report success or failure and no more, follow redirects, and
never look at a partial success. What they send with is used: the official protobuf messages and the gRPC stub.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from opentelemetry.instrumentation.pyjwt import bounds
from opentelemetry.instrumentation.pyjwt.journal import encoding
from opentelemetry.instrumentation.pyjwt.journal.destination import Destination

_logger = logging.getLogger("opentelemetry.instrumentation.pyjwt")

DELIVERED: Final = "delivered"  # acknowledged, all of it
REFUSED: Final = "refused"  # for good: sent again, it is refused again
FAILED: Final = "failed"  # worth another attempt

#: No receiver is believed to need a longer wait (seconds).
LONGEST_WAIT: Final = 3600.0


class Answer(NamedTuple):
    """What came of sending a batch."""

    kind: str
    reason: str = ""
    status: int | None = None
    #: Seconds the receiver asks us to wait.
    retry_after: float | None = None
    #: Records that a partial success rejects; 0 if all are refused, or nobody knows which.
    rejected: int = 0


class Transport(Protocol):
    """A connection to one receiver, used by one thread."""

    def send(self, lines: Sequence[bytes], timeout: float) -> Answer:
        """Send stored lines as one export request; never raises for what the network or the receiver does."""

    def abort(self) -> None:
        """From another thread: make a :meth:`send` under way fail."""

    def close(self) -> None:
        """Give up the connection."""

    def forsake(self) -> None:
        """In a child of the process: give up its copy of the connection, without a word to the receiver."""


def connect(destination: Destination) -> Transport:
    """The transport for a destination; it connects when it first sends.

    Raises:
        ValueError: the protocol's packages are not installed, or a certificate cannot be used.
    """
    if destination.protocol == "grpc":
        from opentelemetry.instrumentation.pyjwt.journal.transport_grpc import GrpcTransport

        try:
            return GrpcTransport(destination)
        except ImportError:
            raise ValueError("protocol grpc needs opentelemetry-exporter-otlp-proto-grpc") from None
    from opentelemetry.instrumentation.pyjwt.journal.transport_http import HttpTransport

    return HttpTransport(destination, _protobuf() if destination.protocol == "http/protobuf" else encoding.Json())


@functools.cache  # and the warning is given once
def _protobuf() -> encoding.Encoding:
    try:
        return encoding.Protobuf()
    except ImportError:  # whoever takes OTLP over HTTP takes both
        _logger.warning("Without opentelemetry-exporter-otlp-proto-http the journal is sent as http/json.")
        return encoding.Json()


def accepted(rejected: int, message: str, status: int | None) -> Answer:
    """The answer to a request that was accepted, except for the records it rejects (OTLP, partial success)."""
    said = bounds.text(message)
    if rejected > 0:
        return Answer(REFUSED, f"partial success: {said}", status, rejected=rejected)
    return Answer(DELIVERED, said, status)
