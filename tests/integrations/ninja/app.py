"""django-ninja's APIs for the tests, each mounted below a prefix on a Django of its own URLs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from itertools import count
from typing import Any

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.urls import path
from ninja import NinjaAPI

from tests.integrations.django.app import serving
from tests.integrations.runs import Run, finished

_names = count()


def new(**options: Any) -> NinjaAPI:
    """An API. Earlier versions want each to have a name of its own, and to be mounted once."""
    return NinjaAPI(urls_namespace=f"api-{next(_names)}", **options)


@cache
def mounted(api: NinjaAPI) -> Any:
    """Below this prefix an operation's ``/{int:item}`` is the route that all Django applications here have."""
    return path("items/", api.urls)


@contextmanager
def _make(handler: Callable[[], Any], run: Run, kind: str, telemetry: str) -> Iterator[Any]:
    api = new()

    def tokens(request: HttpRequest) -> list[str]:
        return request.headers.get("x-tokens", "").split()

    if kind == "sync":

        @api.get("/{int:item}")
        def endpoint(request: HttpRequest, item: int) -> HttpResponse:
            return HttpResponse(status=run(tokens(request)))
    else:

        @api.get("/{int:item}")
        async def endpoint(request: HttpRequest, item: int) -> HttpResponse:
            return HttpResponse(status=await finished(run(tokens(request))))

    with serving(handler, [mounted(api)], telemetry) as app:
        yield app


make_wsgi = partial(_make, WSGIHandler)
make_asgi = partial(_make, ASGIHandler)
