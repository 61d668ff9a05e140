"""Who departs from their own past is found, and who does not is not accused."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt.review.baseline import RULES, network_of
from opentelemetry.instrumentation.pyjwt.review.compact import compact
from opentelemetry.instrumentation.pyjwt.review.database import database
from opentelemetry.instrumentation.pyjwt.review.findings import Finding, review
from opentelemetry.instrumentation.pyjwt.review.sources import find
from tests.review.planting import Event
from tests.review.written import write

SECOND = 1_000_000_000
HOUR = 3_600
DAY = 24 * HOUR
SINCE = 20_000 * DAY  # what is before it are days -14 to -1, and day 0 is reviewed
numbers = count(1)


def use(sub: str, day: int, hour: float = 9, name: str = "jwt.validated", **more: Any) -> Event:
    given = {
        "audit.record.id": f"r{next(numbers)}",
        "jwt.iss": "https://issuer",
        "jwt.sub": sub,
        "jwt.verified": True,
        "geo.country.iso_code": "DE",
        "client.address": "198.51.100.7",
        "user_agent.original": f"Browser/{200 + day}.1 (Linux)",
    } | {name.replace("__", "."): value for name, value in more.items()}
    at = SINCE + day * DAY + round(hour * HOUR)
    return Event(at * SECOND, name, {name: value for name, value in given.items() if value is not None})


def usual(sub: str, days: range = range(-14, 0), hours: tuple[int, ...] = (9, 12, 15), **more: Any) -> list[Event]:
    return [use(sub, day, hour, **more) for day in days for hour in hours]


def many(sub: str, day: int, number: int, hour: int = 9, **more: Any) -> list[Event]:
    return [use(sub, day, hour + n / number, **more) for n in range(number)]


ABROAD = {"geo__country__iso_code": "FR", "client__address": "203.0.113.5"}
ELSEWHERE = ABROAD | {"user_agent__original": "curl/8.1"}

PLANTED = [
    *usual("stolen"),
    *(use("stolen", 0, 9 + n / 10, **ELSEWHERE) for n in range(3)),
    *(use("stolen", 0, 10) for _ in range(4)),
    *usual("moved"),
    use("moved", 0, client__address="203.0.113.5"),
    *usual("abroad"),
    use("abroad", 0, **ABROAD),
    *usual("at-night"),
    use("at-night", 0, 3),
    *usual("busy"),
    *many("busy", 0, 200),
    *usual("refused-before"),  # a thief who failed once is no habit
    use("refused-before", -3, name="jwt.rejected", **ABROAD),
    use("refused-before", 0, name="jwt.rejected", jwt__validation__reason="revoked", **ABROAD),
]
DECOYS = [
    *usual("traveller"),
    use("traveller", -9, **ELSEWHERE),
    use("traveller", 0, **ELSEWHERE),
    *usual("new", range(-2, 0)),
    *many("new", 0, 400, 3, **ELSEWHERE),
    *usual("weekly", range(-13, 0, 6)),  # of three days, no hours are known, and no rate
    *many("weekly", 0, 400, 3),
    *(event for day in range(-14, 1) for event in many("growing", day, round(60 * 1.08 ** (day + 14)))),
    *usual("on-holiday", range(-14, -7)),
    *usual("on-holiday", range(1), (8, 16)),
    *usual("new-version"),
    use("new-version", 0, user_agent__original="Browser/999.0.1 (Linux)", client__address="198.51.100.200"),
    *usual("six", client__address="2001:db8:1::5"),
    use("six", 0, client__address="2001:0DB8:0001:ffff::1"),
    *usual("unknown-before", geo__country__iso_code=None),
    use("unknown-before", 0),
    *usual("forged"),
    *many("forged", 0, 500, 3, jwt__verified=False, name="jwt.rejected", **ELSEWHERE),
    *many("forged", 0, 500, 3, jwt__verified=None, name="jwt.unverified", **ELSEWHERE),
    *usual("namesake"),
    *many("namesake", 0, 500, 3, jwt__iss="https://other", **ELSEWHERE),
    *(event for day in range(-14, 1) for event in many("robot", day, 400)),
    *(event for day in range(-14, 0) for event in many("erratic", day, 10 if day % 2 else 100)),
    *many("erratic", 0, 250),
    *(event for day in range(-14, 0) for event in many("steady", day, 100)),
    *many("steady", 0, 250),
    *usual("long-ago", range(-40, -14)),
    use("long-ago", 0, **ELSEWHERE),
]


def by_subject(found: Iterator[Finding]) -> dict[tuple[str | None, str], tuple[str, int]]:
    return {(one.key["jwt.sub"], one.rule.name.removeprefix("baseline-")): (one.level, one.count) for one in found}


EXPECTED = {
    ("stolen", "new-country"): ("high", 3),
    ("stolen", "new-network"): ("high", 3),
    ("stolen", "new-agent"): ("high", 3),
    ("moved", "new-network"): ("informational", 1),
    ("abroad", "new-country"): ("medium", 1),
    ("abroad", "new-network"): ("medium", 1),
    ("at-night", "new-hour"): ("informational", 1),
    ("busy", "rate"): ("low", 200),
    ("refused-before", "new-country"): ("medium", 1),
    ("refused-before", "new-network"): ("medium", 1),
}


def reviewed(path: Path, past: int = 14 * DAY, **options: Any) -> list[Finding]:
    with review(find([path]), [], since=SINCE * SECOND, past=past * SECOND, **options) as found:
        assert found.events == sum(event.time_unix_nano >= SINCE * SECOND for event in [*PLANTED, *DECOYS])
        return list(found)


@pytest.mark.parametrize("form", ["lines", "archive"])
def test_planted_and_decoys(form: str, tmp_path: Path) -> None:
    path = write(tmp_path / "copy.json", [*DECOYS, *PLANTED], a_line=50)
    if form == "archive":
        compact(find([path]), tmp_path / "archive", ["audit.record.id"], lambda size: None)
        path = tmp_path / "archive"
    assert by_subject(iter(reviewed(path))) == EXPECTED


def test_off_unless_asked_for(tmp_path: Path) -> None:
    assert reviewed(write(tmp_path / "copy.json", [*DECOYS, *PLANTED]), past=0) == []


def test_words_times_and_samples(tmp_path: Path) -> None:
    found = reviewed(write(tmp_path / "copy.json", [*DECOYS, *PLANTED]))
    by_id = {event.attributes["audit.record.id"]: event for event in PLANTED}
    for one in found:
        assert one.rule in RULES
        assert 0 < len(one.sample) <= 5
        for event in map(by_id.__getitem__, one.sample):
            assert event.attributes["jwt.sub"] == one.key["jwt.sub"]
            assert SINCE * SECOND <= one.first <= event.time_unix_nano <= one.last
    why = {(one.key["jwt.sub"], one.rule.name): one.why for one in found}
    assert why["stolen", "baseline-new-country"] == (
        "first from country FR; in 14 active days before: DE; score 5 (new-agent, new-country, new-network)"
    )
    assert why["moved", "baseline-new-network"] == (
        "first from network 203.0.113.0/24; in 14 active days before: 198.51.100.0/24; score 1 (new-network)"
    )
    assert why["busy", "baseline-rate"] == (
        "200 uses in one hour; the median of before is 1.0 (median absolute deviation 0.0); score 2 (rate)"
    )
    assert str(why["at-night", "baseline-new-hour"]).startswith("first at hour (UTC) 3; in 14 active days before: ")


def test_networks() -> None:
    with database() as opened:
        for address, network in (
            ("192.0.2.77", "192.0.2.0/24"),
            ("::ffff:192.0.2.77", "192.0.2.0/24"),
            ("2001:DB8:00ab:1::5", "2001:db8:ab::/48"),
            ("2001:db8::5", "2001:db8:0::/48"),
            ("::1", "0:0:0::/48"),
            ("testclient", "testclient"),
            (None, None),
        ):
            query = f'SELECT {network_of()} FROM (SELECT ?::VARCHAR AS "client.address")'
            assert opened.rows(query, [address]) == [(network,)]
