"""A receiver of OTLP over gRPC on the loopback, with the official service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format

from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from tests.forwarder.receiver import ids_of


class Collector(logs_service_pb2_grpc.LogsServiceServicer):
    """A real gRPC server with the official service."""

    def __init__(self) -> None:
        self.acknowledged: list[str] = []
        self.metadata: dict[str, Any] = {}
        self.behave: Callable[[Any, list[str]], Any] = lambda context, sent: None
        self.url = ""

    def Export(self, request: Any, context: Any) -> Any:
        sent = ids_of(json_format.MessageToDict(request))
        self.metadata = dict(context.invocation_metadata())
        response = self.behave(context, sent) or logs_service_pb2.ExportLogsServiceResponse()
        self.acknowledged += sent
        return response


@contextmanager
def collector(tls: tuple[str, str] | None = None, **options: int) -> Iterator[Collector]:
    served = Collector()
    server = grpc.server(ThreadPoolExecutor(2), options=[(f"grpc.{name}", value) for name, value in options.items()])
    logs_service_pb2_grpc.add_LogsServiceServicer_to_server(served, server)
    if tls is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        chain, key = (Path(name).read_bytes() for name in tls)
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, chain)], chain, True))
    served.url = f"127.0.0.1:{port}"
    server.start()
    try:
        yield served
    finally:
        server.stop(None).wait()
