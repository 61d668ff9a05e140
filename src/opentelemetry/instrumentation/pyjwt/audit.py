"""The running audit: looks go in, events come out at the sinks.

One :class:`Audit` exists while the instrumentor is active. Capture asks it where a look belongs
(:meth:`Audit.scene`), hands it what was seen, and tells it when a request is decided. Nothing in here raises.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry._logs import LoggerProvider
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context, get_current
from opentelemetry.instrumentation.pyjwt import guard, semconv
from opentelemetry.instrumentation.pyjwt.bounds import Value, as_value, frozen
from opentelemetry.instrumentation.pyjwt.config import Settings
from opentelemetry.instrumentation.pyjwt.events import AuditEvent, event_of
from opentelemetry.instrumentation.pyjwt.facts import TokenFacts
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.ledger import Ledger, current_ledger
from opentelemetry.instrumentation.pyjwt.scope_policy import ScopePolicy
from opentelemetry.instrumentation.pyjwt.sinks import Sink
from opentelemetry.instrumentation.pyjwt.sinks.log import LogSink
from opentelemetry.instrumentation.pyjwt.sinks.metrics import MetricsSink
from opentelemetry.instrumentation.pyjwt.sinks.span import is_server, note_server_span, server_spans, show
from opentelemetry.instrumentation.pyjwt.token import TokenReader
from opentelemetry.instrumentation.pyjwt.verdict import (
    Look,
    Scope,
    Verdict,
    judge_alone,
    judge_minted_alone,
    judge_revocation,
)
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Span, TracerProvider
from opentelemetry.trace.propagation import _SPAN_KEY

if TYPE_CHECKING:
    from opentelemetry.instrumentation.pyjwt.sinks.journal import JournalSink

_logger = logging.getLogger("opentelemetry.instrumentation.pyjwt")

EventHook = Callable[[AuditEvent], Mapping[str, Value] | None]


#: Where a token is looked at: the context, and the current span if it records.
Spot = tuple[Context, Span | None]
#: And for whom: whether anybody listens for events (metrics are counted all the same), and the request's ledger.
Scene = tuple[bool, Ledger | None, Spot]


class Audit:
    """Settings, sinks and hook of one ``instrument()``.

    Args:
        settings: what the operator decided.
        tracer_provider: whose SERVER spans to write to; ``None``: the global one, whenever it is set.
        meter_provider: likewise for metrics.
        logger_provider: likewise for events.
        event_hook: gives attributes to add to an event; it cannot change, remove or drop.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        event_hook: EventHook | None = None,
    ) -> None:
        self.settings = settings
        self.reader = TokenReader(
            subject=settings.subject,
            pseudonym_key=settings.pseudonym_key,
            capture_claims=settings.capture_claims,
            scope_claims=settings.scope_claims,
            string_limit=settings.string_limit,
        )
        self._tracer_provider = tracer_provider
        self._hook = event_hook
        log = LogSink(logger_provider, capture_validated=settings.capture_validated)
        self._journal = None if settings.journal is None else _journal(settings, logger_provider, meter_provider, log)
        #: Whether anybody listens to events.
        self._heard = log.enabled if self._journal is None else self._journal.enabled
        self.metrics = MetricsSink(meter_provider)
        sinks: tuple[Sink, ...] = (self._journal or log, self.metrics)
        self._sinks = {name: tuple(sink for sink in sinks if name in sink.events) for name in semconv.EVENTS}
        server_spans.attach(tracer_provider)

    def stop(self) -> None:
        """Nothing more comes."""
        if self._journal is not None:
            self._journal.stop()

    # --- for capture ----------------------------------------------------------------------------------------

    def scene(self) -> Scene | None:
        """Where a look happens right now; ``None`` if nothing is to be recorded."""
        context = get_current()
        span: Span | None = None
        if context:
            if context.get(_SUPPRESS_INSTRUMENTATION_KEY) or context.get("suppress_instrumentation"):
                return None
            span = context.get(_SPAN_KEY)  # type: ignore[assignment]  # what get_current_span does, in a third of its time
            if span is not None and not span.is_recording():
                span = None
        ledger = current_ledger()
        if ledger is None:
            return (True, None, (context, span)) if span is not None or self._heard() else _UNHEARD
        if ledger.muted:
            return None
        if span is not None and ledger.span is None and is_server(span):
            note_server_span(ledger, span)
        return True, ledger, (context, span)

    def presented(self, scene: Scene, look: Look) -> None:
        """A token was looked at."""
        _, ledger, spot = scene
        if ledger is None:
            if (verdict := judge_alone(look)) is not None:
                self._send_alone(verdict, spot)
            return
        if ledger.span is None and (span := spot[1]) is not None:
            show(span, ledger)
        self._emit(ledger, ledger.presented(look, spot))

    def minted(self, scene: Scene, identity: int, facts: TokenFacts) -> None:
        """A token was minted."""
        _, ledger, spot = scene
        if ledger is None:
            self._send_alone(judge_minted_alone(facts), spot)
            return
        if ledger.span is None and (span := spot[1]) is not None:
            show(span, ledger)
        self._emit(ledger, ledger.minted(identity, facts, spot))

    def revoked(self, scene: Scene, attributes: dict[str, Value]) -> None:
        """A token was put on a revocation list."""
        _, ledger, (context, _) = scene
        if ledger is None:
            self._send(judge_revocation(attributes), _NO_REQUEST, context)
        else:
            self._emit(ledger, ledger.revoked(attributes))

    @guarded(None)
    def opened(self, ledger: Ledger) -> None:
        """A request begins: below its SERVER span, or soon above it."""
        server_spans.attach(self._tracer_provider)  # which may have been set after instrument()
        span = trace.get_current_span()
        if span.is_recording() and is_server(span) and not ledger.muted:
            note_server_span(ledger, span)

    @guarded(None)
    def close(self, ledger: Ledger, status: int | None = None) -> None:
        """The request is decided."""
        if self.settings.scope_policy is not None and not ledger.closed:
            self._apply_policy(self.settings.scope_policy, ledger)
        self._emit(ledger, ledger.close(status))

    @guarded(None)
    def emit(self, ledger: Ledger, verdicts: Iterable[Verdict]) -> None:
        """Emit verdicts the ledger gave."""
        self._emit(ledger, list(verdicts))

    # --- parts ----------------------------------------------------------------------------------------------

    @guarded(None)
    def _apply_policy(self, policy: ScopePolicy, ledger: Ledger) -> None:
        """The request's token is held against what the policy requires of this method and route."""
        if ledger.url is None or ledger.muted:
            return
        request = ledger.attributes()
        path = ledger.url().partition("://")[2].partition("/")[2]
        if required := policy.required(request.get(semconv.HTTP_METHOD), path, request.get(semconv.HTTP_ROUTE)):
            ledger.scope_checked(Scope(required, None, None))

    def _emit(self, ledger: Ledger, verdicts: list[Verdict]) -> None:
        if not verdicts:
            return
        request = ledger.attributes()
        for verdict in verdicts:
            self._send(verdict, request, _context(ledger, verdict))

    def _send(self, verdict: Verdict, request: Mapping[str, Value], context: Context) -> None:
        event = event_of(verdict, request)
        if self._hook is not None:
            event = self._extended(event)
        for sink in self._sinks[verdict.name]:
            try:
                sink(event, context)
            except Exception as error:
                guard.report(error, "A sink")

    def _send_alone(self, verdict: Verdict, spot: Spot) -> None:
        context, span = spot
        if span is not None:
            show(span, verdict.attributes)
        self._send(verdict, _NO_REQUEST, context)

    def _extended(self, event: AuditEvent) -> AuditEvent:
        """``event`` with what the hook adds."""
        try:
            added = self._hook(event._replace(attributes=MappingProxyType(frozen(event.attributes))))  # type: ignore[misc]  # not None
            safe = {
                name: safe_value
                for name, value in (added or {}).items()
                if isinstance(name, str)
                and name
                and name not in event.attributes
                and (safe_value := as_value(value)) is not None
            }
        except Exception as error:
            guard.report(error, "The event_hook")
            return event
        return event._replace(attributes={**event.attributes, **safe})


