"""A Collector's copy is what protobuf makes of the journal's lines, and what a pipeline adds; it is still intact."""

from __future__ import annotations

import base64
import gzip
import json
import random
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.events import ERROR, INFO, WARN, AuditEvent
from opentelemetry.instrumentation.pyjwt.journal import trail
from opentelemetry.instrumentation.pyjwt.journal.checkpoint import Signer
from opentelemetry.instrumentation.pyjwt.journal.checkpoints import Keys
from opentelemetry.instrumentation.pyjwt.journal.files import find
from opentelemetry.instrumentation.pyjwt.journal.policy import Policy
from opentelemetry.instrumentation.pyjwt.journal.verify import Report, verify
from opentelemetry.instrumentation.pyjwt.journal.writer import Journal
from tests.journal import book, writing

# Values of all kinds that a hook may add, among them all that protobuf takes for nothing.
VALUES: dict[str, Any] = {
    "text": 'álice \U0001d518 "\\\n\x00\u2028<&>',
    "no text": "",
    "yes": True,
    "no": False,
    "zero": 0,
    "integer": -(2**63),
    "large": 2**63 - 1,
    "texts": ["a", ""],
    "nothing": [],
    "integers": [0, 2**60],
    "booleans": [False, True],
    "doubles": [0.0, -1.5],
    "0.0": 0.0,
    "-0.0": -0.0,
    "1.0": 1.0,
    "double": 0.1,
    "1e21": 1e21,
    "1e-7": 1e-7,
    "smallest": 5e-324,
    "NaN": float("nan"),
    "infinity": float("-inf"),
}
SPANS = (None, (2**127, 1, 0), (1, 2**63, 1))
SIGNER = writing.Signer()


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    (tmp_path / "key.pub").write_bytes(SIGNER.pem)
    return Keys.load([tmp_path / "key.pub"])


