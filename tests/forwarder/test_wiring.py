"""The forwarder within the process that writes: what it delivers, when it begins, and how it ends."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor, audit
from opentelemetry.instrumentation.pyjwt.journal.writer import Journal
from tests import isolated
from tests.forwarder import journal as by_hand
from tests.forwarder.journal import STREAM, ids
from tests.forwarder.receiver import Hang, serving
from tests.forwarder.test_thread import until
from tests.journal import book
from tests.support import KEY, Trail, mint

OFF = PyJWTInstrumentor().uninstrument
OURS = "opentelemetry.instrumentation.pyjwt"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def forwarded(directory: Path, instrument: Callable[..., Trail]) -> Callable[..., Journal]:
    """Call it to switch the plugin on with a journal that is forwarded to a URL; gives the journal."""

    def switch_on(url: str | None, **options: Any) -> Journal:
        instrument(journal=directory, journal_endpoint=url, **options)
        assert audit.active is not None
        assert audit.active._journal is not None
        return audit.active._journal.journal

    return switch_on


def written(directory: Path) -> list[str]:
    return [one["audit.record.id"] for stream in book.read(directory, parse=False).values() for one in stream]


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("jwt-audit")}


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == OURS]


def test_a_process_delivers_what_it_writes_and_the_last_of_it_when_it_ends(
    forwarded: Any, directory: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a record or a span of its own doing, and without anything left to do for others."""
    caplog.set_level(logging.WARNING, OURS)
    with serving() as receiver:
        forwarded(receiver.url)
        assert threads() == set(), "before there is anything to deliver"
        for _ in range(3):
            jwt.decode(mint(), KEY, ["HS256"])
        assert threads() == {"jwt-audit-journal", "jwt-audit-forwarder"}
        until(lambda: len(receiver.acknowledged) == 6)
        for _ in range(300):
            mint()
        OFF()
        assert receiver.acknowledged == written(directory)
        assert len(receiver.acknowledged) == 306
    assert threads() == set()
    (segment,) = directory.glob("*.jsonl")
    assert by_hand.settled(segment) == segment.stat().st_size
    assert not list(directory.glob("*.lock"))
    assert said(caplog) == []


