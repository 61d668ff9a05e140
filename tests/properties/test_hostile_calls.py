"""Whatever is done to PyJWT, the application gets what it would get without the plugin, and the audit is whole.

Every case is one call, made on a copy of PyJWT that nothing has touched and on the instrumented one, outside a
request, below a span or in an ``action()``. See :mod:`tests.properties.lab` for what is compared and counted.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentelemetry.instrumentation.pyjwt import guard
from tests.properties import strategies
from tests.properties.figures import share
from tests.properties.lab import POLICIES, SCENES, Lab

scenes = st.sampled_from(SCENES)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("calls", "part"),
    [
        pytest.param(strategies.decode_calls(), 0.7, id="decode"),
        pytest.param(strategies.encode_calls(), 0.23, id="encode"),
        pytest.param(strategies.header_calls(), 0.07, id="header"),
    ],
)
def test_the_application_is_not_affected_and_no_event_is_lost(instrument, monkeypatch, capfd, calls, part, policy):
    """Same result, exception and warnings; one event where one is due; promises kept; no secret anywhere."""
    monkeypatch.setattr(guard, "reraise", False)  # as in production: a failure of ours is logged, and found there

    with Lab(instrument(**POLICIES[policy]), policy).open() as lab:

        @settings(max_examples=share(part / len(POLICIES)))
        @given(calls, scenes)
        def check(call, scene):
            lab.check(call, scene)

        check()
    assert capfd.readouterr().err == ""
