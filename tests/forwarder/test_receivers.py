"""Receivers that behave badly: nothing counts as delivered that was not, and everything arrives in the end."""

from __future__ import annotations

import logging
import socket
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from tests.forwarder import journal
from tests.forwarder.journal import STREAM, ids
from tests.forwarder.receiver import Hang, Raw, Receiver, Reply, Request, serving

COUNT = 25


def hang(receiver: Receiver) -> Hang:
    return Hang(receiver.gone)


def trickle(receiver: Receiver) -> Hang:
    return Hang(receiver.gone, b"HTTP/1.1 200 OK\r\nx: y")  # by and by; each byte is in time, the whole is not


BAD = {
    "500": Reply(500),
    "503": Reply(503),
    "429": Reply(429),
    "404": Reply(404),
    "401": Reply(401),
    "302": Reply(302, headers={"location": "/elsewhere"}),
    "307": Reply(307, headers={"location": "/elsewhere"}),
    "304": Reply(304, b""),
    "a page of a proxy": Reply(200, b"<html>log in", {"content-type": "text/html; charset=utf-8"}),
    "no JSON": Reply(200, b'{"partialSuccess":'),
    "no HTTP": Raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "nothing": Raw(b""),
    "reset at once": Raw(b"", reset=True),
    "closed after the first line": Raw(b"HTTP/1.1 200 OK\r\n"),
    "reset within the headers": Raw(b"HTTP/1.1 200 OK\r\ncontent-", reset=True),
    "closed within the body": Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{"),
    "reset within the body": Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{", reset=True),
    "hanging": hang,
    "trickling": trickle,
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_it_is_not_delivered_until_the_receiver_says_so(bad: object, forwarding, tmp_path: Path, caplog) -> None:
    segment = journal.write(tmp_path, STREAM, 1, COUNT)
    with serving() as receiver:
        reply = bad(receiver) if callable(bad) else bad
        receiver.behave = lambda request: reply
        forwarder = forwarding(tmp_path, receiver.url, timeout=2)  # by then the request is there
        started = time.monotonic()
        assert forwarder.turn() > 0
        assert time.monotonic() - started < 20
        assert (forwarder.delivered, forwarder.refused, journal.settled(segment)) == (0, 0, 0)
        assert {request.path for request in receiver.requests} == {"/v1/logs"}
        receiver.acknowledged.clear()
        receiver.behave = lambda request: Reply()
        forwarder.turn()
        assert receiver.acknowledged == ids(STREAM, 1, COUNT)
    assert (forwarder.delivered, journal.settled(segment)) == (COUNT, segment.stat().st_size)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.parametrize(
    "good",
    [
        Reply(),
        Reply(200, b""),
        Reply(200, b"ok", {"content-type": "text/plain"}),
        Reply(200, b'{"partialSuccess":{"rejectedLogRecords":"0","errorMessage":"deprecated"}}'),
        Reply(200, b'{"partialSuccess":{}}', {"connection": "close"}),
    ],
)
def test_a_clean_answer_is_enough(good: Reply, forwarding, tmp_path: Path, caplog) -> None:
    segment = journal.write(tmp_path, STREAM, 1, COUNT)
    with serving(lambda request: good) as receiver:
        forwarder = forwarding(tmp_path, receiver.url)
        forwarder.turn()
        forwarder.turn()
    assert receiver.acknowledged == ids(STREAM, 1, COUNT)
    assert journal.settled(segment) == segment.stat().st_size
    assert caplog.records == []


def test_a_receiver_that_is_down_gets_all_of_it_later(forwarding, tmp_path: Path) -> None:
    segment = journal.write(tmp_path, STREAM, 1, COUNT)
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    forwarder = forwarding(tmp_path, f"http://127.0.0.1:{port}/v1/logs")
    forwarder.turn()
    assert journal.settled(segment) == 0
    with serving(port=port) as receiver:
        forwarder.turn()
        assert receiver.acknowledged == ids(STREAM, 1, COUNT)


def test_a_connection_that_was_closed_meanwhile_costs_no_failure(forwarding, tmp_path: Path, caplog) -> None:
    journal.write(tmp_path, STREAM, 1, 1)
    # It says that it keeps the connection, and closes it.
    with serving(lambda request: Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")) as receiver:
        forwarder = forwarding(tmp_path, receiver.url)
        forwarder.turn()
        journal.write(tmp_path, STREAM, 2, 1)
        forwarder.turn()
        assert len(receiver.requests) == 2
    assert forwarder.delivered == 2
    assert caplog.records == []


def test_it_waits_longer_each_time_but_never_long(forwarding, tmp_path: Path) -> None:
    journal.write(tmp_path, STREAM, 1, 1)
    with serving(lambda request: Reply(500)) as receiver:
        forwarder = forwarding(tmp_path, receiver.url)
        waits = [forwarder.turn() for _ in range(40)]
        assert all(0.5 * bound <= wait <= bound for wait, bound in zip(waits, [1, 2, 4, 8, 16], strict=False))
        assert all(15 <= wait <= 30 for wait in waits[6:])
        assert len(set(waits)) == len(waits), "no jitter"
        receiver.behave = lambda request: Reply()
        assert forwarder.turn() == 1
        journal.write(tmp_path, STREAM, 2, 1)
        receiver.behave = lambda request: Reply(500)
        assert forwarder.turn() <= 1, "a success does not count"


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("7", 7, 7),
        ("0", 0, 0),
        pytest.param(formatdate(time.time() + 1000, usegmt=True), 300, 1000, id="a date"),
        ("-3", 0, 0),
        ("86400", 3600, 3600),
        ("soon", 0.5, 1),  # our own wait
        ("nan", 0.5, 1),
    ],
)
def test_it_waits_as_long_as_the_receiver_asks(
    text: str, least: float, most: float, forwarding, tmp_path: Path
) -> None:
    journal.write(tmp_path, STREAM, 1, 1)
    with serving(lambda request: Reply(503, headers={"retry-after": text})) as receiver:
        assert least <= forwarding(tmp_path, receiver.url).turn() <= most


def test_a_slow_receiver_is_waited_for(forwarding, tmp_path: Path) -> None:
    journal.write(tmp_path, STREAM, 1, COUNT)

    def slow(request: Request) -> Reply:
        receiver.gone.wait(0.5)
        return Reply()

    with serving(slow) as receiver:
        forwarding(tmp_path, receiver.url).turn()
        assert receiver.acknowledged == ids(STREAM, 1, COUNT)
