"""The token as attributes of the request's span, and how that span is found."""

from __future__ import annotations

from collections.abc import Mapping
from weakref import WeakSet

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.pyjwt import guard
from opentelemetry.instrumentation.pyjwt.bounds import Value
from opentelemetry.instrumentation.pyjwt.ledger import current_ledger
from opentelemetry.trace import Span, SpanKind, TracerProvider


def show(span: Span, attributes: Mapping[str, Value]) -> None:
    """Write a token's attributes to ``span``, unless it has ended."""
    try:
        if span.is_recording():
            span.set_attributes(attributes)
    except Exception as error:
        guard.report(error, "Writing to a span")


class ServerSpanNoter:
    """A span processor that tells the request's ledger which span is its SERVER span.

    The current span will not do: a token is checked below spans of dependencies and middlewares, or in
    another thread, and FastAPI's own telemetry hides the SERVER span behind an INTERNAL one. An SDK provider
    calls its processors when a span starts, in the context of the request. There is no way to take a
    processor out of a provider again, so there is one for the life of the process, idle while nothing runs.
    """

    def __init__(self) -> None:
        self._known: WeakSet[TracerProvider] = WeakSet()
        self._last: TracerProvider | None = None

    def attach(self, provider: TracerProvider | None = None) -> None:
        """Watch ``provider``, or the global one; nothing happens if it is watched or takes no processors."""
        if provider is None:
            provider = trace.get_tracer_provider()
        if provider is self._last:
            return
        self._last = provider
        add = getattr(provider, "add_span_processor", None)
        if add is not None and provider not in self._known:
            self._known.add(provider)
            add(self)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if getattr(span, "kind", None) is SpanKind.SERVER:
            ledger = current_ledger()
            if ledger is not None and ledger.span is None:
                ledger.span = span

    def on_end(self, span: Span) -> None:
        """Nothing is kept of a span that ends."""

    _on_ending = on_end

    def shutdown(self) -> None:
        """Nothing is held."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


server_spans = ServerSpanNoter()
