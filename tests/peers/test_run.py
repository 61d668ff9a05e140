"""The comparison itself: a difference that it overlooked would make every other project's suite look content."""

import pytest

from tests.peers.run import Comparison, outcomes

PASSED, FAILED = ("passed",), ("failure",)


@pytest.fixture
def report(tmp_path):
    path = tmp_path / "report.xml"
    path.write_text("""
        <testsuites><testsuite>
          <testcase classname="tests.test_api.TestDecode" name="test_ok[HS256]"/>
          <testcase classname="tests.test_api.TestDecode" name="test_bad"><failure message="m">text</failure></testcase>
          <testcase classname="tests.test_api" name="test_x"><skipped type="pytest.xfail" message=""/></testcase>
          <testcase classname="tests.test_api" name="test_s"><skipped type="pytest.skip" message="no"/></testcase>
          <testcase classname="tests.test_api" name="test_t"><failure message="m"/></testcase>
          <testcase classname="tests.test_api" name="test_t"><error message="teardown"/></testcase>
          <testcase classname="tests.test_api" name="test_o"><system-out>printed</system-out></testcase>
        </testsuite></testsuites>
    """)
    return path


def test_outcomes_are_read_from_a_report(report):
    assert outcomes(report) == {
        "tests.test_api.TestDecode::test_ok[HS256]": ("passed",),
        "tests.test_api.TestDecode::test_bad": ("failure",),
        "tests.test_api::test_x": ("skipped pytest.xfail",),
        "tests.test_api::test_s": ("skipped pytest.skip",),
        "tests.test_api::test_t": ("failure", "error"),
        "tests.test_api::test_o": ("passed",),
    }


def test_equal_runs_are_no_problem_even_when_tests_fail_in_both(report):
    comparison = Comparison("Peer 1.0", outcomes(report), outcomes(report), 12)
    assert comparison.problems == []
    assert comparison.row().split() == ["Peer", "1.0", "6", "2", "3", "2", "12", "0"]


@pytest.mark.parametrize(
    ("bare", "instrumented", "problem"),
    [
        ({"t": PASSED}, {"t": FAILED}, "t: passed, with the instrumentation failure"),
        ({"t": FAILED}, {"t": PASSED}, "t: failure, with the instrumentation passed"),
        ({"t": PASSED, "u": PASSED}, {"t": PASSED}, "u: passed, with the instrumentation not run"),
        ({"t": PASSED}, {"t": PASSED, "u": PASSED}, "u: not run, with the instrumentation passed"),
        (
            {"t": ("skipped pytest.xfail",)},
            {"t": ("skipped pytest.skip",)},
            "t: skipped pytest.xfail, with the instrumentation skipped pytest.skip",
        ),
        ({"t": PASSED}, {"t": ("passed", "error")}, "t: passed, with the instrumentation passed + error"),
        ({}, {}, "no test ran"),
    ],
)
def test_a_difference_is_named(bare, instrumented, problem):
    assert Comparison("Peer 1.0", bare, instrumented, 1).problems == [f"Peer 1.0: {problem}"]


def test_a_run_that_recorded_nothing_proves_nothing():
    assert Comparison("Peer 1.0", {"t": PASSED}, {"t": PASSED}, 0).problems == [
        "Peer 1.0: the instrumentation recorded nothing"
    ]


def test_an_error_that_the_instrumentation_hid_is_a_problem():
    comparison = Comparison("Peer 1.0", {"t": PASSED}, {"t": PASSED}, 1, ("decode failed with KeyError",))
    assert comparison.problems == ["Peer 1.0: decode failed with KeyError"]