def _journal(
    settings: Settings, logger_provider: LoggerProvider | None, meter_provider: MeterProvider | None, log: LogSink
) -> JournalSink | None:
    """The journal, for the events that would go to the log; ``None``, and it is said, where it cannot be."""
    try:
        from opentelemetry.instrumentation.pyjwt.sinks.journal import JournalSink

        return JournalSink(settings, logger_provider, meter_provider, log.events)
    except Exception as error:
        _logger.error("There is no audit journal: %s. Events go through the SDK's log pipeline instead.", error)
        return None


def _context(ledger: Ledger, verdict: Verdict) -> Context:
    """Context of the event: that of the request's SERVER span, if it has one, else where the look was."""
    spot: Spot | None = verdict.entry.origin if verdict.entry is not None else None
    context = get_current() if spot is None else spot[0]
    if ledger.span is None or trace.get_current_span(context) is ledger.span:
        return context
    return trace.set_span_in_context(ledger.span, context)


_NO_REQUEST: Final[Mapping[str, Value]] = {}
_UNHEARD: Final[Scene] = (False, None, (Context(), None))
#: The audit that runs, or none: one instrumentor a process, as in every instrumentation.
active: Audit | None = None


def start(audit: Audit | None) -> None:
    """Make ``audit`` the one that runs; ``None`` stops it."""
    global active
    before, active = active, audit
    if before is not None:
        before.stop()
