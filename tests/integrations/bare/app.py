"""ASGI and WSGI applications without a framework, under the audit middlewares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware as OTelASGI
from opentelemetry.instrumentation.pyjwt import AuditASGIMiddleware, AuditWSGIMiddleware
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware as OTelWSGI
from tests.integrations.runs import Run, finished


def placed(app: Any, telemetry: str, otel: Callable[[Any], Any], audit: Callable[[Any], Any]) -> Any:
    """``app`` under the audit, with contrib's middleware around it, inside it, or not at all."""
    if telemetry == "contrib_outside":
        return otel(audit(app))
    return audit(otel(app)) if telemetry == "contrib_inside" else audit(app)


@contextmanager
def make_asgi(run: Run, kind: str, telemetry: str) -> Iterator[Any]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        tokens = dict(scope["headers"]).get(b"x-tokens", b"").decode()
        status = await finished(run(tokens.split()))
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    yield placed(app, telemetry, OTelASGI, AuditASGIMiddleware)


@contextmanager
def make_wsgi(run: Run, kind: str, telemetry: str) -> Iterator[Any]:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        status = HTTPStatus(run(environ.get("HTTP_X_TOKENS", "").split()))
        start_response(f"{status.value} {status.phrase}", [])
        return [b""]

    yield placed(app, telemetry, OTelWSGI, AuditWSGIMiddleware)
