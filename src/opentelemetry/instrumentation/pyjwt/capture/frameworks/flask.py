"""Flask: ``Flask.wsgi_app`` is the request, and the response starts within it while the SERVER span lives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import audit
from opentelemetry.instrumentation.pyjwt.capture.request import SERVER_ERROR
from opentelemetry.instrumentation.pyjwt.capture.wsgi import Environ, serving
from opentelemetry.instrumentation.pyjwt.guard import guarded
from opentelemetry.instrumentation.pyjwt.ledger import current_ledger
from opentelemetry.instrumentation.pyjwt.patching import WrapPatch


def _handle_exception(wrapped: Callable[..., Any], app: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An exception that is propagated (debugging, testing) starts no response, and its route is lost on its way out."""
    try:
        return wrapped(*args, **kwargs)
    except Exception:
        active, ledger = audit.active, current_ledger()
        if active is not None and ledger is not None:
            active.close(ledger, SERVER_ERROR)
        raise


@guarded(None)
def _route(environ: Environ) -> str | None:
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    return getattr(rule, "rule", None)


PATCHES: Final = (
    # The attribute may have been put into a middleware, or replaced by an instrumentation, before we came.
    WrapPatch("flask.app", "Flask.__call__", serving(_route)),
    WrapPatch("flask.app", "Flask.wsgi_app", serving(_route)),
    WrapPatch("flask.app", "Flask.handle_exception", _handle_exception),
)
