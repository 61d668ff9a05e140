"""Applications that look at tokens after their response has started: in streams and in background tasks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, NamedTuple

import falcon.asgi
import flask
import quart
from aiohttp import web
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import StreamingHttpResponse
from django.urls import path
from fastapi import BackgroundTasks
from fastapi.responses import StreamingResponse as FastAPIStream
from litestar import get
from litestar.background_tasks import BackgroundTask as LitestarTask
from litestar.background_tasks import BackgroundTasks as LitestarTasks
from litestar.response import Response as LitestarResponse
from litestar.response import Stream
from pyramid.response import Response as PyramidResponse
from sanic import Request
from sanic.response import text
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from tornado.web import Application, RequestHandler

from opentelemetry.instrumentation.pyjwt import AuditASGIMiddleware, AuditWSGIMiddleware
from tests.integrations import drivers
from tests.integrations.aiohttp.app import routed
from tests.integrations.aiohttp.app import serving as aiohttp_serving
from tests.integrations.bare.app import OTelASGI, OTelWSGI, placed
from tests.integrations.django.app import serving
from tests.integrations.falcon import app as falcons
from tests.integrations.fastapi.app import TELEMETRY, new
from tests.integrations.fastapi.app import instrumented as with_fastapi
from tests.integrations.flask.app import instrumented as with_flask
from tests.integrations.litestar.app import new as new_litestar
from tests.integrations.ninja import app as ninja
from tests.integrations.pyramid import app as pyramids
from tests.integrations.quart.app import instrumented as with_quart
from tests.integrations.sanic.app import application
from tests.integrations.sanic.app import instrumented as with_sanic
from tests.integrations.servers import PATIENCE
from tests.integrations.starlette.app import instrumented as with_starlette
from tests.integrations.tornado.app import serving as tornado_serving

Step = Callable[[], Any]
Make = Callable[[Step, Step, str], AbstractContextManager[Any]]  # (before, after, telemetry) to what is called


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
def litestar_background(before: Step, after: Step, telemetry: str) -> Iterator[Any]:
    @get("/items/{item:int}", sync_to_thread=False)
    def endpoint() -> LitestarResponse[None]:
        before()
        tasks = [LitestarTask(after), LitestarTask(async_step, after)]
        return LitestarResponse(None, background=LitestarTasks(tasks))

    yield new_litestar(telemetry, endpoint)


@contextmanager
def litestar_stream(before: Step, after: Step, telemetry: str, content: Callable[[Step], Any]) -> Iterator[Any]:
    @get("/items/{item:int}", sync_to_thread=False)
    def endpoint() -> Stream:
        before()
        return Stream(content(after))

    yield new_litestar(telemetry, endpoint)


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
def quart_stream(before: Step, after: Step, telemetry: str, content: Callable[[Step], Any]) -> Iterator[Any]:
    app = quart.Quart(__name__)

    @app.get("/items/<int:item>")
    async def endpoint(item: int) -> quart.Response:
        before()
        return quart.Response(content(after))

    with with_quart(app, telemetry):
        yield app


@contextmanager
def quart_background(before: Step, after: Step, telemetry: str) -> Iterator[Any]:
    app = quart.Quart(__name__)
    answered = threading.Event()

    def task() -> None:  # in a thread
        assert answered.wait(PATIENCE)
        after()

    @app.get("/items/<int:item>")
    async def endpoint(item: int) -> str:
        before()
        app.add_background_task(task)
        return "served"

    async def served(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)
        answered.set()
        await asyncio.gather(*app.background_tasks)

    with with_quart(app, telemetry):
        yield served


@contextmanager
def sanic_stream(before: Step, after: Step, telemetry: str) -> Iterator[Any]:
    async def endpoint(request: Request, item: int) -> None:
        before()
        response = await request.respond()
        for part in stream(after):
            await response.send(part)
        await response.eof()

    with application() as app:
        app.add_route(endpoint, "/items/<item:int>")
        with with_sanic(app, telemetry) as served:
            yield served


@contextmanager
def sanic_background(before: Step, after: Step, telemetry: str) -> Iterator[Any]:
    tasks: list[Any] = []

    async def task(answered: asyncio.Event) -> None:
        await answered.wait()
        after()

    async def endpoint(request: Request, item: int) -> Any:
        before()
        answered = asyncio.Event()
        tasks.extend((answered, request.app.add_task(task(answered))))
        return text("served")

    async def background(scope: Any, receive: Any, send: Any) -> None:
        await served(scope, receive, send)
        answered, running = tasks
        answered.set()
        await asyncio.gather(running, return_exceptions=True)

    with application() as app:
        app.add_route(endpoint, "/items/<item:int>")
        with with_sanic(app, telemetry) as served:
            yield background


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
def falcon_stream(before: Step, after: Step, telemetry: str) -> Iterator[Any]:
    class Items:
        def on_get(self, req: Any, resp: Any, item: int) -> None:
            before()
            resp.stream = stream(after)

    with falcons.wsgi_app(telemetry) as app:
        app.add_route(falcons.ROUTE, Items())
        yield app


@contextmanager
def falcon_asgi(before: Step, after: Step, telemetry: str, respond: Callable[[Any, Step], None]) -> Iterator[Any]:
    class Items:
        async def on_get(self, req: Any, resp: Any, item: int) -> None:
            before()
            respond(resp, after)

    inner = falcon.asgi.App()
    inner.add_route(falcons.ROUTE, Items())
    traced = falcons.traced(inner, telemetry)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Waits for the tasks that Falcon starts and leaves to themselves."""
        await traced(scope, receive, send)
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)

    yield app


