"""aiohttp: the route is the resource's path as it was declared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.integrations.aiohttp.app import ROUTE, never, routed, serving, verifying
from tests.integrations.checks import check_events, token_attributes
from tests.integrations.drivers import PATH, http
from tests.integrations.expectations import ALL, denied, rejected, validated
from tests.integrations.steps import verify
from tests.support import Trail, mint


@pytest.mark.parametrize("path", ["/nobody/serves/this", "/items"])
def test_path_nobody_serves(path: str, served: Any) -> None:
    token = mint()
    served(lambda: routed(never, middlewares=[verifying(token)]), validated(), status=404, route=None, path=path)


def test_method_nobody_serves(served: Any) -> None:
    token = mint()

    def make() -> web.Application:
        app = web.Application(middlewares=[verifying(token)])
        app.router.add_post(ROUTE, never)
        return app

    served(make, validated(), status=405, route=None)


def test_static_file_is_of_the_folder(served: Any, tmp_path: Path) -> None:
    token = mint()
    (tmp_path / "page.txt").write_bytes(b"page")

    def make() -> web.Application:
        app = web.Application(middlewares=[verifying(token)])
        app.router.add_static("/files", tmp_path)
        return app

    served(make, validated(), status=200, route="/files", path="/files/page.txt")


def test_sub_applications_name_the_whole_route(telemetry: str, trail: Trail) -> None:
    """Each application below has a SERVER span of its own from OpenTelemetry; the outermost shows the token."""
    token = mint()

    async def endpoint(request: web.Request) -> web.Response:
        verify(token)
        return web.Response(status=401)

    def make() -> web.Application:
        outer, middle = web.Application(middlewares=[verifying(token)]), web.Application(middlewares=[verifying(token)])
        middle.add_subapp("/open", routed(endpoint))
        outer.add_subapp("/shop", middle)
        return outer

    with serving(make, telemetry) as port:
        trail.clear()
        assert http(port, f"/shop/open{PATH}").status == 401
    check_events(trail, [rejected("refused", ALL)], route=f"/shop/open{ROUTE}", status=401)
    showing = [span for span in trail.spans if token_attributes(span)]
    assert showing == trail.server_spans[-1:]  # the first to begin, the last to end
    assert {span.attributes["jwt.validation.reason"] for span in showing} <= {"refused"}
    assert len(showing) == (telemetry == "contrib")


def test_request_that_is_refused_while_it_is_routed(served: Any) -> None:
    token = mint()

    class Guarded(web.PlainResource):
        async def resolve(self, request: web.Request) -> Any:
            verify(token)
            raise web.HTTPForbidden

    def make() -> web.Application:
        app = web.Application()
        app.router.register_resource(Guarded(PATH))
        return app

    served(make, denied(), status=403, route=None, traced=False)


def test_low_level_server_has_no_routes(served: Any) -> None:
    token = mint()

    async def endpoint(request: web.BaseRequest) -> web.Response:
        verify(token)
        return web.Response(status=401)

    served(lambda: web.Server(endpoint), rejected("refused", ALL), status=401, route=None, traced=False)
