"""A profile for the length of the run, and a summary of what it tried."""

from __future__ import annotations

import hypothesis
import pytest

from tests.properties.figures import CASES, FIGURES, KINDS

# Neither keeps a database: a finding is repeated by the short run, or printed by the long one.
hypothesis.settings.register_profile(
    "properties",
    deadline=None,
    database=None,
    derandomize=CASES == 0,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large],
)


@pytest.fixture(autouse=True)
def _profile():
    before = hypothesis.settings.get_current_profile_name()
    hypothesis.settings.load_profile("properties")
    yield
    hypothesis.settings.load_profile(before)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not FIGURES.cases:
        return
    terminalreporter.section("properties")
    terminalreporter.line(
        f"{FIGURES.cases} cases, {FIGURES.events_seen} events of {FIGURES.events_expected} expected, "
        f"{FIGURES.secrets_sought} secrets sought"
    )
    terminalreporter.line(", ".join(f"{kind}: {FIGURES.findings[kind]}" for kind in KINDS))
    for body, count in FIGURES.outcomes.most_common():
        terminalreporter.line(f"{count:>8} {body}")
