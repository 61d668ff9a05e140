"""VictoriaLogs and vmalert on the loopback: started, asked, and ended by their process ids."""

from __future__ import annotations

import http.client
import json
import subprocess
import urllib.parse
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from opentelemetry.instrumentation.pyjwt.journal.encoding import Protobuf
from tests.collector.running import free_ports, until
from tests.journal.writing import line_of
from tests.review.planting import Event
from tests.review.written import record_of

A_REQUEST = 500


class Server:
    """A program that answers on a port."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def close(self) -> None:
        self._connection.close()

    def post(self, path: str, body: bytes, kind: str) -> bytes:
        self._connection.request("POST", path, body, {"Content-Type": kind})
        response = self._connection.getresponse()
        answer = response.read()
        assert response.status == 200, (path, response.status, answer)
        return answer

    def ask(self, path: str, **arguments: Any) -> bytes:
        return self.post(path, urllib.parse.urlencode(arguments).encode(), "application/x-www-form-urlencoded")


class VictoriaLogs(Server):
    def take(self, events: Iterable[Event]) -> None:
        """Over OTLP, as a Collector sends it that has copied the name of the event; then wait until all is there."""
        number, left, encoding = 0, iter(events), Protobuf()
        while some := [record_of(event, named="attribute") for event in islice(left, A_REQUEST)]:
            self.post("/insert/opentelemetry/v1/logs", encoding.request([line_of(*some)]), encoding.content_type)
            number += len(some)
        until(lambda: self.count() == number, "all events can be asked for")

    def count(self) -> int:
        return int(json.loads(self.ask("/select/logsql/query", query="* | stats count() as n"))["n"])

    def look(self, query: str, moment: float) -> list[tuple[dict[str, str], float]]:
        """As vmalert asks: what the query of an alert gives at a moment, labels and value."""
        answer = json.loads(self.ask("/select/logsql/stats_query", query=query, time=moment))["data"]["result"]
        return [(one["metric"], float(one["value"][1])) for one in answer]


class VmAlert(Server):
    def alerts(self) -> list[dict[str, Any]]:
        """What fires, when every rule has looked once."""
        groups: list[dict[str, Any]] = []

        def looked() -> bool:
            groups[:] = json.loads(self.ask("/api/v1/rules"))["data"]["groups"]
            # Go's zero time is in the year 1.
            return bool(groups) and all(not one["lastEvaluation"].startswith("0001") for one in rules())

        def rules() -> Iterator[dict[str, Any]]:
            return (rule for group in groups for rule in group["rules"])

        until(looked, "every rule has looked")
        assert not any(rule.get("lastError") for rule in rules()), [rule.get("lastError") for rule in rules()]
        return [alert for rule in rules() for alert in rule.get("alerts") or ()]


@contextmanager
def victorialogs(programs: Path, folder: Path) -> Iterator[VictoriaLogs]:
    arguments = [f"-storageDataPath={folder / 'data'}", "-retentionPeriod=100y"]
    with _running(programs / "victoria-logs", arguments, folder) as port, closing(VictoriaLogs(port)) as running:
        yield running


@contextmanager
def vmalert(programs: Path, folder: Path, logs: VictoriaLogs, rules: Path) -> Iterator[VmAlert]:
    """It looks at once and at now, where it would wait a little for both."""
    arguments = [f"-rule={rules}", f"-datasource.url={logs.url}", "-notifier.blackhole"]
    arguments += ["-rule.evalDelay=0s", "-group.maxStartDelay=1ms"]
    with _running(programs / "vmalert", arguments, folder) as port, closing(VmAlert(port)) as running:
        yield running


@contextmanager
def _running(program: Path, arguments: list[str], folder: Path) -> Iterator[int]:
    """The port on which it answers."""
    (port,) = islice(free_ports(), 1)
    said = folder / f"{program.name}.log"

    def is_up() -> bool:
        assert process.poll() is None, said.read_text()
        with suppress(OSError), closing(Server(port)) as server:  # nobody listens yet
            return server.ask("/health") == b"OK"
        return False

    with open(said, "wb") as log:
        process = subprocess.Popen(
            [program, f"-httpListenAddr=127.0.0.1:{port}", *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        until(is_up, f"{program.name} is up")
        yield port
        process.terminate()
        assert process.wait(60) == 0, said.read_text()
    finally:
        process.kill()
        process.wait()
