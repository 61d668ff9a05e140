"""The token as attributes of the request's span, and how that span is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from weakref import WeakSet

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.pyjwt import guard, semconv
from opentelemetry.instrumentation.pyjwt.bounds import Value
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.ledger import Ledger, current_ledger
from opentelemetry.trace import Span, SpanKind, TracerProvider

_HTTP_STATUS_BEFORE: Final = "http.status_code"  # its name in the conventions before 1.21, still the default of many


class _End:
    """Stands in for the ``end`` of one span, and writes to the span when it is called.

    A span shows one token, and that one whole. Attributes cannot be taken back, so they are written once, when
    nothing can change any more. That may be before the request is decided: a middleware ends the SERVER span while
    an exception is on its way to whoever answers it with a 500.
    """

    __slots__ = ("_end", "_span", "shown")

    def __init__(self, span: Span, end: Callable[..., None], shown: Mapping[str, Value] | Ledger) -> None:
        self._span = span
        self._end = end
        self.shown = shown

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        span, shown = self._span, self.shown
        try:
            del span.end  # or the two would keep each other
            attributes = shown.shown_on(span, _status(span)) if isinstance(shown, Ledger) else shown
            if attributes:
                span.set_attributes(attributes)
        except Exception as error:
            guard.report(error, "Writing to a span")
        self._end(*args, **kwargs)


def _status(span: Span) -> int | None:
    """The HTTP status code that whoever made the span wrote to it.

    A SERVER span may end before the response starts: aiohttp's is a middleware's, Tornado's ends with an exception.
    """
    attributes = getattr(span, "attributes", None) or {}
    return attributes.get(semconv.HTTP_STATUS) or attributes.get(_HTTP_STATUS_BEFORE)


def show(span: Span, shown: Mapping[str, Value] | Ledger) -> None:
    """Let ``span`` show these attributes, or what a ledger will have to show there, once it ends.

    What is shown last replaces what was shown before.
    """
    try:
        end = span.end
        if end.__class__ is _End:
            end.shown = shown
        else:
            span.end = _End(span, end, shown)  # type: ignore[method-assign]
    except Exception as error:
        guard.report(error, "Writing to a span")


def is_server(span: Span) -> bool:
    """Whether it is a SERVER span; spans that are no SDK's do not tell."""
    return getattr(span, "kind", None) is SpanKind.SERVER


def note_server_span(ledger: Ledger, span: Span) -> None:
    """Take ``span`` for the request's, unless it has one."""
    if ledger.span is None:
        ledger.span = span
        show(span, ledger)


class ServerSpanNoter:
    """A span processor that tells the request's ledger which span is its SERVER span.

    The current span will not do: a token is checked below spans of dependencies and middlewares, or in
    another thread, and FastAPI's own telemetry hides the SERVER span behind an INTERNAL one. An SDK provider
    calls its processors when a span starts, in the context of the request. There is no way to take a
    processor out of a provider again, so there is one for the life of the process, idle while nothing runs.
    """

    def __init__(self) -> None:
        self._known: WeakSet[TracerProvider] = WeakSet()
        self._kept: list[TracerProvider] = []  # known likewise, but of kinds that no weak set takes
        self._last: TracerProvider | None = None

    @guarded(None)
    def attach(self, provider: TracerProvider | None = None) -> None:
        """Watch ``provider``, or the global one; nothing happens if it is watched or takes no processors."""
        if provider is None:
            provider = trace.get_tracer_provider()
        if provider is self._last:
            return
        self._last = provider
        add = getattr(provider, "add_span_processor", None)
        if add is not None and self._is_new(provider):
            add(self)

    def _is_new(self, provider: TracerProvider) -> bool:
        try:
            if provider in self._known:
                return False
            self._known.add(provider)
        except TypeError:  # a dataclass with slots, as Logfire's
            if any(one is provider for one in self._kept):
                return False
            self._kept.append(provider)
        return True

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if is_server(span):
            ledger = current_ledger()
            if ledger is not None and not ledger.muted:
                note_server_span(ledger, span)

    def on_end(self, span: Span) -> None:
        """Nothing is kept of a span that ends."""

    _on_ending = on_end

    def shutdown(self) -> None:
        """Nothing is held."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


server_spans = ServerSpanNoter()
