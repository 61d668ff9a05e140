"""WSGI: a ledger for each request, decided when the application calls ``start_response`` (PEP 3333).

Frameworks come here by their adapters; a bare application through :class:`AuditWSGIMiddleware`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import audit
from opentelemetry.instrumentation.pyjwt.audit import Audit
from opentelemetry.instrumentation.pyjwt.bounds import Value
from opentelemetry.instrumentation.pyjwt.capture.request import SERVER_ERROR, open_ledger, request_attributes
from opentelemetry.instrumentation.pyjwt.config import Settings
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.ledger import Ledger, enter_ledger, leave_ledger

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]
Route = Callable[[Environ], str | None]

_UNKNOWN: Final[Mapping[str, Value]] = {}


class AuditWSGIMiddleware:
    """Audits a bare WSGI application: ``app = AuditWSGIMiddleware(app)``.

    Put it inside the OpenTelemetry middleware or around it, as you like. It does nothing while the
    instrumentor is off, and nothing twice.

    Args:
        app: the WSGI application.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return serve(self.app, environ, start_response, no_route)


def serve(app: App, environ: Environ, start_response: StartResponse, route: Route) -> Iterable[bytes]:
    """Run ``app`` on one environ with a ledger.

    Args:
        app: the application, called as it would have been.
        route: gives the route's template once the request has been routed.
    """
    active = audit.active
    ledger = None if active is None else begin(active, environ, route)
    if active is None or ledger is None:
        return app(environ, start_response)
    token = enter_ledger(ledger)
    try:
        body = app(environ, _StartResponse(active, ledger, start_response))
    except Exception:
        active.close(ledger, SERVER_ERROR)
        raise
    finally:
        leave_ledger(token)
    if isinstance(body, (list, tuple)) or _is_file(environ, body):
        active.close(ledger)  # nothing of the application's runs any more
        return body
    return _Body(active, ledger, body)


def serving(route: Route) -> Callable[..., Any]:
    """What goes around a framework's application (see :class:`~..patching.WrapPatch`): :func:`serve`."""

    def call(wrapped: App, app: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if len(args) != 2 or kwargs:  # no server calls it so; it has its own words for whoever does
            return wrapped(*args, **kwargs)
        return serve(wrapped, *args, route)

    return call


@guarded(None)
def begin(active: Audit, environ: Environ, route: Route) -> Ledger | None:
    """A ledger for this environ, unless it has one."""
    return open_ledger(active, environ, partial(url, environ), partial(describe, active.settings, environ, route))


class _StartResponse:
    """The server's ``start_response``, before which the ledger is closed."""

    __slots__ = ("_active", "_ledger", "_start_response")

    def __init__(self, active: Audit, ledger: Ledger, start_response: StartResponse) -> None:
        self._active = active
        self._ledger = ledger
        self._start_response = start_response

    def __call__(self, status: str, *args: Any, **kwargs: Any) -> Any:
        self._active.close(self._ledger, _status(status))
        return self._start_response(status, *args, **kwargs)


@guarded(None)
def _status(status: str) -> int:
    return int(status[:3])


class _Body:
    """The application's body, in which each step runs with the request's ledger."""

    __slots__ = ("_active", "_body", "_ledger", "_next")

    def __init__(self, active: Audit, ledger: Ledger, body: Iterable[bytes]) -> None:
        self._active = active
        self._ledger = ledger
        self._body = body
        self._next: Callable[[], bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        token = enter_ledger(self._ledger)
        try:
            if self._next is None:
                self._next = iter(self._body).__next__
            return self._next()
        except StopIteration:
            self._active.close(self._ledger)
            raise
        except Exception:
            self._active.close(self._ledger, SERVER_ERROR)
            raise
        finally:
            leave_ledger(token)

    def close(self) -> None:
        token = enter_ledger(self._ledger)
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            leave_ledger(token)
            self._active.close(self._ledger)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)


def _is_file(environ: Environ, body: object) -> bool:
    """Whether the server will send ``body`` in its own way, which a wrapper would prevent."""
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(body, wrapper)


@guarded(_UNKNOWN)
def describe(settings: Settings, environ: Environ, route: Route) -> Mapping[str, Value]:
    """The request's attributes, from its environ."""
    return request_attributes(
        settings,
        method=environ.get("REQUEST_METHOD"),
        route=route(environ),
        peer=environ.get("REMOTE_ADDR"),
        user_agent=environ.get("HTTP_USER_AGENT"),
        forwarded=environ.get("HTTP_FORWARDED"),
        forwarded_for=environ.get("HTTP_X_FORWARDED_FOR"),
    )


def no_route(environ: Environ) -> str | None:
    """A bare application has no routes that anybody could know."""
    return None


def url(environ: Mapping[str, Any]) -> str:
    """The request's URL without its query, for exclusion."""
    host = environ.get("HTTP_HOST") or f"{environ.get('SERVER_NAME', '')}:{environ.get('SERVER_PORT', '')}"
    path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
    return f"{environ.get('wsgi.url_scheme', 'http')}://{host}{path}"