@contextmanager
def pyramid_stream(before: Step, after: Step, telemetry: str) -> Iterator[Any]:
    def view(request: Any) -> PyramidResponse:
        before()
        return PyramidResponse(app_iter=stream(after))

    config = pyramids.configured(telemetry)
    config.add_view(view, route_name="item")
    yield config.make_wsgi_app()


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


@contextmanager
def aiohttp_stream(before: Step, after: Step, telemetry: str) -> Iterator[int]:
    async def endpoint(request: web.Request) -> web.StreamResponse:
        before()
        response = web.StreamResponse()
        await response.prepare(request)
        for part in stream(after):
            await response.write(part)
        return response

    with aiohttp_serving(lambda: routed(endpoint), telemetry) as port:
        yield port


@contextmanager
def tornado_stream(before: Step, after: Step, telemetry: str) -> Iterator[int]:
    class Item(RequestHandler):
        async def get(self, item: str) -> None:
            before()
            for part in stream(after):
                self.write(part)
                await self.flush()

    with tornado_serving(Application([("/items/([0-9]+)", Item)]), telemetry) as port:
        yield port


class Late(NamedTuple):
    name: str
    make: Make
    call: Callable[..., drivers.Answer]
    telemetry: str
    route: str | None
    live: bool  # whether the SERVER span still records what is seen after the start

    @property
    def in_process(self) -> bool:
        """Whether the test itself is the server."""
        return self.call is not drivers.http

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
    quart_sync_stream = partial(quart_stream, content=stream)
    quart_async_stream = partial(quart_stream, content=async_stream)
    quart_with_context = partial(quart_stream, content=lambda after: quart.stream_with_context(async_stream)(after))
    falcon_streamed = partial(falcon_asgi, respond=lambda resp, after: setattr(resp, "stream", async_stream(after)))
    falcon_task = partial(falcon_asgi, respond=lambda resp, after: resp.schedule(partial(async_step, after)))
    falcon_thread = partial(falcon_asgi, respond=lambda resp, after: resp.schedule_sync(after))
    ninja_wsgi = partial(ninja_stream, handler=WSGIHandler, content=stream)
    ninja_asgi = partial(ninja_stream, handler=ASGIHandler, content=async_stream)
    item, rule, django_item = "/items/{item}", "/items/<int:item>", "items/<int:item>"
    sanic_item = "/items/<item:int>"
    rows: list[tuple[str, Make, Any, tuple[str, ...], str | None, bool]] = [
        ("starlette_background", background, asgi, either, item, False),
        ("starlette_async_background", async_background, asgi, either, item, False),
        ("starlette_stream", streamed, asgi, either, item, True),
        ("starlette_async_stream", async_streamed, asgi, either, item, True),
        ("fastapi_background", fastapi_background, asgi, TELEMETRY, item, False),
        ("fastapi_stream", fastapi_stream, asgi, TELEMETRY, item, True),
        ("litestar_background", litestar_background, asgi, (*either, "builtin"), item, False),
        ("litestar_stream", partial(litestar_stream, content=stream), asgi, (*either, "builtin"), item, True),
        (
            "litestar_async_stream",
            partial(litestar_stream, content=async_stream),
            asgi,
            (*either, "builtin"),
            item,
            True,
        ),
        ("flask_stream", partial(flask_stream, wrap=iter), wsgi, either, rule, False),
        ("flask_stream_with_context", partial(flask_stream, wrap=flask.stream_with_context), wsgi, either, rule, False),
        ("django_stream", django_wsgi, wsgi, either, django_item, False),
        ("django_async_stream", django_asgi, asgi, either, django_item, False),
        ("aiohttp_stream", aiohttp_stream, drivers.http, either, item, True),
        ("tornado_stream", tornado_stream, drivers.http, either, item, True),
        ("quart_stream", quart_sync_stream, asgi, either, rule, True),
        ("quart_async_stream", quart_async_stream, asgi, either, rule, True),
        ("quart_stream_with_context", quart_with_context, asgi, either, rule, True),
        ("quart_background", quart_background, asgi, either, rule, False),
        ("sanic_stream", sanic_stream, asgi, either, sanic_item, True),
        ("sanic_background", sanic_background, asgi, either, sanic_item, False),
        ("falcon_stream", falcon_stream, wsgi, either, falcons.ROUTE, False),
        ("falcon_asgi_stream", falcon_streamed, asgi, either, falcons.ROUTE, True),
        ("falcon_asgi_background", falcon_task, asgi, either, falcons.ROUTE, False),
        ("falcon_asgi_background_thread", falcon_thread, asgi, either, falcons.ROUTE, False),
        ("pyramid_stream", pyramid_stream, wsgi, either, pyramids.ROUTE, False),
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
