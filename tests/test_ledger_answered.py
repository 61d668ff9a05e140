"""A SERVER span may end when there is a response that has not started yet: it shows that response's status."""

from __future__ import annotations

from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt.ledger import Ledger
from tests.looks import look, shown

SPAN = object()


def ledger() -> Ledger:
    ledger = Ledger()
    ledger.span = SPAN
    return ledger


@pytest.mark.parametrize(
    ("status", "expected"), [(401, ("invalid", "refused")), (403, ("valid", None)), (500, ("valid", None))]
)
def test_the_span_shows_the_status_as_it_stands(status: int, expected: Any) -> None:
    request = ledger()
    look()(request)
    request.answered(status)
    attributes = request.shown_on(SPAN) or {}
    assert (attributes["jwt.validation.outcome"], attributes.get("jwt.validation.reason")) == expected
    assert not request.closed


@pytest.mark.parametrize(("status", "name"), [(200, "jwt.validated"), (403, "jwt.denied"), (None, "jwt.validated")])
def test_the_status_that_is_sent_decides(status: int | None, name: str) -> None:
    request = ledger()
    look()(request)
    request.answered(401)
    assert shown(request.close(status)) == [name]


def test_the_status_is_about_the_token_verified_last_when_the_response_starts() -> None:
    request = ledger()
    look()(request)
    request.answered(401)
    look(token="t2")(request)
    assert shown(request.close(401)) == ["jwt.validated", "jwt.rejected: refused"]


def test_once_the_request_is_decided_nothing_changes() -> None:
    request = ledger()
    look()(request)
    assert shown(request.close(200)) == ["jwt.validated"]
    request.answered(401)
    assert look()(request) == []
