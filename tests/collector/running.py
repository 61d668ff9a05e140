"""A Collector on the loopback: what it is told to do, started, waited for, and ended by its process id."""

from __future__ import annotations

import http.client
import json
import random
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any


def free_ports() -> Iterator[int]:
    """Out of the range that clients' ends are taken from: they must still be free after a restart."""
    for number in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", number))
            yield number


def until(condition: Callable[[], Any], what: str, seconds: float = 60) -> None:
    pause = threading.Event()
    for _ in range(int(seconds / 0.005)):
        if condition():
            return
        pause.wait(0.005)
    raise AssertionError(f"waited for {seconds} s: {what}")


class Collector:
    """OTLP comes in, and goes into a file; each start has a file of its own in :attr:`copies`."""

    def __init__(self, binary: Path, folder: Path, processors: dict[str, Any]) -> None:
        self.http, self.grpc, self._health = islice(free_ports(), 3)
        self.copies = folder / "copies"
        self.copies.mkdir()
        self._binary = binary
        self._folder = folder
        self._processors = processors
        self._starts = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._starts += 1
        configuration = self._folder / "collector.json"
        configuration.write_text(json.dumps(self._configuration()))
        with open(self._log, "wb") as log:
            command = [self._binary, "--config", configuration]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(self._is_up, "the Collector is up")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, and wait until it is gone."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(how)
        try:
            ended = process.wait(60)
        finally:
            process.kill()
        assert ended == (0 if how == signal.SIGTERM else -how), self._log.read_text()

    @property
    def copy(self) -> Path:
        """The file of the last start."""
        return self.copies / f"{self._starts}.jsonl"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http}/v1/logs"

    def post(self, lines: Iterable[bytes]) -> None:
        """Each line as a request of its own, byte by byte as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=30)
        try:
            for line in lines:
                connection.request("POST", "/v1/logs", line, {"Content-Type": "application/json"})
                response = connection.getresponse()
                assert (response.status, json.loads(response.read())) == (200, {"partialSuccess": {}}), line
        finally:
            connection.close()

    @property
    def _log(self) -> Path:
        return self._folder / f"collector-{self._starts}.log"

    def _configuration(self) -> dict[str, Any]:
        protocols = {"http": f"127.0.0.1:{self.http}", "grpc": f"127.0.0.1:{self.grpc}"}
        return {
            "receivers": {"otlp": {"protocols": {name: {"endpoint": where} for name, where in protocols.items()}}},
            "processors": self._processors,
            # Where files are rotated, what was acknowledged is with the kernel; else, in a buffer that SIGKILL takes.
            "exporters": {"file": {"path": str(self.copy), "rotation": {"max_megabytes": 1000}}},
            "extensions": {"health_check": {"endpoint": f"127.0.0.1:{self._health}"}},
            "service": {
                "extensions": ["health_check"],
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {
                    "logs": {"receivers": ["otlp"], "processors": [*self._processors], "exporters": ["file"]}
                },
            },
        }

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        connection = http.client.HTTPConnection("127.0.0.1", self._health, timeout=30)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except OSError:  # nobody listens yet
            return False
        finally:
            connection.close()
