"""OTLP over gRPC, with the official stub."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.instrumentation.pyjwt import bounds
from opentelemetry.instrumentation.pyjwt.journal.destination import Destination
from opentelemetry.instrumentation.pyjwt.journal.encoding import Protobuf
from opentelemetry.instrumentation.pyjwt.journal.transport import FAILED, LONGEST_WAIT, REFUSED, Answer, accepted


class GrpcTransport:
    """One channel, opened by the first request: gRPC's own threads are none that a process should be forked with.

    Raises ImportError if gRPC is not installed, ValueError if a certificate cannot be used.
    """

    def __init__(self, destination: Destination) -> None:
        import grpc

        from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub

        self._grpc: Any = grpc
        self._encoding = Protobuf()
        self._metadata = tuple((name.lower(), value) for name, value in destination.headers.items())
        target = urlsplit(destination.endpoint).netloc or destination.endpoint
        compression = grpc.Compression.NoCompression if destination.compression == "none" else grpc.Compression.Gzip
        if destination.insecure:
            self._open = partial(grpc.insecure_channel, target, compression=compression)
        else:
            credentials = _credentials(grpc, destination)
            self._open = partial(grpc.secure_channel, target, credentials, compression=compression)
        self._stub_of: Any = LogsServiceStub
        self._channel: Any = None
        self._stub: Any = None
        self._closed = False

    def send(self, lines: Sequence[bytes], timeout: float) -> Answer:
        try:
            message = self._encoding.message(lines)
        except ValueError as error:
            return Answer(REFUSED, str(error))
        try:
            response = self._service().Export(message, timeout=timeout, metadata=self._metadata)
        except self._grpc.RpcError as error:
            return self._refusal(error)
        except ValueError as error:  # closed by another thread
            return Answer(FAILED, bounds.text(str(error)))
        return accepted(*self._encoding.partial(response), None)

    def abort(self) -> None:
        self.close()

    def close(self) -> None:
        self._closed = True
        if self._channel is not None:
            self._channel.close()

    def forsake(self) -> None:
        """gRPC knows by itself that it was forked, and what is done to the channel here would be done to locks."""

    def _service(self) -> Any:
        if self._channel is None:
            self._channel = self._open()
            self._stub = self._stub_of(self._channel)
        if self._closed:  # before there was a channel
            self._channel.close()
        return self._stub

    def _refusal(self, error: Any) -> Answer:
        code, details = error.code(), error.details() or ""
        # A message above the receiver's limit shares its code with a quota that is used up for now.
        too_large = code is self._grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in details
        for_good = too_large or code is self._grpc.StatusCode.INVALID_ARGUMENT
        return Answer(
            REFUSED if for_good else FAILED,
            bounds.text(f"gRPC {code.name}: {details}"),
            code.value[0],
            _retry_delay(error),
        )


def _retry_delay(error: Any) -> float | None:
    """Seconds of the ``RetryInfo`` among the details of a refusal."""
    from google.rpc.error_details_pb2 import RetryInfo
    from google.rpc.status_pb2 import Status

    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            try:
                details = Status.FromString(value).details
            except Exception:  # DecodeError, of a module that depends on protobuf's version
                return None
            for detail in details:
                info = RetryInfo()
                if detail.Unpack(info):
                    return min(max(float(info.retry_delay.ToTimedelta().total_seconds()), 0.0), LONGEST_WAIT)
    return None


def _credentials(grpc: Any, destination: Destination) -> Any:
    def content(path: str | None) -> bytes | None:
        return Path(path).read_bytes() if path else None

    try:
        return grpc.ssl_channel_credentials(
            content(destination.certificate), content(destination.client_key), content(destination.client_certificate)
        )
    except OSError as error:
        raise ValueError(f"certificates cannot be used: {error}") from None
