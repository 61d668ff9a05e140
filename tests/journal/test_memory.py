"""However many records there are, and however they differ, the memory that a journal takes stays as it is."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

from opentelemetry.instrumentation.pyjwt.events import INFO, AuditEvent
from opentelemetry.instrumentation.pyjwt.journal.writer import Journal

BOUND = 3 * 2**19  # bytes; were shapes or lists remembered for ever, it would be twice as many or more


def test_nothing_is_remembered_for_ever(journal: Callable[..., Journal]) -> None:
    """Each record with attributes of its own, and a list of its own."""
    active = journal()

    def write(numbers: range) -> int:
        for number in numbers:
            attributes = {
                "jwt.jti": str(number),
                "jwt.aud": [f"{number}-{turn:064}" for turn in range(32)],
                f"jwt.claims.{number}": number,
            }
            active.write(AuditEvent("jwt.unverified", number, INFO, "jwt.unverified", attributes))
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = write(range(512))
        assert write(range(512, 2512)) - before < BOUND
    finally:
        tracemalloc.stop()
