"""The ledger after the response has started, and under threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from opentelemetry.instrumentation.pyjwt.ledger import LATE_LIMIT, Ledger
from opentelemetry.instrumentation.pyjwt.verdict import Verdict
from tests.looks import header_read, look, mint, passed, peek, refuse, scopes, shown


def test_a_late_look_has_its_verdict_at_once_and_again_only_if_it_changes() -> None:
    ledger = Ledger()
    assert shown(look(token="t1")(ledger)) == []
    assert shown(ledger.close(200)) == ["jwt.validated"]
    assert shown(look(token="t1")(ledger)) == []
    assert shown(peek(token="t1")(ledger)) == []
    assert shown(look(token="t2")(ledger)) == ["jwt.validated"]
    assert shown(look(token="t2")(ledger)) == []
    assert shown(refuse("revoked", "t2")(ledger)) == ["jwt.rejected: revoked"]
    assert shown(refuse("revoked", "t2")(ledger)) == []
    assert shown(passed("revoked", "t2")(ledger)) == []
    assert shown(refuse("wrong_type", "t1")(ledger)) == ["jwt.rejected: wrong_type"]
    assert shown(passed("wrong_type", "t1")(ledger)) == ["jwt.validated"]
    assert shown(header_read(token="t3")(ledger)) == []
    assert shown(peek(token="t3")(ledger)) == ["jwt.unverified"]
    assert shown(look(token="t3")(ledger)) == ["jwt.validated"]
    assert shown(scopes("admin")(ledger)) == ["jwt.denied"]
    assert shown(mint("a")(ledger)) == ["jwt.issued"]
    assert shown(mint("a")(ledger)) == []
    assert shown(look(token="a")(ledger)) == []
    assert shown(ledger.revoked({})) == ["jwt.revoked"]
    assert ledger.close(500) == []


def test_a_late_token_is_not_judged_by_the_status() -> None:
    ledger = Ledger()
    assert shown(ledger.close(403)) == []
    assert shown(look()(ledger)) == ["jwt.validated"]


def test_a_late_token_is_minted_from_the_refresh_token_presented_before() -> None:
    ledger = Ledger()
    look(token_use="refresh")(ledger)
    ledger.close(200)
    (verdict,) = mint("late")(ledger)
    assert (verdict.name, verdict.attributes["jwt.parent.jti"]) == ("jwt.refreshed", "t1")


# --- The request's attributes, and threads ---------------------------------------------------------------------------


def test_the_request_is_described_once_and_with_its_status() -> None:
    asked = []
    ledger = Ledger(lambda: asked.append(1) or {"http.route": "/a"})  # type: ignore[func-returns-value]
    ledger.close(204)
    assert dict(ledger.attributes()) == {"http.route": "/a", "http.response.status_code": 204}
    assert dict(ledger.attributes()) == dict(ledger.attributes())
    assert asked == [1]


@pytest.mark.parametrize("late", [False, True])
def test_threads_that_look_at_the_same_tokens_give_one_verdict_each(late: bool) -> None:
    ledger = Ledger()
    if late:
        ledger.close(200)
    start = Barrier(8)

    def work() -> list[Verdict]:
        start.wait(10)
        return [verdict for number in range(50) for verdict in look(token=f"t{number}")(ledger)]

    with ThreadPoolExecutor(8) as pool:
        at_once = [verdict for task in [pool.submit(work) for _ in range(8)] for verdict in task.result(30)]
    verdicts = at_once + ledger.close(200)
    assert sorted(str(verdict.attributes["jwt.jti"]) for verdict in verdicts) == sorted(f"t{n}" for n in range(50))
    assert len(at_once) == (50 if late else 0)


def test_an_open_websocket_does_not_remember_tokens_without_end() -> None:
    ledger = Ledger()
    ledger.close(101)
    for number in range(3 * LATE_LIMIT):
        assert shown(look(token=f"t{number}")(ledger)) == ["jwt.validated"]
    assert shown(look(token=f"t{number}")(ledger)) == []  # the newest is remembered
    assert len(ledger._entries) <= LATE_LIMIT