def test_the_last_checkpoint_is_delivered(forwarded: Any, directory: Path, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = tmp_path / "audit.pem"
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key.touch(0o600)
    key.write_bytes(pem)
    with serving() as receiver:
        forwarded(receiver.url, journal_signing_key=key)
        mint()
        OFF()
        assert receiver.acknowledged == written(directory)
        assert len(receiver.acknowledged) == 2


def test_it_delivers_what_dead_processes_left_and_leaves_the_living_alone(
    forwarded: Any, directory: Path, instrument: Any
) -> None:
    by_hand.dead(directory, STREAM)
    by_hand.write(directory, STREAM, 1, 3)
    by_hand.write(directory, by_hand.OTHER, 1, 3)
    with by_hand.writer(directory, by_hand.OTHER), serving() as receiver:
        forwarded(receiver.url)
        mint()
        until(lambda: len(receiver.acknowledged) == 4)
        OFF()
        assert set(receiver.acknowledged) > set(ids(STREAM, 1, 3))
        assert len(receiver.acknowledged) == 4


def test_a_process_may_go_on_in_another_stream(forwarded: Any, directory: Path) -> None:
    with serving() as receiver:
        active = forwarded(receiver.url)
        for _ in range(3):
            mint()
            until(lambda: len(receiver.acknowledged) == len(written(directory)))
            active._exclusively(active._end)
            assert active.stream_id() == ""
        mint()
        until(lambda: len(receiver.acknowledged) == 4)
        assert len(list(directory.glob("*.jsonl"))) == 4
        OFF()
        assert sorted(receiver.acknowledged) == sorted(written(directory))


def test_what_is_delivered_is_counted(forwarded: Any, instrument: Any) -> None:
    trail = Trail()
    with serving() as receiver:
        forwarded(receiver.url, meter_provider=trail.meter_provider)
        mint()
        until(lambda: receiver.acknowledged)
        OFF()
    (point,) = trail.metrics()["jwt.audit.records.forwarded"]
    assert point.value == 1


@pytest.mark.parametrize(
    ("endpoint", "variables", "reason"),
    [
        ("ftp://collector", {}, "'ftp://collector/v1/logs' is no http(s) URL"),
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "is no http(s) URL"),
        ("http://127.0.0.1:9", {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/xml"}, "protocol 'http/xml'"),
        ("https://127.0.0.1:9", {"OTEL_EXPORTER_OTLP_CERTIFICATE": "/none.pem"}, "certificates cannot be used"),
    ],
)
def test_what_cannot_be_forwarded_to_is_said_once_and_the_journal_goes_on(
    endpoint: str | None,
    variables: dict[str, str],
    reason: str,
    forwarded: Any,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    forwarded(endpoint)
    for _ in range(3):
        mint()
    assert threads() == {"jwt-audit-journal"}
    (record,) = [record for record in caplog.records if record.name == OURS]
    assert record.levelno == logging.ERROR
    assert reason in record.getMessage()
    assert "OTEL_PYTHON_PYJWT_JOURNAL_ENDPOINT" in record.getMessage()
    OFF()
    assert len(written(directory)) == 3


@pytest.mark.parametrize("named", ["none", " None "])
def test_without_a_logs_exporter_nothing_is_forwarded_but_where_the_journal_has_its_own_endpoint(
    named: str, forwarded: Any, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", named)
    with serving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        forwarded(None)
        mint()
        assert threads() == {"jwt-audit-journal"}
        OFF()
        assert receiver.requests == []
        forwarded(receiver.url)
        mint()
        OFF()
        assert len(receiver.acknowledged) == 2
    assert len(written(directory)) == 2


def test_where_nothing_says_where_to_it_is_where_opentelemetry_sends(forwarded: Any) -> None:
    active = forwarded(None)
    forwarder = active.forwarding(active)
    assert forwarder._endpoint == "http://localhost:4318/v1/logs"
    forwarder.close()


def test_switched_off_it_takes_two_seconds_at_most_and_its_threads_are_gone(forwarded: Any, directory: Path) -> None:
    took = []
    with serving() as receiver:
        receiver.behave = lambda request: Hang(receiver.gone)
        for number in range(1, 3):
            forwarded(receiver.url)
            mint()
            until(lambda: len(receiver.requests) >= number)  # noqa: B023  # at once
            started = time.monotonic()
            OFF()
            took.append(time.monotonic() - started)
            assert threads() == set()
    assert len(written(directory)) == 2
    assert max(took) < 3, "two seconds, and one for a machine that is busy with other tests"


def test_a_process_that_gets_no_thread_writes_all_the_same(
    forwarded: Any, directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """So late in the life of an interpreter that there are none, or at the system's limit."""

    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    forwarded("http://127.0.0.1:9")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        mint()
    OFF()
    assert len(written(directory)) == 1
    assert len(said(caplog)) == 2  # one a thread


def test_a_forwarder_that_cannot_be_made_costs_no_record(directory: Path) -> None:
    """A certificate was there when the plugin was switched on, and is gone when the first record is written."""
    shown = isolated.run(f"""
    from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
    from opentelemetry.instrumentation.pyjwt.sinks import journal
    from tests.support import mint
    def gone(*_, **__):
        raise ValueError("certificates cannot be used")
    PyJWTInstrumentor().instrument(journal={str(directory)!r})
    journal.Forwarder = gone
    mint()
    """)
    assert len(written(directory)) == 1
    assert shown.stderr.count("Forwarding the journal failed with ValueError") == 1


def test_a_fork_delivers_what_it_writes(directory: Path) -> None:
    with serving() as receiver:
        isolated.run(
            f"""
        import os, warnings
        from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
        from tests.support import mint
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python, about threads and forks
        PyJWTInstrumentor().instrument(journal={str(directory)!r})
        mint()
        children = []
        for _ in range(3):
            children.append(os.fork())
            if children[-1] == 0:
                mint()
                PyJWTInstrumentor().uninstrument()
                os._exit(0)
        assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
        """,
            OTEL_PYTHON_PYJWT_JOURNAL_ENDPOINT=receiver.url,
        )
        assert sorted(receiver.acknowledged) == sorted(written(directory))
        assert len(receiver.acknowledged) == 4


@pytest.mark.parametrize("uses", [True, False])
def test_a_fork_does_not_keep_its_parent_s_connection(uses: bool, directory: Path) -> None:
    """Or the receiver would have it open for as long as the child lives."""
    with serving() as receiver:
        shown = isolated.run(
            f"""
        import os, stat, time, warnings
        from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor, audit
        from tests.support import mint
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python, about threads and forks
        def sockets():
            there = [one for one in range(3, 100) if os.path.lexists(f"/proc/self/fd/{{one}}")]
            return [one for one in there if stat.S_ISSOCK(os.fstat(one).st_mode)]
        PyJWTInstrumentor().instrument(journal={str(directory)!r})
        mint()
        (_, forwarder) = audit.active._journal.journal._companions
        while not forwarder.delivered:
            time.sleep(0.01)
        assert len(sockets()) == 1
        child = os.fork()
        if child == 0:
            assert sockets() == []
            {uses} and mint()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert len(sockets()) == 1
        """,
            OTEL_PYTHON_PYJWT_JOURNAL_ENDPOINT=receiver.url,
        )
    assert shown.stderr == ""
