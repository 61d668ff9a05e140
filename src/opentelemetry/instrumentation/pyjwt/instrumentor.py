"""The instrumentor: settings and patches, on and off."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any, Final

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from opentelemetry.instrumentation.pyjwt import audit
from opentelemetry.instrumentation.pyjwt.capture import pyjwt
from opentelemetry.instrumentation.pyjwt.capture.frameworks import (
    django,
    django_permissions,
    fastapi,
    flask,
    ninja,
    rest_framework,
    starlette,
)
from opentelemetry.instrumentation.pyjwt.capture.libraries import flask_jwt_extended, simplejwt
from opentelemetry.instrumentation.pyjwt.config import Settings
from opentelemetry.instrumentation.pyjwt.guard import report
from opentelemetry.instrumentation.pyjwt.patching import Patches

_logger = logging.getLogger(__name__)

_PROVIDERS: Final = ("tracer_provider", "meter_provider", "logger_provider")
PATCHES: Final = Patches(
    (
        *pyjwt.PATCHES,
        *starlette.PATCHES,
        *fastapi.PATCHES,
        *flask.PATCHES,
        *django.PATCHES,
        django_permissions.PATCHES,
        rest_framework.PATCHES,
        ninja.PATCHES,
        *flask_jwt_extended.PATCHES,
        simplejwt.PATCHES,
    )
)


class PyJWTInstrumentor(BaseInstrumentor):
    """Audits PyJWT, and the frameworks its tokens arrive through.

    ``instrument()`` takes ``tracer_provider``, ``meter_provider``, ``logger_provider`` (each may also be set
    globally, before or after), ``event_hook``, and every field of :class:`~.config.Settings` as a keyword.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        return ("PyJWT >= 2.8",)

    def _instrument(self, **kwargs: Any) -> None:
        try:  # an exception would stop the instrumentors after us, and the application with them
            providers = {name: kwargs.pop(name, None) for name in _PROVIDERS}
            hook = kwargs.pop("event_hook", None)
            if hook is not None and not callable(hook):
                _logger.warning("event_hook is not callable (%s); it is ignored.", type(hook).__name__)
                hook = None
            audit.start(audit.Audit(Settings.load(kwargs), event_hook=hook, **providers))
            PATCHES.install()
        except Exception as error:
            report(error, "Instrumenting PyJWT")

    def _uninstrument(self, **kwargs: Any) -> None:
        PATCHES.remove()
        audit.start(None)
