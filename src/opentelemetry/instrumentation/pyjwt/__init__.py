"""OpenTelemetry instrumentation of PyJWT: an audit trail for every JSON Web Token a service handles.

Start the service with ``opentelemetry-instrument``, or call ``PyJWTInstrumentor().instrument()``.
"""

from __future__ import annotations

from opentelemetry.instrumentation.pyjwt.api import action, current_token, record_revocation, record_scope_check
from opentelemetry.instrumentation.pyjwt.capture.asgi import AuditASGIMiddleware
from opentelemetry.instrumentation.pyjwt.capture.wsgi import AuditWSGIMiddleware
from opentelemetry.instrumentation.pyjwt.events import AuditEvent
from opentelemetry.instrumentation.pyjwt.facts import TokenFacts
from opentelemetry.instrumentation.pyjwt.instrumentor import PyJWTInstrumentor
from opentelemetry.instrumentation.pyjwt.version import __version__

__all__ = [
    "AuditASGIMiddleware",
    "AuditEvent",
    "AuditWSGIMiddleware",
    "PyJWTInstrumentor",
    "TokenFacts",
    "__version__",
    "action",
    "current_token",
    "record_revocation",
    "record_scope_check",
]
