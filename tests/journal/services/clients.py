"""A service in a process group of its own, and clients that use it at full speed and note what it has answered for."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from tests.isolated import ROOT

PATIENCE = 120  # on a machine with better things to do
CLIENTS = 4


class Service:
    """The service, as its clients see it."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, name: str) -> None:
        self.process = process
        #: Event and jti of whatever a response has come for.
        self.answered: list[str] = []
        #: Ids of the processes that have answered.
        self.processes: set[int] = set()
        self.killed: set[int] = set()
        #: Responses that none should have got.
        self.strange: list[str] = []
        self._port = port
        self._over = threading.Event()
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._use, args=(f"{name}-{number}",)) for number in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def wait(self, condition: Callable[[], bool]) -> None:
        """Until the responses that have come make it true."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.strange or condition(), PATIENCE), "it does not answer"
        assert self.strange == []

    def alive(self) -> list[int]:
        return sorted(self.processes - self.killed)

    def kill(self, process: int) -> None:
        self.killed.add(process)
        os.kill(process, signal.SIGKILL)

    def kill_all(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)

    def gone(self) -> None:
        """Wait until all of its processes are: each has a copy of the standard output."""
        self.process.communicate(timeout=PATIENCE)
        self.leave()

    def leave(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _use(self, name: str) -> None:
        for number in itertools.count():
            if self._over.is_set():
                return
            jti = f"{name}-{number}"
            try:
                token = self._get(f"/login?{jti}", "", 200, f"jwt.issued {jti}")["token"]
                head, _, signature = token.rpartition(".")
                if number % 4:
                    self._get("/orders", token, 200, f"jwt.validated {jti}")
                else:
                    self._get("/orders", f"{head}.{signature[::-1]}", 401, f"jwt.rejected {jti}")
            except (OSError, HTTPException, ValueError):  # somebody has been killed, maybe within a response
                self._over.wait(0.01)

    def _get(self, target: str, token: str, status: int, event: str) -> Any:
        """The body of the response. The event is answered for as soon as there is a status."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        try:
            connection.request("GET", target, headers={"authorization": f"Bearer {token}"})
            response = connection.getresponse()
            if response.status == status:
                self.answered.append(event)
            else:
                self.strange.append(f"{target}: {response.status}")
            body = json.loads(response.read())
            self.processes.add(body["process"])
            return body
        finally:
            connection.close()
            with self._changed:
                self._changed.notify_all()


@contextmanager
def running(command: Callable[[int], list[str]], name: str, log: Path, **environ: str) -> Iterator[Service]:
    """A service under load.

    Args:
        command: makes its command line of the descriptor it is to listen on.
        name: what the jtis begin with.
        log: where its standard error goes.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    path = os.pathsep.join([*filter(None, sys.path), str(ROOT)])
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener, log.open("wb") as errors:
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            command(listener.fileno()),
            pass_fds=[listener.fileno()],
            env={**clean, "PYTHONPATH": path, **environ},
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    with process:
        service = Service(process, port, name)
        try:
            yield service
        finally:
            if process.returncode is None:
                service.kill_all()
            service.leave()
