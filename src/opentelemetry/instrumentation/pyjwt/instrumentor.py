"""The instrumentor: settings and patches, on and off."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any, Final

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from opentelemetry.instrumentation.pyjwt import audit
from opentelemetry.instrumentation.pyjwt.capture import pyjwt
from opentelemetry.instrumentation.pyjwt.capture.frameworks import (
    aiohttp,
    django,
    django_permissions,
    falcon,
    fastapi,
    flask,
    litestar,
    ninja,
    pyramid,
    quart,
    rest_framework,
    sanic,
    starlette,
    tornado,
)
from opentelemetry.instrumentation.pyjwt.capture.libraries import (
    allauth,
    authx,
    drf_jwt,
    fastapi_users,
    flask_jwt_extended,
    graphql_jwt,
    litestar_jwt,
    mcp,
    ninja_jwt,
    simplejwt,
)
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
        aiohttp.PATCHES,
        tornado.PATCHES,
        *quart.PATCHES,
        *sanic.PATCHES,
        *litestar.PATCHES,
        *falcon.PATCHES,
        *pyramid.PATCHES,
        *flask_jwt_extended.PATCHES,
        simplejwt.PATCHES,
        ninja_jwt.PATCHES,
        mcp.PATCHES,
        fastapi_users.PATCHES,
        authx.PATCHES,
        litestar_jwt.PATCHES,
        allauth.PATCHES,
        drf_jwt.PATCHES,
        graphql_jwt.PATCHES,
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
