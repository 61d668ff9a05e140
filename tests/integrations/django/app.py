"""Django applications for the tests, Django REST framework's among them.

Each application is a handler of its own, with URLs and middleware of its own. The rest is in ``site.py``.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView

from opentelemetry.instrumentation.django import DjangoInstrumentor
from tests.integrations.runs import Run, finished

ROUTE = "items/<int:item>"


@contextmanager
def serving(
    handler: Callable[[], Any], urls: Sequence[Any], telemetry: str, middleware: Sequence[str] = ()
) -> Iterator[Any]:
    """A handler for these URLs, with contrib's instrumentation if that is the telemetry."""
    root = types.ModuleType("urls")
    root.urlpatterns = list(urls)  # type: ignore[attr-defined]
    with override_settings(ROOT_URLCONF=root, MIDDLEWARE=list(middleware)):
        if telemetry == "contrib":
            DjangoInstrumentor().instrument()
        try:
            yield handler()
        finally:
            if telemetry == "contrib":
                DjangoInstrumentor().uninstrument()


@contextmanager
def _make(handler: Callable[[], Any], run: Run, kind: str, telemetry: str) -> Iterator[Any]:
    def tokens(request: HttpRequest) -> list[str]:
        return request.headers.get("x-tokens", "").split()

    def view(request: HttpRequest, item: int) -> HttpResponse:
        return HttpResponse(status=run(tokens(request)))

    async def async_view(request: HttpRequest, item: int) -> HttpResponse:
        return HttpResponse(status=await finished(run(tokens(request))))

    class Item(APIView):
        def get(self, request: Any, item: int) -> Response:
            return Response(status=run(tokens(request)))

    views = {"sync": view, "async": async_view, "api_view": Item.as_view()}
    with serving(handler, [path(ROUTE, views[kind])], telemetry) as app:
        yield app


make_wsgi = partial(_make, WSGIHandler)
make_asgi = partial(_make, ASGIHandler)
