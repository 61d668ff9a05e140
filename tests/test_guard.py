"""Our failures: logged once each, without what they choked on, and never the application's."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from opentelemetry.instrumentation.pyjwt import guard
from opentelemetry.instrumentation.pyjwt.guard import guarded, report

SECRET = "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is outside of these tests."""
    monkeypatch.setattr(guard, "reraise", False)
    monkeypatch.setattr(guard, "_reported", set())


@guarded("default")
def failing(token: str) -> str:
    """Fails."""
    raise ValueError(f"cannot read {token}")


def test_what_a_guarded_function_raises_becomes_its_default(caplog: pytest.LogCaptureFixture) -> None:
    assert failing(SECRET) == "default"
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.name == "opentelemetry.instrumentation.pyjwt"
    assert "failing failed with ValueError" in record.getMessage()
    assert f'File "{__file__}"' in record.getMessage()


def test_no_message_of_an_exception_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    failing(SECRET)
    (record,) = caplog.records
    assert SECRET not in caplog.text
    assert "cannot read" not in caplog.text
    assert record.exc_info is None


def test_a_failure_is_logged_once_for_its_line(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(100):
        failing(SECRET)
    assert len(caplog.records) == 1


def test_failures_of_other_lines_are_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    @guarded(None)
    def another() -> None:
        raise ValueError

    failing(SECRET)
    another()
    assert len(caplog.records) == 2


def test_an_exception_that_was_never_raised_can_be_reported(caplog: pytest.LogCaptureFixture) -> None:
    report(ValueError(SECRET), "Something")
    assert "Something failed with ValueError" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_error_passes(error: type[BaseException]) -> None:
    @guarded(None)
    def interrupted() -> None:
        raise error

    with pytest.raises(error):
        interrupted()


def test_a_guarded_function_is_as_before() -> None:
    @guarded(None)
    def add(a: int, *, b: int = 1) -> int:
        """Adds."""
        return a + b

    assert (add(1), add(1, b=2), add.__name__, add.__doc__) == (2, 3, "add", "Adds.")


@pytest.mark.parametrize("fail", [lambda: failing(SECRET), lambda: report(ValueError(), "Something")])
def test_tests_see_the_failure(fail: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "reraise", True)
    with pytest.raises(ValueError):  # noqa: PT011
        fail()
