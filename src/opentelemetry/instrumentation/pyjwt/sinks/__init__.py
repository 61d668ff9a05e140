"""Sinks: where events go. Each is called with an event and the place it happened at, and knows nothing else."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from opentelemetry.context import Context
from opentelemetry.instrumentation.pyjwt.events import AuditEvent
from opentelemetry.trace import Span


class Place(NamedTuple):
    """Where an event belongs."""

    context: Context | None  #: for correlation with the trace
    span: Span | None  #: the recording span that shows this event, if one does


class Sink(Protocol):
    def __call__(self, event: AuditEvent, place: Place, /) -> None: ...
