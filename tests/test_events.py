"""Events: what becomes of a verdict."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt import AuditEvent, semconv
from opentelemetry.instrumentation.pyjwt.events import event_of
from opentelemetry.instrumentation.pyjwt.verdict import Verdict
from tests import isolated


def event(name: str, reason: str | None = None, request: dict[str, Any] | None = None, **attributes: Any) -> AuditEvent:
    return event_of(Verdict(name, time.time_ns(), dict(attributes), reason, None), request or {})


@pytest.mark.parametrize(
    ("name", "reason", "severity", "body"),
    [
        ("jwt.issued", None, "INFO", "jwt.issued"),
        ("jwt.refreshed", None, "INFO", "jwt.refreshed"),
        ("jwt.revoked", None, "INFO", "jwt.revoked"),
        ("jwt.validated", None, "INFO", "jwt.validated"),
        ("jwt.denied", None, "WARN", "jwt.denied"),
        ("jwt.unverified", None, "WARN", "jwt.unverified"),
        ("jwt.rejected", "expired", "WARN", "jwt.rejected: expired"),
        ("jwt.rejected", "revoked", "ERROR", "jwt.rejected: revoked"),
    ],
)
def test_each_event_has_its_severity_and_body(name: str, reason: str | None, severity: str, body: str) -> None:
    made = event(name, reason)
    assert (made.name, made.severity, made.body) == (name, severity, body)


def test_the_events_are_these_seven() -> None:
    assert semconv.EVENTS == (
        "jwt.issued",
        "jwt.refreshed",
        "jwt.revoked",
        "jwt.validated",
        "jwt.denied",
        "jwt.rejected",
        "jwt.unverified",
    )


def test_the_body_holds_no_claim() -> None:
    assert event("jwt.validated", **{"jwt.jti": "a", "jwt.sub": "alice"}).body == "jwt.validated"


def test_an_event_has_what_the_token_and_the_request_have() -> None:
    made = event("jwt.validated", None, {"http.route": "/a"}, **{"jwt.jti": "a"})
    assert made.attributes["jwt.jti"] == "a"
    assert made.attributes["http.route"] == "/a"
    assert abs(made.time_unix_nano - time.time_ns()) < 60 * 10**9


def test_each_record_has_an_id_of_its_own() -> None:
    ids = [str(event("jwt.validated").attributes["audit.record.id"]) for _ in range(1000)]
    assert len(set(ids)) == 1000
    parsed = [uuid.UUID(one) for one in ids]
    assert [str(one) for one in parsed] == ids
    assert {one.variant for one in parsed} == {uuid.RFC_4122}


def test_ids_are_of_their_process_whatever_seed_the_application_sets() -> None:
    script = """
    import os, random, sys
    random.seed(1)
    from tests.test_events import event
    def show(count):
        for _ in range(count):
            sys.stdout.write(event("jwt.validated").attributes["audit.record.id"] + "\\n")
        sys.stdout.flush()
    show(1)
    if (child := os.fork()) == 0:
        show(50)
        os._exit(0)
    show(50)
    os.waitpid(child, 0)
    """
    ids = isolated.run(script).stdout.split() + isolated.run(script).stdout.split()
    assert len(ids) == len(set(ids)) == 202


def test_an_event_is_frozen() -> None:
    made = event("jwt.validated")
    with pytest.raises(AttributeError):
        made.name = "other"  # type: ignore[misc]
