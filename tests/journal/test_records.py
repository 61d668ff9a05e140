"""What stands in the journal: whole OTLP export requests that say the same as the log records would."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor, __version__, action, record_revocation
from opentelemetry.instrumentation.pyjwt.events import INFO, AuditEvent
from opentelemetry.instrumentation.pyjwt.journal.chain import canonical
from opentelemetry.instrumentation.pyjwt.journal.record import Drafter, envelope, line, sequenced
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.resources import Resource
from tests.capture.entry_points import attempt
from tests.journal import book
from tests.support import KEY, OTHER_KEY, Trail, mint

HS256 = ["HS256"]


def everything() -> None:
    """One of each event."""
    good = mint(exp=4_000_000_000)
    refresh = mint(jti="refresh", token_use="refresh")
    with action("job", client="10.0.0.7"):
        jwt.decode(good, KEY, HS256)
    with action("refresh"):
        jwt.decode(refresh, KEY, HS256)
        mint(jti="new")
    attempt(lambda: jwt.decode(good, OTHER_KEY, HS256))
    jwt.decode(good, options={"verify_signature": False})
    record_revocation("token-1", actor="admin", reason="stolen")
    record_revocation("token-2")


def test_it_says_what_the_log_says(instrument: Callable[..., Trail], journal: Any, directory: Path) -> None:
    trail = instrument()
    everything()
    told = trail.events
    PyJWTInstrumentor().uninstrument()
    journal()
    everything()
    assert trail.events == []  # switched on anew, and nothing went through the SDK
    written = book.records(directory)
    own = ("audit.record.id", "trace_id", "span_id", "jwt.iat", "jwt.exp", "jwt.expires_in", "jwt.fingerprint")
    assert len(written) == len(told) == 9
    for record, event in zip(written, told, strict=True):
        said = {name: list(value) if isinstance(value, tuple) else value for name, value in event.items()}
        shown = {name: value for name, value in record.items() if name in event or not name.startswith("audit.")}
        assert {name: shown[name] for name in shown if name not in own} == {
            name: said[name] for name in said if name not in own
        }


def test_who_did_what_and_did_it_succeed(journal: Any, directory: Path) -> None:
    journal()
    everything()
    jwt.decode(mint(jti="m", sub=None, client_id="batch"), KEY, HS256)
    attempt(lambda: jwt.decode(mint(jti="f", client_id="evil"), OTHER_KEY, HS256))
    names = ("actor.id", "actor.type", "action", "outcome", "target.id", "target.type", "source.id", "schema.version")
    told = [
        (one["event"].removeprefix("jwt."), *(one.get(f"audit.{name}") for name in names))
        for one in book.records(directory)
    ]
    alice, nobody = ("alice", "user"), ("anonymous", "anonymous")
    assert told == [
        ("issued", *alice, "ISSUE", "success", None, None, None, "1.0"),
        ("issued", *alice, "ISSUE", "success", None, None, None, "1.0"),
        ("validated", *alice, "USE", "success", "job", "action", "10.0.0.7", "1.0"),
        ("validated", *alice, "USE", "success", "refresh", "action", None, "1.0"),
        ("refreshed", *alice, "REFRESH", "success", "refresh", "action", None, "1.0"),
        ("rejected", *nobody, "USE", "failure", None, None, None, "1.0"),
        ("unverified", *nobody, "USE", "unknown", None, None, None, "1.0"),
        ("revoked", "admin", "user", "REVOKE", "success", None, None, None, "1.0"),
        ("revoked", *nobody, "REVOKE", "success", None, None, None, "1.0"),
        ("issued", "batch", "service", "ISSUE", "success", None, None, None, "1.0"),
        ("validated", "batch", "service", "USE", "success", None, None, None, "1.0"),
        ("issued", *alice, "ISSUE", "success", None, None, None, "1.0"),
        ("rejected", *nobody, "USE", "failure", None, None, None, "1.0"),
    ]


def test_a_line_is_a_request_of_one_record(instrument: Callable[..., Trail], directory: Path) -> None:
    provider = LoggerProvider(Resource({"service.name": "shop", "numbers": [1, 2], "up": True}), shutdown_on_exit=False)
    trail = instrument(journal=directory, logger_provider=provider)
    before = time.time_ns()
    with trail.tracer_provider.get_tracer("test").start_as_current_span("work") as span:
        mint()
    mint()
    inside, outside = [json.loads(one) for _, _, one in book.lines(directory)]
    (logs,) = inside["resourceLogs"]
    assert book.Record({**logs["resource"], "eventName": ""}) == {
        "service.name": "shop", "numbers": [1, 2], "up": True, "event": "",
    }  # fmt: skip
    (scope,) = logs["scopeLogs"]
    assert scope["scope"] == {"name": "opentelemetry.instrumentation.pyjwt", "version": __version__}
    (record,) = scope["logRecords"]
    context = span.get_span_context()
    assert (record["traceId"], record["spanId"]) == (f"{context.trace_id:032x}", f"{context.span_id:016x}")
    assert record["flags"] == int(context.trace_flags)
    assert (record["severityNumber"], record["severityText"]) == (9, "INFO")
    assert before <= int(record["timeUnixNano"]) <= int(record["observedTimeUnixNano"]) <= time.time_ns()
    (record,) = outside["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert not {"traceId", "spanId", "flags"} & record.keys()


def test_files_are_the_owner_s_alone(journal: Any, directory: Path) -> None:
    journal()
    mint()
    (segment,), (lock,) = directory.glob("*.jsonl"), directory.glob("*.lock")
    assert len(list(directory.iterdir())) == 2
    assert [stat.S_IMODE(path.stat().st_mode) for path in (directory, segment, lock)] == [0o700, 0o600, 0o600]


STRANGE = {
    "zz": '\x00\n\u2028"\\%s%(a)s{}\U0001f600\ufb33',
    "a%s{0}\n": 1.5,
    "\ufb33": True,
    "\U0001f600": -(2**63),
    "geo.country.iso_code": "NO",
    "event.name": "other",
    "audit.sequence.number": 7,
    "audit.sequence.zzz": "mine",
    "audit.action": "DESTROY",
    "big": 1e300,
    "small": 1e-7,
    "nothing": [],
    "mixed": [1, "a", 2.5, False],
    "infinite": float("inf"),
}


def test_whatever_a_hook_adds_is_written_as_it_is_hashed() -> None:
    """Names and values that the text could stumble over; ours win where they are the journal's own."""
    event = AuditEvent("jwt.validated", 1, INFO, "jwt.validated", {"jwt.jti": "j", **STRANGE})
    drafter = Drafter()
    for number in (1, 2):  # as a new shape, and as a known one
        draft = drafter.draft(event, (1, 2, 1))
        hashed = sequenced(draft, "ab", number, "0" * 64)
        text = line(envelope({"service.name": "x"}), draft, hashed, 5)
        (raw,) = json.loads(text)["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
        assert canonical(raw) == hashed
        record = book.Record(raw)
        assert record["audit.sequence.number"] == number
        assert record["audit.action"] == "USE"
        assert "audit.sequence.zzz" not in record
        assert record["infinite"] == "Infinity"
        assert record["a%s{0}\\n"] == 1.5
        for name in ("zz", "\ufb33", "\U0001f600", "geo.country.iso_code", "event.name", "big", "small", "mixed"):
            assert record[name] == STRANGE[name]
        book.official(text, raw)


def test_what_cannot_be_encoded_costs_no_record() -> None:
    """Variables that are no UTF-8 come with lone surrogates, and resources with numbers that are none."""
    event = AuditEvent("jwt.issued", 1, INFO, "jwt.issued", {"http.route": "/\udcff", "jwt.jti": "j"})
    draft = Drafter().draft(event)
    resource = {"service.name": "a\udcff", "odd": [float("nan"), float("inf"), float("-inf"), 1.5]}
    text = line(envelope(resource), draft, sequenced(draft, "ab", 1, "0" * 64), 5)
    (raw,) = json.loads(text)["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert book.Record(raw)["http.route"] == "/?"
    odd = book.official(text, raw).resource_logs[0].resource.attributes[1].value.array_value.values
    assert [str(one.double_value) for one in odd] == ["nan", "inf", "-inf", "1.5"]


def test_shapes_are_forgotten_before_they_fill_the_memory() -> None:
    drafter = Drafter()
    for number in range(3000):
        drafter.draft(AuditEvent("jwt.issued", 1, INFO, "jwt.issued", {f"jwt.claims.{number}": number}))
    assert len(drafter._shapes) <= 256


def test_hostile_claims_are_written_and_read_back(journal: Any, directory: Path) -> None:
    journal()
    token = mint(jti="\ud800\n\u2028" * 500, big=2**70, iat=2**63 - 1, aud=["\x00"] * 100, sub='"%s\\')
    attempt(lambda: jwt.decode(token, OTHER_KEY, HS256))
    jwt.decode(token, options={"verify_signature": False})
    assert [one["event"] for one in book.records(directory)] == ["jwt.issued", "jwt.rejected", "jwt.unverified"]


@pytest.mark.parametrize("back", [3600, 10 * 365 * 86400])
def test_a_clock_that_steps_back_changes_no_order(
    back: int, journal: Any, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal()
    mint(jti="a")
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now - back * 10**9)
    mint(jti="b")
    first, second = book.records(directory)
    assert (first["jwt.jti"], second["jwt.jti"]) == ("a", "b")
    assert int(second.raw["timeUnixNano"]) < int(first.raw["timeUnixNano"])
