"""A framework under test: how an application is made of one endpoint, and how a request reaches it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from tests.integrations import drivers
from tests.integrations.aiohttp import app as aiohttp
from tests.integrations.bare import app as bare
from tests.integrations.django import app as django
from tests.integrations.falcon import app as falcon
from tests.integrations.fastapi import app as fastapi
from tests.integrations.flask import app as flask
from tests.integrations.litestar import app as litestar
from tests.integrations.ninja import app as ninja
from tests.integrations.pyramid import app as pyramid
from tests.integrations.quart import app as quart
from tests.integrations.runs import Run
from tests.integrations.sanic import app as sanic
from tests.integrations.starlette import app as starlette
from tests.integrations.tornado import app as tornado

NO_TELEMETRY = "none"


class Adapter(NamedTuple):
    """One framework, one kind of endpoint, one kind of telemetry around it."""

    framework: str
    kind: str  # of the endpoint: sync, async
    telemetry: str  # who makes the SERVER span: none, contrib, builtin; outside or inside the audit if it matters
    make: Callable[[Run, str, str], AbstractContextManager[Any]]  # (run, kind, telemetry) to what is called
    call: Callable[..., drivers.Answer]
    route: str | None  # of the endpoint, as the framework writes it

    @property
    def name(self) -> str:
        return f"{self.framework}-{self.kind}-{self.telemetry}"

    @property
    def in_process(self) -> bool:
        """Whether the test itself is the server; else the application has its own, and what is made is its port."""
        return self.call is not drivers.http

    @property
    def traced(self) -> bool:
        return self.telemetry != NO_TELEMETRY

    def serve(self, run: Run) -> AbstractContextManager[Any]:
        """The application, instrumented as this adapter says, or the port it is at, while the context lasts."""
        return self.make(run, self.kind, self.telemetry)

    def get(self, app: Any, *tokens: str, headers: Mapping[str, str] | None = None, **options: Any) -> drivers.Answer:
        """Present these tokens to the endpoint; options are the driver's."""
        return self.call(app, drivers.PATH, {"x-tokens": " ".join(tokens), **(headers or {})}, **options)


def _adapters() -> list[Adapter]:
    either = ("none", "contrib")
    placed = ("none", "contrib_outside", "contrib_inside")
    table = [
        ("starlette", starlette.make, ("sync", "async"), either, drivers.asgi, "/items/{item}"),
        ("fastapi", fastapi.make, ("sync", "async"), fastapi.TELEMETRY, drivers.asgi, "/items/{item}"),
        ("flask", flask.make, ("sync", "async"), either, drivers.wsgi, "/items/<int:item>"),
        ("django_wsgi", django.make_wsgi, ("sync", "async"), either, drivers.wsgi, "items/<int:item>"),
        ("django_asgi", django.make_asgi, ("sync", "async"), either, drivers.asgi, "items/<int:item>"),
        ("drf_wsgi", django.make_wsgi, ("api_view",), either, drivers.wsgi, "items/<int:item>"),
        ("drf_asgi", django.make_asgi, ("api_view",), either, drivers.asgi, "items/<int:item>"),
        ("aiohttp", aiohttp.make, ("async",), either, drivers.http, "/items/{item}"),
        ("tornado", tornado.make, ("sync", "async"), either, drivers.http, "/items/{item}"),
        ("quart", quart.make, ("sync", "async"), either, drivers.asgi, "/items/<int:item>"),
        ("sanic", sanic.make, ("sync", "async"), either, drivers.asgi, "/items/<item:int>"),
        ("litestar", litestar.make, ("sync", "async"), (*either, "builtin"), drivers.asgi, "/items/{item}"),
        ("falcon_wsgi", falcon.make_wsgi, ("sync",), either, drivers.wsgi, falcon.ROUTE),
        ("falcon_asgi", falcon.make_asgi, ("async",), either, drivers.asgi, falcon.ROUTE),
        ("pyramid", pyramid.make, ("sync",), either, drivers.wsgi, pyramid.ROUTE),
        ("ninja_wsgi", ninja.make_wsgi, ("sync", "async"), either, drivers.wsgi, "items/<int:item>"),
        ("ninja_asgi", ninja.make_asgi, ("sync", "async"), either, drivers.asgi, "items/<int:item>"),
        ("asgi", bare.make_asgi, ("async",), placed, drivers.asgi, None),
        ("wsgi", bare.make_wsgi, ("sync",), placed, drivers.wsgi, None),
    ]
    return [
        Adapter(framework, kind, telemetry, make, call, route)
        for framework, make, kinds, telemetries, call, route in table
        for kind in kinds
        for telemetry in telemetries
    ]


ADAPTERS = _adapters()
