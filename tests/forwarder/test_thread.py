"""The forwarder's thread: it delivers what comes, and ends in time, whatever the receiver does."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from opentelemetry.instrumentation.pyjwt.journal import forwarder as forwarder_module
from opentelemetry.instrumentation.pyjwt.journal.transport import DELIVERED, Answer
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from tests import isolated
from tests.forwarder import journal
from tests.forwarder.journal import OTHER, STREAM, ids
from tests.forwarder.receiver import Hang, Receiver, Reply, serving

# Two seconds are promised; the rest is for a machine that is busy with other tests. One request may take ten.
IN_TIME = 5


def until(condition, seconds: float = 20) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it does not come"
        threading.Event().wait(0.01)


def test_it_delivers_what_is_written_meanwhile_and_what_comes_last(forwarding, tmp_path: Path) -> None:
    journal.write(tmp_path, STREAM, 1, 3)
    with journal.writer(tmp_path, STREAM), serving() as receiver:
        forwarder = forwarding(tmp_path, receiver.url, own=lambda: STREAM)
        forwarder.start()
        until(lambda: receiver.acknowledged == ids(STREAM, 1, 3))
        journal.write(tmp_path, STREAM, 4, 3)
        until(lambda: receiver.acknowledged == ids(STREAM, 1, 6))
        journal.write(tmp_path, STREAM, 7, 2000)
        forwarder.stop()
        assert receiver.acknowledged == ids(STREAM, 1, 2006)
    assert "jwt-audit-forwarder" not in [thread.name for thread in threading.enumerate()]


def test_it_goes_on_when_the_receiver_comes_back(forwarding, tmp_path: Path) -> None:
    journal.write(tmp_path, STREAM, 1, 3)
    replies = iter([Reply(503, headers={"retry-after": "0"}), Reply(500)])
    with serving(lambda request: next(replies, Reply())) as receiver:
        forwarder = forwarding(tmp_path, receiver.url)
        forwarder.start()
        until(lambda: receiver.acknowledged)
        forwarder.stop()
    assert receiver.acknowledged == ids(STREAM, 1, 3)


def dead(receiver: Receiver) -> str:
    return "http://127.0.0.1:9/v1/logs"


def hanging(receiver: Receiver) -> str:
    receiver.behave = lambda request: Hang(receiver.gone)
    return receiver.url


def trickling(receiver: Receiver) -> str:
    receiver.behave = lambda request: Hang(receiver.gone, b"x")
    return receiver.url


def slow(receiver: Receiver) -> str:
    def behave(request: object) -> Reply:
        receiver.gone.wait(0.7)
        return Reply()

    receiver.behave = behave
    return receiver.url


def failing(receiver: Receiver) -> str:
    receiver.behave = lambda request: Reply(503, headers={"retry-after": "3600"})
    return receiver.url


@pytest.mark.parametrize("how", [dead, hanging, trickling, slow, failing])
@pytest.mark.parametrize("when", ["at once", "under way"])
def test_it_stops_in_time_whatever_the_receiver_does(how, when: str, forwarding, tmp_path: Path) -> None:
    segment = journal.write(tmp_path, STREAM, 1, 5000)
    with serving() as receiver:
        forwarder = forwarding(tmp_path, how(receiver))
        forwarder.start()
        if when == "under way":
            threading.Event().wait(0.3)
        started = time.monotonic()
        forwarder.stop()
        took = time.monotonic() - started
        assert took < IN_TIME
        acknowledged = len(receiver.acknowledged)
    until(lambda: "jwt-audit-forwarder" not in [thread.name for thread in threading.enumerate()], 5)
    lines = segment.read_bytes()[: journal.settled(segment)].count(b"\n")
    assert lines == forwarder.delivered <= acknowledged


@pytest.mark.parametrize("how", [dead, hanging, slow, failing])
def test_a_process_ends_in_time_whatever_the_receiver_does(how, tmp_path: Path) -> None:
    journal.write(tmp_path, STREAM, 1, 5000)
    with serving() as receiver:
        done = isolated.run(f"""
        import atexit, time
        from pathlib import Path
        from opentelemetry.instrumentation.pyjwt.journal.destination import Destination
        from opentelemetry.instrumentation.pyjwt.journal.forwarder import Forwarder
        forwarder = Forwarder(Path({str(tmp_path)!r}), Destination("http/json", {how(receiver)!r}))
        forwarder.start()
        atexit.register(forwarder.stop)
        time.sleep(0.3)
        print(time.time(), flush=True)
        """)
        assert time.time() - float(done.stdout) < IN_TIME


def test_a_process_delivers_the_last_of_it_when_it_ends(tmp_path: Path) -> None:
    """When no thread can be started any more."""
    journal.write(tmp_path, STREAM, 1, 3)
    with serving() as receiver:
        isolated.run(f"""
        import atexit, time
        from pathlib import Path
        from opentelemetry.instrumentation.pyjwt.journal.destination import Destination
        from opentelemetry.instrumentation.pyjwt.journal.forwarder import Forwarder
        from tests.forwarder import journal
        forwarder = Forwarder(Path({str(tmp_path)!r}), Destination("http/json", {receiver.url!r}))
        atexit.register(forwarder.stop)
        forwarder.start()
        time.sleep(0.3)
        journal.write(Path({str(tmp_path)!r}), journal.STREAM, 4, 500)
        """)
        assert receiver.acknowledged == ids(STREAM, 1, 503)


def test_a_child_has_a_forwarder_of_its_own(tmp_path: Path) -> None:
    journal.write(tmp_path, STREAM, 1, 3)
    with serving() as receiver:
        done = isolated.run(f"""
        import os, threading, warnings
        from pathlib import Path
        from opentelemetry.instrumentation.pyjwt.journal.destination import Destination
        from opentelemetry.instrumentation.pyjwt.journal.forwarder import Forwarder
        from tests.forwarder import journal
        directory, destination = Path({str(tmp_path)!r}), Destination("http/json", {receiver.url!r})
        with journal.writer(directory, journal.STREAM):
            parent = Forwarder(directory, destination, own=lambda: journal.STREAM)
            parent.start()
            warnings.simplefilter("ignore", DeprecationWarning)  # of Python, about threads and forks
            child = os.fork()
            if child == 0:
                with journal.writer(directory, journal.OTHER):
                    journal.write(directory, journal.OTHER, 1, 3)
                    own = Forwarder(directory, destination, own=lambda: journal.OTHER)
                    own.start()
                    own.stop()
                    parent.stop()  # which has no thread here
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            parent.stop()
        """)
        assert done.returncode == 0
        assert sorted(receiver.acknowledged) == sorted(ids(STREAM, 1, 3) + ids(OTHER, 1, 3))


def test_what_is_acknowledged_is_counted(forwarding, tmp_path: Path) -> None:
    journal.write(tmp_path, STREAM, 1, 5)
    reader = InMemoryMetricReader()
    bad = f"{STREAM}-2"
    with serving(lambda request: Reply(400 if bad in request.ids else 200)) as receiver:
        forwarding(tmp_path, receiver.url, meter_provider=MeterProvider([reader])).turn()
    (resource,) = json.loads(reader.get_metrics_data().to_json())["resource_metrics"]
    (metric,) = resource["scope_metrics"][0]["metrics"]
    assert metric["name"] == "jwt.audit.records.forwarded"
    assert metric["data"]["data_points"][0]["value"] == 4


def test_its_own_requests_are_not_instrumented(forwarding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class Transport:
        def send(self, lines: Sequence[bytes], timeout: float) -> Answer:
            seen.append(is_instrumentation_enabled())
            return Answer(DELIVERED)

        def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr(forwarder_module, "connect", lambda destination: Transport())
    journal.write(tmp_path, STREAM, 1, 1)
    forwarding(tmp_path, "").turn()
    assert seen == [False]
    assert is_instrumentation_enabled()


def test_a_failure_of_ours_is_reported_and_it_goes_on(tmp_path: Path) -> None:
    shown = isolated.run(f"""
    import logging, time
    from pathlib import Path
    from opentelemetry.instrumentation.pyjwt.journal.destination import Destination
    from opentelemetry.instrumentation.pyjwt.journal.forwarder import Forwarder
    logging.basicConfig()
    directory = Path({str(tmp_path / "later")!r})
    forwarder = Forwarder(directory, Destination("http/json", "http://127.0.0.1:9/v1/logs"))
    forwarder.start()
    time.sleep(0.3)
    directory.mkdir()
    forwarder.stop()
    print(forwarder._thread.is_alive())
    """)
    assert shown.stdout == "False\n"
    assert shown.stderr.count("Forwarding the journal failed with FileNotFoundError") == 1


def test_a_journal_that_takes_long_to_look_through_is_looked_at_less_often(
    forwarding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = {"now": 0.0, "round": 0.05}

    def thread_time() -> float:
        clock["now"] += clock["round"]
        return clock["now"]

    monkeypatch.setattr(time, "thread_time", thread_time)
    journal.write(tmp_path, STREAM, 1, 3)
    with serving() as receiver:
        forwarder = forwarding(tmp_path, receiver.url)
        assert forwarder.turn() == 1, "there was something to do"
        assert forwarder.turn() == pytest.approx(5)
        clock["round"] = 5
        assert forwarder.turn() == 30
        clock["round"] = 0.001
        assert forwarder.turn() == 1
