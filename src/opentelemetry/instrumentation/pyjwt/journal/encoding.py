"""Stored lines as an OTLP export request, and what its response says: as JSON, and as protobuf."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any, Final, Protocol

_HEAD: Final = b'{"resourceLogs":['
_TAIL: Final = b"]}"


class Encoding(Protocol):
    """How requests and responses look in HTTP."""

    content_type: str

    def request(self, lines: Sequence[bytes]) -> bytes:
        """The lines as one request; raises ValueError if one of them is no export request."""

    def rejected(self, body: bytes) -> tuple[int, str]:
        """Records that the response rejects, and its message; raises ValueError if it is no response."""


class Json:
    """The lines themselves: their ``resourceLogs`` are joined, and no record is read or written anew."""

    content_type = "application/json"

    def request(self, lines: Sequence[bytes]) -> bytes:
        for line in lines:
            if not (line.startswith(_HEAD) and line.endswith(_TAIL)):
                raise ValueError("no export request")
        if len(lines) == 1:
            return lines[0]
        # The first keeps its head and the last its tail, so that nothing is copied but by the join.
        head, tail = len(_HEAD), -len(_TAIL)
        return b",".join([lines[0][:tail], *[line[head:tail] for line in lines[1:-1]], lines[-1][head:]])

    def rejected(self, body: bytes) -> tuple[int, str]:
        response = json.loads(body)
        partial = response.get("partialSuccess") if isinstance(response, dict) else None
        if not isinstance(partial, dict):
            return 0, ""
        return int(partial.get("rejectedLogRecords") or 0), str(partial.get("errorMessage") or "")


class Protobuf:
    """The official messages; raises ImportError where they are not installed."""

    content_type = "application/x-protobuf"

    def __init__(self) -> None:
        from google.protobuf import json_format

        from opentelemetry.proto.collector.logs.v1 import logs_service_pb2

        self._json: Any = json_format
        self._messages: Any = logs_service_pb2

    def message(self, lines: Sequence[bytes]) -> Any:
        """The lines as one request, not serialised yet; raises ValueError if one of them is no export request."""
        try:
            resources = [resource for line in lines for resource in json.loads(line)["resourceLogs"]]
            _ids_as_protobuf_has_them(resources)
            return self._json.ParseDict(
                {"resourceLogs": resources}, self._messages.ExportLogsServiceRequest(), ignore_unknown_fields=True
            )
        except (ValueError, TypeError, LookupError, AttributeError, self._json.Error):
            raise ValueError("no export request") from None

    def request(self, lines: Sequence[bytes]) -> bytes:
        return bytes(self.message(lines).SerializeToString())

    def rejected(self, body: bytes) -> tuple[int, str]:
        try:
            response = self._messages.ExportLogsServiceResponse.FromString(body)
        except Exception:  # DecodeError, of a module that depends on protobuf's version
            raise ValueError("no export response") from None
        return self.partial(response)

    def partial(self, response: Any) -> tuple[int, str]:
        """What a response says of the records it rejects."""
        return response.partial_success.rejected_log_records, response.partial_success.error_message


def _ids_as_protobuf_has_them(resources: Any) -> None:
    """OTLP's JSON has trace and span ids in hexadecimal, protobuf's own JSON would have them in base64."""
    for resource in resources:
        for scope in resource["scopeLogs"]:
            for record in scope["logRecords"]:
                for name in ("traceId", "spanId"):
                    if value := record.get(name):
                        record[name] = base64.b64encode(bytes.fromhex(value)).decode()
