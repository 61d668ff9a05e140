"""The service of ``service.py`` in a process of its own, and what its users see."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

from tests.isolated import ROOT

Answer = tuple[int, bytes]
PATH = os.pathsep.join([*filter(None, sys.path), str(ROOT)])


class Service:
    """A service in a process of its own."""

    def __init__(self, port: int, end: Callable[[], float] = lambda: 0.0) -> None:
        self.connection = HTTPConnection("127.0.0.1", port, timeout=60)
        #: Ends it, and gives the seconds that its journal took for that.
        self.end = end

    def call(self, method: str, path: str, token: str = "") -> Answer:
        self.connection.request(method, path, headers={"authorization": f"Bearer {token}"})
        response = self.connection.getresponse()
        return response.status, response.read()

    def use(self, jti: str) -> list[Answer]:
        """A token is issued and accepted; another and something that is none are refused: four records."""
        issued = self.call("POST", f"/login/{jti}")
        token = issued[1].decode() if issued[0] == 200 else "none"
        forged = token[:-8] + "AAAAAAAA"
        return [issued, *(self.call("GET", "/orders", one) for one in (token, forged, "no token"))]


@contextmanager
def service(directory: Path | None, said: Path, **variables: str) -> Iterator[Service]:
    program = [sys.executable, "-W", "error", Path(__file__).with_name("service.py"), *filter(None, [directory])]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    with (
        said.open("w") as errors,
        subprocess.Popen(
            program,
            env={**environ, "PYTHONPATH": PATH, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None

        def end() -> float:
            took, _ = process.communicate(timeout=60)
            assert process.returncode == 0
            return float(took)

        running = Service(int(process.stdout.readline()), end)
        try:
            yield running
        finally:
            running.connection.close()
            process.kill()


class Seen(NamedTuple):
    """What an application saw of it."""

    answers: list[Answer]
    expected: list[Answer]
    #: A turn's shortest time as a multiple of that without an audit: the longer ones tell what else the machine does.
    times_as_long: float
    #: Seconds of the longest turn. A receiver that is waited for is waited for longer.
    longest: float


def used(one: Service, without: Service, turns: range) -> Seen:
    """Both are used in turns, so that whatever else the machine does is the same for both."""
    answers: dict[Service, list[Answer]] = {one: [], without: []}
    spent: dict[Service, list[float]] = {one: [], without: []}
    for number in turns:
        for each in (one, without) if number % 2 else (without, one):
            started = time.perf_counter()
            answers[each] += each.use(f"token-{number}")
            spent[each].append(time.perf_counter() - started)
    return Seen(answers[one], answers[without], min(spent[one]) / min(spent[without]), max(spent[one]))