@pytest.fixture
def journal(tmp_path: Path, directory: Path) -> Path:
    """Two streams of events of all kinds, within spans and without, as the plugin writes them."""
    private = tmp_path / "key.pem"
    private.write_bytes(SIGNER.private_pem)
    policy = Policy(fsync="never", rotate=3600, rotate_bytes=20_000, retention=3600, max_bytes=2**30, on_full="drop")
    for _ in range(2):
        written = Journal(directory, policy, lambda: {"service.name": "shop"}, Signer(private))
        for number, name in enumerate([name for name in semconv.EVENTS if name != semconv.CHECKPOINT] * 3):
            severity = (INFO, WARN, ERROR)[number % 3]
            attributes = {semconv.RECORD_ID: f"{name} {number}", "geo.city_name": "Bonn", **VALUES}
            event = AuditEvent(name, writing.START + number, severity, name, attributes)
            written.write(event, SPANS[number // 7])
        written.stop()
    return directory


def through_protobuf(line: bytes, **options: Any) -> list[dict[str, Any]]:
    """The records of a line as a Collector has them, who has read it and writes it anew."""
    parsed = book.official(line, json.loads(line)["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0])
    request = json_format.MessageToDict(parsed, use_integers_for_enums=True, **options)
    found: list[dict[str, Any]] = request["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    for record in found:
        for name in ("traceId", "spanId"):
            if name in record:
                record[name] = base64.b64decode(record[name]).hex()
    return found


def copy_of(journal: Path, change: Callable[[dict[str, Any]], object] = lambda record: None) -> list[dict[str, Any]]:
    records = [record for _, _, line in book.lines(journal) for record in through_protobuf(line)]
    for record in records:
        change(record)
    return records


def checked(records: list[dict[str, Any]], path: Path, keys: Keys, a_line: int = 5) -> Report:
    lines = [writing.line_of(*records[at : at + a_line]) for at in range(0, len(records), a_line)]
    path.write_bytes(b"".join(lines))
    return verify(find([path]), keys)


def numbers(value: Any) -> Any:
    """64-bit integers as numbers."""
    if isinstance(value, dict):
        return {name: int(one) if name in ("intValue", "timeUnixNano") else numbers(one) for name, one in value.items()}
    return [numbers(one) for one in value] if isinstance(value, list) else value


def add(*attributes: tuple[str, str]) -> Callable[[dict[str, Any]], object]:
    return lambda record: record["attributes"].extend(
        {"key": key, "value": {"stringValue": value}} for key, value in attributes
    )


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "as it is": lambda record: None,
    "observed": lambda record: record.update(observedTimeUnixNano="1"),
    "not observed": lambda record: record.pop("observedTimeUnixNano"),
    "event.name": add(("event.name", "jwt.validated")),
    "geo": add(("geo.country.iso_code", "DE"), ("geo.location.lat", "50.7")),
    "order": lambda record: random.Random(1).shuffle(record["attributes"]),
    "numbers": lambda record: record.update(numbers(record)),
    "none dropped": lambda record: record.update(droppedAttributesCount=0),
    "no flags": lambda record: record.setdefault("flags", 0),
    "no ids": lambda record: [record.setdefault(name, "") for name in ("traceId", "spanId")],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_copy_is_intact(
    change: Callable[[dict[str, Any]], object], journal: Path, tmp_path: Path, keys: Keys
) -> None:
    records = copy_of(journal, change)
    report = checked(records, tmp_path / "copy.json", keys)
    assert report == verify(find([journal]), keys)
    assert (report.intact, report.streams, report.checkpoints > 2, report.unsigned) == (True, 2, True, 0)


def test_requests_without_a_newline_between_them(journal: Path, tmp_path: Path, keys: Keys) -> None:
    """As an exporter leaves them that was killed before it wrote the newline; a journal never does."""
    records = copy_of(journal)
    lines = [writing.line_of(record) for record in records]
    path = tmp_path / "copy.json"
    path.write_bytes(b"".join(lines[:3]) + lines[3].rstrip() + b"".join(lines[4:]))
    assert verify(find([path]), keys) == verify(find([journal]), keys)
    with closing(trail.tell(find([path]), trail.By.JTI, "nobody")) as story:
        assert story.unreadable == 0
    segment = sorted(journal.glob("*.jsonl"))[0]
    segment.write_bytes(segment.read_bytes().replace(b"\n", b"", 1))
    assert [problem.kind for problem in verify(find([journal]), keys).problems] == ["changed"]


def test_protobuf_with_all_that_is_absent(journal: Path, tmp_path: Path, keys: Keys) -> None:
    lines = [line for _, _, line in book.lines(journal)]
    try:
        records = [one for line in lines for one in through_protobuf(line, always_print_fields_with_no_presence=True)]
    except TypeError:  # protobuf before 26
        records = [one for line in lines for one in through_protobuf(line, including_default_value_fields=True)]
    assert "droppedAttributesCount" in records[0]
    assert checked(records, tmp_path / "copy.json", keys).intact


def test_all_at_once_among_what_others_write(journal: Path, tmp_path: Path, keys: Keys) -> None:
    """Streams mixed, retries repeated, and a file to which other signals and other programs' logs go."""

    def all_of(record: dict[str, Any]) -> None:
        for name in ("observed", "event.name", "geo", "order", "numbers", "none dropped", "no ids"):
            CHANGES[name](record)

    records = copy_of(journal, all_of)
    expected = verify(find([journal]), keys)
    records += random.Random(2).choices(records, k=20)
    records += [
        {"body": {}, "attributes": [{"key": "null", "value": {}}, {"key": "null"}]},
        {"timeUnixNano": "1"},
        {"attributes": [{"key": "a", "value": {"kvlistValue": {"values": []}}}]},
    ]
    random.Random(3).shuffle(records)
    path = tmp_path / "audit.json"
    assert checked(records, path, keys) == expected
    path.write_bytes(b'{"resourceSpans":[]}\n\n' + path.read_bytes() + b'{"resourceMetrics":[]}\n{"resourceLogs":[{')
    assert verify(find([path]), keys) == expected
    packed = tmp_path / "audit.json.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert verify(find([tmp_path / "audit.json.gz"]), keys) == expected


def value_in(record: dict[str, Any], key: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one["value"] for one in record["attributes"] if one["key"] == key)
    return found


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.update(droppedAttributesCount=1),
        lambda record: record.update(severityText=""),
        lambda record: record.update(flags=256),
        lambda record: record["body"].update(stringValue=""),
        lambda record: record["attributes"].pop(),
        lambda record: record["attributes"].append({"key": "jwt.sub", "value": {"stringValue": "bob"}}),
        lambda record: value_in(record, "zero").update(intValue="1"),
        lambda record: value_in(record, "nothing").update(arrayValue={"values": [{"stringValue": ""}]}),
        lambda record: value_in(record, "texts")["arrayValue"].update(more=1),
    ],
)
def test_what_protobuf_does_not_take_for_the_same_is_not(
    change: Callable[[dict[str, Any]], object], journal: Path, tmp_path: Path, keys: Keys
) -> None:
    records = copy_of(journal)
    change(records[3])
    assert [(one.kind, one.sequence) for one in checked(records, tmp_path / "copy.json", keys).problems] == [
        ("changed", 4)
    ]
