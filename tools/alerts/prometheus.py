"""Prometheus: the rules that metrics can answer.

A metric has neither addresses nor tokens nor subjects, so that what counts by one of them cannot be asked of it; nor
has it what a request came to. What is left are single events that are told by the reason of a verification.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.review.model import And, Equals, Rule
from tools.alerts.common import SINGLE_EVERY, SINGLE_WINDOW, Query, as_yaml, notes

#: The histogram of verifications, as Prometheus names its number of measurements.
_VERIFICATIONS: Final = f"{semconv.VALIDATION_DURATION.replace('.', '_')}_seconds_count"
#: Reasons that PyJWT itself gives when it verifies; all others are given later, and measured by nothing.
_MEASURED: Final = frozenset(
    {
        semconv.EXPIRED,
        semconv.NOT_YET_VALID,
        semconv.INVALID_SIGNATURE,
        semconv.INVALID_ALGORITHM,
        semconv.INVALID_AUDIENCE,
        semconv.INVALID_ISSUER,
        semconv.INVALID_SUBJECT,
        semconv.INVALID_JTI,
        semconv.MISSING_CLAIM,
        semconv.INVALID_CLAIM,
        semconv.MALFORMED,
        semconv.INVALID_KEY,
        semconv.KEY_UNAVAILABLE,
    }
)


def generate(rules: Sequence[Rule]) -> str:
    asked = [(rule, reasons) for rule in rules if (reasons := reasons_of(rule))]
    return as_yaml(
        {
            "groups": [
                {
                    "name": "jwt-audit",
                    "interval": f"{SINGLE_EVERY}s",
                    "rules": [_rule(rule, reasons) for rule, reasons in asked],
                }
            ]
        },
        "Metrics tell that it happened, not to whom: they have no addresses, tokens or subjects. Rules that need",
        "them, or what a request came to, are not here.",
    )


def reasons_of(rule: Rule) -> list[str]:
    """The reasons that a rule is about, if it is about nothing else; none where metrics cannot answer it."""
    if rule.shape != "single" or not isinstance(rule.condition, And):
        return []
    match rule.condition.parts:
        case (Equals(semconv.EVENT_NAME, (semconv.REJECTED,)), Equals(semconv.REASON, reasons)) if (
            set(reasons) <= _MEASURED
        ):
            return [str(one) for one in reasons]
    return []


def _rule(rule: Rule, reasons: Sequence[str]) -> dict[str, Any]:
    label = semconv.REASON.replace(".", "_")
    series = f'{_VERIFICATIONS}{{{label}=~"{"|".join(reasons)}"}}'
    # A counter that was not there before has counted from nothing, which increase() cannot know.
    born = f"{series}\n  unless {series} offset {SINGLE_WINDOW}s"
    bound = f"{rule.comparison} {rule.threshold}"
    return {
        "alert": rule.name,
        "expr": Query(f"sum(increase({series}[{SINGLE_WINDOW}s])) {bound}\nor\nsum({born}) {bound}"),
        "labels": {"severity": rule.level},
        "annotations": notes(rule),
    }
