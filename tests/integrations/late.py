"""Applications that look at tokens after their response has started: in streams and in background tasks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, NamedTuple

import flask
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import StreamingHttpResponse
from django.urls import path
from fastapi import BackgroundTasks
from fastapi.responses import StreamingResponse as FastAPIStream
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from opentelemetry.instrumentation.pyjwt import AuditASGIMiddleware, AuditWSGIMiddleware
from tests.integrations import drivers
from tests.integrations.bare.app import OTelASGI, OTelWSGI, placed
from tests.integrations.django.app import serving
from tests.integrations.fastapi.app import instrumented as with_fastapi
from tests.integrations.fastapi.app import new
from tests.integrations.flask.app import instrumented as with_flask
from tests.integrations.ninja import app as ninja
from tests.integrations.starlette.app import instrumented as with_starlette

Step = Callable[[], Any]
Make = Callable[[Step, Step, str], AbstractContextManager[Any]]  # (before, after, telemetry) to the application


def stream(after: Step) -> Iterator[bytes]:
    yield b"first"
    after()
    yield b"last"


async def async_stream(after: Step) -> AsyncIterator[bytes]:
    for part in stream(after):
        yield part


async def async_step(after: Step) -> None:
    after()


@contextmanager
def starlette(before: Step, after: Step, telemetry: str, respond: Callable[[Step], Response]) -> Iterator[Any]:
    async def endpoint(request: Any) -> Response:
        before()
        return respond(after)

    with with_starlette(Starlette(routes=[Route("/items/{item}", endpoint)]), telemetry) as app:
        yield app


@contextmanager
def fastapi_background(before: Step, after: Step, telemetry: str) -> Iterator[Any]:
    app = new(telemetry)

    @app.get("/items/{item}")
    def endpoint(item: int, tasks: BackgroundTasks) -> str:
        before()
        tasks.add_task(after)
        tasks.add_task(async_step, after)
        return "served"

    with with_fastapi(app, telemetry):
        yield app


@contextmanager
def fastapi_stream(before: Step, after: Step, telemetry: str) -> Iterator[Any]:
    app = new(telemetry)

    @app.get("/items/{item}")
    def endpoint(item: int) -> FastAPIStream:
        before()
        return FastAPIStream(stream(after))

    with with_fastapi(app, telemetry):
        yield app


@contextmanager
def flask_stream(before: Step, after: Step, telemetry: str, wrap: Callable[[Any], Any]) -> Iterator[Any]:
    app = flask.Flask(__name__)

    @app.get("/items/<int:item>")
    def endpoint(item: int) -> flask.Response:
        before()
        return flask.Response(wrap(stream(after)))

    with with_flask(app, telemetry):
        yield app


@contextmanager
def django_stream(
    before: Step, after: Step, telemetry: str, handler: Callable[[], Any], content: Callable[[Step], Any]
) -> Iterator[Any]:
    def view(request: Any, item: int) -> StreamingHttpResponse:
        before()
        return StreamingHttpResponse(content(after))

    with serving(handler, [path("items/<int:item>", view)], telemetry) as app:
        yield app


@contextmanager
def ninja_stream(
    before: Step, after: Step, telemetry: str, handler: Callable[[], Any], content: Callable[[Step], Any]
) -> Iterator[Any]:
    api = ninja.new()

    @api.get("/{int:item}")
    def operation(request: Any, item: int) -> StreamingHttpResponse:
        before()
        return StreamingHttpResponse(content(after))

    with serving(handler, [ninja.mounted(api)], telemetry) as app:
        yield app


@contextmanager
def asgi_stream(before: Step, after: Step, telemetry: str) -> Iterator[Any]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        before()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in stream(after):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    yield placed(app, telemetry, OTelASGI, AuditASGIMiddleware)


@contextmanager
def wsgi_stream(before: Step, after: Step, telemetry: str) -> Iterator[Any]:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        before()
        start_response("200 OK", [])
        return stream(after)

    yield placed(app, telemetry, OTelWSGI, AuditWSGIMiddleware)


@contextmanager
def wsgi_generator(before: Step, after: Step, telemetry: str) -> Iterator[Any]:
    """The whole application is a generator: nothing of it runs before the server asks for the first part."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        before()
        start_response("200 OK", [])
        yield from stream(after)

    yield placed(app, telemetry, OTelWSGI, AuditWSGIMiddleware)


class Late(NamedTuple):
    name: str
    make: Make
    call: Callable[..., drivers.Answer]
    telemetry: str
    route: str | None
    live: bool  # whether the SERVER span still records what is seen after the start

    @property
    def id(self) -> str:
        return f"{self.name}-{self.telemetry}"


def _table() -> list[Late]:
    either, placements = ("none", "contrib"), ("none", "contrib_outside", "contrib_inside")
    asgi, wsgi = drivers.asgi, drivers.wsgi
    background = partial(starlette, respond=lambda after: Response(background=BackgroundTask(after)))
    async_background = partial(starlette, respond=lambda after: Response(background=BackgroundTask(async_step, after)))
    streamed = partial(starlette, respond=lambda after: StreamingResponse(stream(after)))
    async_streamed = partial(starlette, respond=lambda after: StreamingResponse(async_stream(after)))
    django_wsgi = partial(django_stream, handler=WSGIHandler, content=stream)
    django_asgi = partial(django_stream, handler=ASGIHandler, content=async_stream)
    ninja_wsgi = partial(ninja_stream, handler=WSGIHandler, content=stream)
    ninja_asgi = partial(ninja_stream, handler=ASGIHandler, content=async_stream)
    item, rule, django_item = "/items/{item}", "/items/<int:item>", "items/<int:item>"
    rows: list[tuple[str, Make, Any, tuple[str, ...], str | None, bool]] = [
        ("starlette_background", background, asgi, either, item, False),
        ("starlette_async_background", async_background, asgi, either, item, False),
        ("starlette_stream", streamed, asgi, either, item, True),
        ("starlette_async_stream", async_streamed, asgi, either, item, True),
        ("fastapi_background", fastapi_background, asgi, (*either, "builtin"), item, False),
        ("fastapi_stream", fastapi_stream, asgi, (*either, "builtin"), item, True),
        ("flask_stream", partial(flask_stream, wrap=iter), wsgi, either, rule, False),
        ("flask_stream_with_context", partial(flask_stream, wrap=flask.stream_with_context), wsgi, either, rule, False),
        ("django_stream", django_wsgi, wsgi, either, django_item, False),
        ("django_async_stream", django_asgi, asgi, either, django_item, False),
        ("ninja_stream", ninja_wsgi, wsgi, either, django_item, False),
        ("ninja_async_stream", ninja_asgi, asgi, either, django_item, False),
        ("asgi_stream", asgi_stream, asgi, placements, None, True),
        ("wsgi_stream", wsgi_stream, wsgi, placements, None, True),
        ("wsgi_generator", wsgi_generator, wsgi, placements, None, True),
    ]
    return [
        Late(name, make, call, telemetry, route, live)
        for name, make, call, telemetries, route, live in rows
        for telemetry in telemetries
    ]


LATE = _table()
