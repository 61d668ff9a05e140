"""Everything that a journal can hold, written by the product: each event, and each type of value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jwt

from opentelemetry import trace
from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor, action, record_revocation, record_scope_check
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from tests.capture.entry_points import attempt
from tests.support import KEY, OTHER_KEY, Trail, mint

EVENTS = {
    *("jwt.issued", "jwt.refreshed", "jwt.revoked", "jwt.validated", "jwt.denied", "jwt.rejected", "jwt.unverified"),
    "jwt.audit.checkpoint",
}
#: What a hook may add, of each type with its extremes.
VALUES = {
    "text": 'å\x00\n\u2028"\\\U0001f600\ufb33</script>',
    "text.empty": "",
    "yes": True,
    "no": False,
    "zero": 0,
    "least": -(2**63),
    "most": 2**63 - 1,
    "half": 0.5,
    "whole": 3.0,
    "nothing": 0.0,
    "minus": -0.0,
    "tenth": 0.1,
    "fractions": [1e21, 1e20, 123456789012345680000.0, 1e-6, 1e-7, 5e-324, 1.7976931348623157e308, -1e-9],
    "long": 9007199254740993.0,
    "texts": ["a", "", "ü"],
    "numbers": [0, -1, 2**63 - 1],
    "switches": [True, False],
    "\U0001f600": "a name beyond the Basic Multilingual Plane",
    "\ufb33": "and one before it, in UTF-8",
}
SPANS = [SpanContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7, False, TraceFlags(flags)) for flags in (0, 1)]


def happen() -> None:
    """One of each event at least."""
    good, refresh = mint(scope="read"), mint(jti="refresh", token_use="refresh")
    with action("job", client="10.0.0.7"):
        jwt.decode(good, KEY, ["HS256"])
    with action("refresh"):
        jwt.decode(refresh, KEY, ["HS256"])
        mint(jti="new")
    with action("job", client="2001:db8::1"):
        jwt.decode(good, KEY, ["HS256"])
        record_scope_check("write")
    attempt(lambda: jwt.decode(good, OTHER_KEY, ["HS256"]))
    jwt.decode(good, options={"verify_signature": False})
    record_revocation("token-1", actor="admin", reason="stolen")


def write(instrument: Callable[..., Trail], directory: Path, signing_key: Path, rounds: int = 10) -> None:
    """A journal of several segments, of a process that is gone."""
    resource = Resource({"service.name": "shop", "ports": [1, 2], "up": True, "load": 0.5})
    instrument(
        journal=directory,
        journal_signing_key=signing_key,
        journal_rotate_bytes=100_000,
        event_hook=lambda event: VALUES,
        logger_provider=LoggerProvider(resource, shutdown_on_exit=False),
    )
    for _ in range(rounds):
        happen()
        for span in SPANS:  # one that is sampled, and one that is not
            with trace.use_span(NonRecordingSpan(span)):
                happen()
    PyJWTInstrumentor().uninstrument()
    assert len(list(directory.glob("*.jsonl"))) > 2
