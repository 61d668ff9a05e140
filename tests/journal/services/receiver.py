"""A receiver that keeps what it acknowledges in a file, and in the midst of some requests dies or hangs up.

    python -m tests.journal.services.receiver PORT FILE SEED FATE...

What becomes of the first requests: ``accept``, ``die``, ``hang-up``; those after them are accepted.
Of each record it keeps the id, and a digest of all of it. It tells of each request on stdout, and ends with stdin.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sys
from typing import Any

from google.protobuf import json_format

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from tests.forwarder.receiver import Raw, Reply, Request, serving
from tests.journal import book


def kept(request: Any) -> list[str]:
    """What is kept of an export request: a line for each record."""
    return [
        f"{attribute.value.string_value} {hashlib.sha256(record.SerializeToString(deterministic=True)).hexdigest()}\n"
        for logs in request.resource_logs
        for scope in logs.scope_logs
        for record in scope.log_records
        for attribute in record.attributes
        if attribute.key == "audit.record.id"
    ]


def main() -> None:
    port, path, seed, *fates = sys.argv[1:]
    coming = iter(fates)
    chance = random.Random(seed)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def receive(request: Request) -> Any:
        binary = request.headers["content-type"] == "application/x-protobuf"
        message = request.message
        lines = kept(json_format.ParseDict(message, ExportLogsServiceRequest()) if binary else book.parsed(message))
        fate = next(coming, "accept")
        # A part of it may be kept although nobody will hear of it: no line is cut, as in any database.
        os.write(file, "".join(lines if fate == "accept" else lines[: chance.randint(0, len(lines))]).encode())
        os.write(1, b"a request\n")
        if fate == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        return Reply() if fate == "accept" else Raw(b"", reset=True)

    with serving(receive, port=int(port)):
        sys.stdin.read()


if __name__ == "__main__":
    main()
