"""Django, and so Django REST framework: the handler's ``get_response`` is the request.

The handler knows the final status, but by then OpenTelemetry's middleware has ended the SERVER span. So the
ledger is opened around the handler and closed by a middleware of our own just inside OpenTelemetry's, or
outermost if there is none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import audit
from opentelemetry.instrumentation.pyjwt.audit import Audit
from opentelemetry.instrumentation.pyjwt.capture import wsgi
from opentelemetry.instrumentation.pyjwt.capture.request import SERVER_ERROR, open_ledger
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.ledger import Ledger, current_ledger, enter_ledger, leave_ledger
from opentelemetry.instrumentation.pyjwt.patching import WrapPatch

_MIDDLEWARE: Final = f"{__name__}.audit_middleware"
_OTEL_MIDDLEWARE: Final = "opentelemetry.instrumentation.django."


def audit_middleware(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Middleware that decides the request with the status of the response it sees."""
    if iscoroutinefunction(get_response):

        async def decide_async(request: Any) -> Any:
            return _decided(await get_response(request))

        return decide_async

    def decide(request: Any) -> Any:
        return _decided(get_response(request))

    return decide


audit_middleware.sync_capable = True  # type: ignore[attr-defined]  # Django's protocol for middleware factories
audit_middleware.async_capable = True  # type: ignore[attr-defined]


def _decided(response: Any) -> Any:
    active, ledger = audit.active, current_ledger()
    if active is not None and ledger is not None:
        active.close(ledger, getattr(response, "status_code", None))
    return response


def _load_middleware(wrapped: Callable[..., Any], handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Builds the chain with our middleware in it; the setting itself is as it was once that is done."""
    from django.conf import settings

    own = settings.MIDDLEWARE
    position = next((index + 1 for index, path in enumerate(own) if path.startswith(_OTEL_MIDDLEWARE)), 0)
    settings.MIDDLEWARE = type(own)([*own[:position], _MIDDLEWARE, *own[position:]])
    try:
        return wrapped(*args, **kwargs)
    finally:
        settings.MIDDLEWARE = own


def _get_response(wrapped: Callable[..., Any], handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    active = audit.active
    ledger = None if active is None else _begin(active, *args, **kwargs)
    if active is None or ledger is None:
        return wrapped(*args, **kwargs)
    token = enter_ledger(ledger)
    try:
        return _ended(active, ledger, wrapped(*args, **kwargs))
    except Exception:
        active.close(ledger, SERVER_ERROR)
        raise
    finally:
        leave_ledger(token)


async def _get_response_async(
    wrapped: Callable[..., Any], handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    active = audit.active
    ledger = None if active is None else _begin(active, *args, **kwargs)
    if active is None or ledger is None:
        return await wrapped(*args, **kwargs)
    token = enter_ledger(ledger)
    try:
        return _ended(active, ledger, await wrapped(*args, **kwargs))
    except Exception:
        active.close(ledger, SERVER_ERROR)
        raise
    finally:
        leave_ledger(token)


@guarded(None)
def _begin(active: Audit, request: Any) -> Ledger | None:
    meta = request.META  # WSGI's environ; under ASGI one made from the scope, which may have been passed on
    describe = partial(wsgi.describe, active.settings, meta, lambda _: _route(request))
    return open_ledger(active, getattr(request, "scope", meta), partial(wsgi.url, meta), describe)


def _ended(active: Audit, ledger: Ledger, response: Any) -> Any:
    active.close(ledger, getattr(response, "status_code", None))
    if getattr(response, "streaming", False) and getattr(response, "file_to_stream", None) is None:
        _follow(ledger, response)
    return response


@guarded(None)
def _follow(ledger: Ledger, response: Any) -> None:
    """Let the content that is streamed later run with the request's ledger."""
    content = response.streaming_content
    response.streaming_content = (
        _stream_async(ledger, content) if hasattr(content, "__aiter__") else _stream(ledger, content)
    )


def _stream(ledger: Ledger, content: Iterator[bytes]) -> Iterator[bytes]:
    content = iter(content)
    while True:
        token = enter_ledger(ledger)
        try:
            part = next(content)
        except StopIteration:
            return
        finally:
            leave_ledger(token)
        yield part


async def _stream_async(ledger: Ledger, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    content = aiter(content)
    while True:
        token = enter_ledger(ledger)
        try:
            part = await anext(content)
        except StopAsyncIteration:
            return
        finally:
            leave_ledger(token)
        yield part


@guarded(None)
def _route(request: Any) -> str | None:
    return getattr(request.resolver_match, "route", None)


PATCHES: Final = (
    WrapPatch("django.core.handlers.base", "BaseHandler.load_middleware", _load_middleware),
    WrapPatch("django.core.handlers.base", "BaseHandler.get_response", _get_response),
    WrapPatch("django.core.handlers.base", "BaseHandler.get_response_async", _get_response_async),
)
