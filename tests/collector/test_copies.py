"""What a real Collector makes of a journal: nothing is lost, nothing is altered, and ``verify`` finds it intact."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from opentelemetry.instrumentation.pyjwt.cli.app import app
from opentelemetry.instrumentation.pyjwt.journal import segments
from opentelemetry.instrumentation.pyjwt.journal.destination import Destination
from opentelemetry.instrumentation.pyjwt.journal.forwarder import Forwarder
from tests.collector import copies, everything
from tests.collector.running import Collector, until
from tests.journal.writing import Signer, Stream, some

ADDED = ("event.name", "geo.country.iso_code")
PIPELINE = {
    "memory_limiter": {"check_interval": "1s", "limit_mib": 500},
    "transform": {
        "log_statements": [
            'set(log.attributes["event.name"], log.event_name)',
            'set(log.attributes["geo.country.iso_code"], "NO")',
        ]
    },
    "batch": {"timeout": "10ms"},
}


def verified(copy: Path, key: Path) -> dict[str, Any]:
    """What ``jwt-audit verify`` says."""
    done = CliRunner().invoke(app, ["verify", str(copy), "--public-key", str(key), "--json"])
    said: dict[str, Any] = json.loads(done.stdout)
    assert (done.exit_code, said["problems"]) == (0, [])
    return said


def forward(directory: Path, destination: Destination) -> Forwarder:
    with closing(Forwarder(directory, destination)) as forwarder:
        forwarder.turn()
        return forwarder


def test_the_journal_holds_everything(written: Path) -> None:
    """Or the others would prove little; each line is read by the official parser."""
    found = copies.by_id(written, copies.name)
    assert {one for names in found.values() for one in names} == everything.EVENTS
    assert {len(names) for names in found.values()} == {1}
    texts = b"\n".join(copies.lines(written))
    for one in ("stringValue", "boolValue", "intValue", "doubleValue", "arrayValue", "traceId", '"flags":0'):
        assert one.encode() in texts
    assert all(copies.message(one) for one in copies.records(written))


@pytest.mark.parametrize("processors", [{}, PIPELINE], ids=["as it comes", "with additions"])
def test_each_line_is_a_request_that_it_takes(
    processors: dict[str, Any], collector: Callable[..., Collector], written: Path, key: Path
) -> None:
    running = collector(**processors)
    running.post(copies.lines(written))
    running.stop()
    expected = copies.by_id(written, copies.message)
    added = ADDED if processors else ()
    assert copies.by_id(running.copies, lambda one: copies.message(one, added)) == expected
    for one in copies.records(running.copies):
        assert set(added) <= copies.attributes(one).keys()
    said = verified(running.copies, key)
    assert (said["records"], said["streams"]) == (len(expected), 1)
    assert said["checkpoints"] > 2


@pytest.mark.parametrize("processors", [{}, PIPELINE], ids=["as it comes", "with additions"])
@pytest.mark.parametrize(
    ("protocol", "compression"),
    [("http/json", "gzip"), ("http/json", "none"), ("http/protobuf", "gzip"), ("grpc", "gzip"), ("grpc", "none")],
)
def test_what_is_forwarded_arrives_once_and_as_it_was(
    protocol: str,
    compression: str,
    processors: dict[str, Any],
    collector: Callable[..., Collector],
    written: Path,
    key: Path,
) -> None:
    running = collector(**processors)
    endpoint = f"http://127.0.0.1:{running.grpc}" if protocol == "grpc" else running.url
    expected = copies.by_id(written, copies.message)
    forwarder = forward(written, Destination(protocol, endpoint, compression=compression, insecure=True))
    assert (forwarder.delivered, forwarder.refused) == (len(expected), 0)
    running.stop()
    added = ADDED if processors else ()
    assert copies.by_id(running.copies, lambda one: copies.message(one, added)) == expected
    assert verified(running.copies, key)["records"] == len(expected)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_however_it_ends_and_comes_back_every_record_arrives(
    how: signal.Signals,
    collector: Callable[..., Collector],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """10,000 records in about 300 requests; one of them may be under way when it ends, and comes again."""
    monkeypatch.setattr(segments, "CHUNK", 32 * 1024)
    signer, chance = Signer(), random.Random(how)
    journal, key = tmp_path / "journal", tmp_path / "public.pem"
    key.write_bytes(signer.pem)
    stream = some(Stream(signer), 10_000, rotate=2_000)
    stream.save(journal)
    running = collector()
    forwarder = Forwarder(journal, Destination("http/json", running.url))
    forwarder.start()
    try:
        for _ in range(3):
            enough = forwarder.delivered + chance.randrange(1_000, 2_000)
            until(lambda: forwarder.delivered >= enough, f"{enough} are delivered")  # noqa: B023  # called at once
            running.stop(how)
            assert forwarder.delivered < 10_000, "it was too fast: nothing is tested"
            running.start()
        until(lambda: forwarder.delivered >= 10_000, "all are delivered")
    finally:
        forwarder.stop()
    running.stop()
    expected = {copies.attributes(one)["audit.record.id"]["stringValue"] for one in copies.records(journal)}
    found = copies.by_id(running.copies, copies.message)
    assert len(expected) == 10_000
    assert found.keys() == expected
    assert all(len(set(same)) == 1 for same in found.values()), "repeats are the same"
    repeats = sum(map(len, found.values())) - len(found)
    assert repeats <= 3 * 32 * 1024 / min(map(len, copies.lines(journal)))
    assert verified(running.copies, key)["records"] == 10_000
