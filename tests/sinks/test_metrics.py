"""Metrics: few, and of nothing that an attacker can choose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jwt
import pytest

from opentelemetry.instrumentation.pyjwt import __version__, action, record_revocation, record_scope_check
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from tests.capture.entry_points import attempt
from tests.capture.failures import FAILURES, PYJWT, decode
from tests.capture.forge import forged
from tests.support import KEY, OTHER_KEY, claims, mint

HS256 = ["HS256"]
GOOD = mint(exp=4_000_000_000)


class Meter:
    """Metrics of one test alone."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider(metric_readers=[self._reader])

    def read(self) -> dict[str, Any]:
        data = self._reader.get_metrics_data()
        if data is None:
            return {}
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
        assert {(scope.scope.name, scope.scope.version) for scope in scopes} == {
            ("opentelemetry.instrumentation.pyjwt", __version__)
        }
        return {metric.name: metric for scope in scopes for metric in scope.metrics}

    def counted(self, name: str) -> list[tuple[dict[str, Any], int]]:
        """Attributes and count of each series."""
        metric = self.read().get(name)
        points = metric.data.data_points if metric else []
        return [(dict(point.attributes), getattr(point, "count", getattr(point, "value", None))) for point in points]


@pytest.fixture
def meter(instrument: Callable[..., object]) -> Meter:
    meter = Meter()
    instrument(meter_provider=meter.provider)
    return meter


def test_each_metric_has_its_name_and_unit(meter: Meter) -> None:
    mint()
    record_revocation("t")
    with action("job"):
        jwt.decode(GOOD, KEY, HS256)
        record_scope_check("admin")
    assert {name: metric.unit for name, metric in meter.read().items()} == {
        "jwt.validation.duration": "s",
        "jwt.tokens.issued": "{token}",
        "jwt.tokens.revoked": "{token}",
        "jwt.scope.denials": "{denial}",
    }
    assert all(metric.description for metric in meter.read().values())
    for name in ("jwt.tokens.issued", "jwt.tokens.revoked", "jwt.scope.denials"):
        assert meter.counted(name) == [({}, 1)]
        assert meter.read()[name].data.is_monotonic


def test_the_buckets_fit_a_signature(meter: Meter) -> None:
    for _ in range(20):
        jwt.decode(GOOD, KEY, HS256)
    (point,) = meter.read()["jwt.validation.duration"].data.data_points
    assert point.explicit_bounds == (20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3)
    assert point.count == 20
    assert 0 < point.sum < 10


def test_a_verification_is_measured_once_and_a_peek_is_none(meter: Meter) -> None:
    jwt.decode(GOOD, KEY, HS256)
    with action("job"):
        jwt.get_unverified_header(GOOD)
        jwt.decode(GOOD, options={"verify_signature": False})
        jwt.decode(GOOD, KEY, HS256)
        jwt.decode(GOOD, KEY, HS256)
    assert meter.counted("jwt.validation.duration") == [({"jwt.validation.outcome": "valid", "jwt.alg": "HS256"}, 3)]


@pytest.mark.parametrize("failure", [one for one in FAILURES if one.since <= PYJWT], ids=lambda failure: failure.title)
def test_a_failed_verification_is_measured_with_its_reason(failure: Any, meter: Meter) -> None:
    decode(failure, failure.token())
    ((attributes, count),) = meter.counted("jwt.validation.duration")
    assert count == 1
    # The algorithm is the token's own word until a signature has been found good.
    alg = {"jwt.alg": "HS256"} if failure.verified else {}
    assert attributes == {"jwt.validation.outcome": "invalid", "jwt.validation.reason": failure.reason, **alg}


def test_no_word_of_a_token_that_is_not_verified_is_an_attribute(meter: Meter) -> None:
    evil = "EVIL"
    for token in (
        forged({"alg": evil, "kid": evil, "typ": evil}, claims(sub=evil, iss=evil)),
        forged({"alg": evil}, key=OTHER_KEY),
        forged({"alg": "HS256", "kid": evil}, claims(jti=evil, scope=evil), key=OTHER_KEY),
        f"{evil}.{evil}.{evil}",
    ):
        attempt(lambda token=token: jwt.decode(token, KEY, HS256))
        attempt(lambda token=token: jwt.decode(token, KEY, [evil]))
        attempt(lambda token=token: jwt.decode(token, options={"verify_signature": False}))
        with action(evil, client=evil):
            attempt(lambda token=token: jwt.get_unverified_header(token))
            record_scope_check(evil)
            record_revocation(evil, reason=evil, actor=evil, issuer=evil)
    assert meter.read()
    assert evil not in str(meter.read())
    names = {name for metric in meter.read() for attributes, _ in meter.counted(metric) for name in attributes}
    assert names <= {"jwt.validation.outcome", "jwt.validation.reason", "jwt.alg"}


def test_tokens_are_counted_as_events_are(meter: Meter) -> None:
    refresh = mint(jti="r", token_use="refresh")
    with action("refresh"):
        jwt.decode(refresh, KEY, HS256)
        mint(jti="a")
        mint(jti="a")  # once more, for a library's own ends
        mint(jti="b")
    assert meter.counted("jwt.tokens.issued") == [({}, 3)]
    assert meter.counted("jwt.scope.denials") == []


def test_without_anybody_to_listen_to_events_metrics_are_counted_all_the_same(
    instrument: Callable[..., object],
) -> None:
    from opentelemetry._logs import NoOpLoggerProvider

    meter = Meter()
    instrument(meter_provider=meter.provider, logger_provider=NoOpLoggerProvider())
    jwt.decode(GOOD, KEY, HS256)
    mint()
    assert [count for _, count in meter.counted("jwt.validation.duration")] == [1]
    assert meter.counted("jwt.tokens.issued") == [({}, 1)]
