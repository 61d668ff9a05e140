"""Sinks: where events go. Each is called with an event and its context, and knows nothing else.

The span is no sink of events: it shows the token as such, without what it knows of its request already.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from opentelemetry.context import Context
from opentelemetry.instrumentation.pyjwt.events import AuditEvent


class Sink(Protocol):
    @property
    def events(self) -> Collection[str]:
        """Names of the events it takes."""

    def __call__(self, event: AuditEvent, context: Context | None, /) -> None:
        """Take ``event``, which happened in ``context``. What is raised is reported, and no more."""
