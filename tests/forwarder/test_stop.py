"""A stop gives up a request that is under way: the thread ends then, and not when the request's own time is over."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt.journal.destination import Destination
from opentelemetry.instrumentation.pyjwt.journal.transport import FAILED, connect
from tests.forwarder import journal
from tests.forwarder.collector import collector
from tests.forwarder.journal import STREAM, ids
from tests.forwarder.receiver import Hang, serving

LONG = 600.0  # seconds a request may take: nothing but a stop ends it within a test
Hanging = tuple[str, str, threading.Event]  # protocol, URL, and whether the request has come


@contextmanager
def by_http(protocol: str, files: tuple[str, str]) -> Iterator[Hanging]:
    context = None
    if protocol == "https":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*files)
    come = threading.Event()
    with serving(lambda request: (come.set(), Hang(receiver.gone))[1], tls=context) as receiver:
        yield "http/json", receiver.url.replace("http", protocol), come


@contextmanager
def by_grpc(protocol: str, files: tuple[str, str]) -> Iterator[Hanging]:
    come, over = threading.Event(), threading.Event()

    def hang(context: object, sent: list[str]) -> None:
        come.set()
        over.wait(LONG)

    with collector() as collected:
        collected.behave = hang
        try:
            yield protocol, f"http://{collected.url}", come
        finally:
            over.set()


HANGING = {"http": by_http, "https": by_http, "grpc": by_grpc}


@pytest.mark.parametrize("protocol", HANGING)
def test_a_stop_ends_what_is_under_way(
    protocol: str, forwarding: Any, certificate: tuple[str, str], tmp_path: Path
) -> None:
    segment = journal.write(tmp_path, STREAM, 1, 5)
    with HANGING[protocol](protocol, certificate) as (how, url, come):
        forwarder = forwarding(tmp_path, url, how, timeout=LONG, insecure=True, certificate=certificate[0])
        forwarder.start()
        assert come.wait(20)
        started = time.monotonic()
        forwarder.stop()
        took = time.monotonic() - started
        forwarder._thread.join(10)  # on a machine that is busy with other tests
        assert not forwarder._thread.is_alive()
    assert took < 2.5
    assert (forwarder.delivered, journal.settled(segment)) == (0, 0)


@pytest.mark.parametrize("protocol", HANGING)
def test_nothing_is_sent_any_more_after_that(protocol: str, certificate: tuple[str, str], tmp_path: Path) -> None:
    """Also where it comes first: the thread may be just about to send."""
    lines = [journal.line(STREAM, 1).rstrip(b"\n")]
    with HANGING[protocol](protocol, certificate) as (how, url, come):
        transport = connect(Destination(how, url, timeout=LONG, insecure=True, certificate=certificate[0]))
        transport.abort()
        assert transport.send(lines, 5).kind == FAILED
        assert not come.is_set()
        transport.close()


def test_what_was_given_up_is_sent_by_the_next(forwarding: Any, tmp_path: Path) -> None:
    journal.write(tmp_path, STREAM, 1, 5)
    come = threading.Event()
    with serving(lambda request: (come.set(), Hang(receiver.gone))[1]) as receiver:
        forwarder = forwarding(tmp_path, receiver.url, timeout=LONG)
        forwarder.start()
        assert come.wait(20)
        forwarder.stop()
    with serving() as receiver:
        forwarding(tmp_path, receiver.url).turn()
        assert receiver.acknowledged == ids(STREAM, 1, 5)
