"""Tests of alerts say what each engine has found, in a table at the end of the run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.review.tally import Tally, table


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Callable[[str], Tally]:
    """Call it with an engine's name."""

    def of(engine: str) -> Tally:
        made = Tally(engine)
        request.node.user_properties.append((f"found by {engine}", made.rows))
        return made

    return of


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    told = [one for report in reports for one in report.user_properties if one[0].startswith("found by ")]
    if told:
        terminalreporter.section("planted misuse")
        for line in table({name.removeprefix("found by "): rows for name, rows in told}):
            terminalreporter.write_line(line)
