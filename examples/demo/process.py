"""The shop as a process of its own, started with OpenTelemetry's own command and stopped by its pid."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

HERE = Path(__file__).parent
COMMAND = ("opentelemetry-instrument", "uvicorn", "service:app")
SECONDS_TO_START = 60
SECONDS_TO_STOP = 20
_UP = re.compile(r"Uvicorn running on (http://127\.0\.0\.1:\d+)")


class ServiceFailed(Exception):
    """The service did not start; the message is its output."""


class Service:
    """The running service: its address, and all it has printed so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.url = ""
        self.output = ""
        self._lines: queue.Queue[str] = queue.Queue()  # an empty one: there will be no more
        self._reader = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self.output += line
            self._lines.put(line)
        self._lines.put("")

    def wait_until_up(self) -> None:
        deadline = time.monotonic() + SECONDS_TO_START
        while not self.url:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = ""
            if not line:
                raise ServiceFailed(self.output)
            if up := _UP.search(line):
                self.url = up.group(1)

    def wait_until_read(self) -> None:
        self._reader.join(SECONDS_TO_STOP)


@contextmanager
def running_service(endpoint: str, settings: Mapping[str, str]) -> Iterator[Service]:
    """The service, until the block is left; by then it has exported everything.

    Args:
        endpoint: where it sends its spans, OTLP over HTTP.
        settings: further environment variables.
    """
    programs = Path(sys.executable).parent
    instrument, server, app = COMMAND
    environment = {
        # A developer's own OpenTelemetry settings would send the demo's events elsewhere.
        **{name: value for name, value in os.environ.items() if not name.startswith("OTEL_")},
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "PYTHONUNBUFFERED": "1",
        **settings,
    }
    process = subprocess.Popen(
        # Port 0 is a free one, which the server names in its output. Proxies are the plugin's to judge here.
        [programs / instrument, programs / server, app, "--app-dir", HERE, "--port", "0", "--no-proxy-headers"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        service = Service(process)
        service.wait_until_up()
        yield service
    finally:
        # Upon SIGINT the server ends as a program does, and the SDK exports what it holds; SIGTERM would kill it.
        process.send_signal(signal.SIGINT)
        try:
            process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    service.wait_until_read()
