"""Pyramid: what the route of a request is, and of one within another."""

from __future__ import annotations

from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.events import NewRequest
from pyramid.httpexceptions import HTTPForbidden
from pyramid.request import Request
from pyramid.response import Response
from pyramid.wsgi import wsgiapp2

from tests.integrations.checks import check_events, token_attributes
from tests.integrations.drivers import wsgi
from tests.integrations.expectations import denied, validated
from tests.integrations.pyramid.app import ROUTE, configured
from tests.integrations.steps import verify
from tests.support import Trail, mint


def test_exception_after_a_subrequest_was_refused(config: Configurator, served: Any) -> None:
    """The span shows nothing of the subrequest's status."""
    token = mint()

    def view(request: Request) -> Response:
        verify(token)
        request.invoke_subrequest(Request.blank("/inner"), use_tweens=True)
        raise ArithmeticError

    config.add_view(view, route_name="item")
    config.add_view(lambda request: Response(status=401), name="inner")
    served(config, validated(), status=500)


@pytest.mark.parametrize("use_tweens", [False, True])
@pytest.mark.parametrize("inner", ["/inner", "/items/8"])
def test_subrequest_is_part_of_its_request(inner: str, use_tweens: bool, config: Configurator, trail: Trail) -> None:
    token, other = mint(), mint(jti="token-2", sub="bob")

    def view(request: Request) -> Response:
        if request.matchdict and request.matchdict["item"] == "7":
            verify(token)
            try:
                response = request.invoke_subrequest(Request.blank(inner), use_tweens=use_tweens)
            except HTTPForbidden as error:
                response = error
            assert response.status_code == 403
            assert trail.names == []
            verify(token)
            return Response()
        verify(other)
        raise HTTPForbidden

    config.add_view(view, route_name="item")
    config.add_view(view, name="inner")
    app = config.make_wsgi_app()
    trail.clear()
    assert wsgi(app).status == 200
    bob = {"jwt.jti": "token-2", "jwt.sub": "bob", "user.id": "bob"}
    check_events(trail, [validated(), validated(**bob)], route=ROUTE, status=200)
    for span in trail.server_spans:
        assert token_attributes(span)["jwt.jti"] == "token-1"


@pytest.mark.parametrize("pattern", ["items/{item}", "/items/{item:\\d+}", "/items/*rest"])
def test_route_is_what_contrib_makes_of_it(pattern: str, config: Configurator, served: Any) -> None:
    token = mint()
    config.add_route("other", f"/other/{pattern.lstrip('/')}")
    config.add_route("own", f"shop/{pattern}" if pattern[0] != "/" else f"/shop{pattern}")
    config.add_view(lambda request: verify(token) and Response(), route_name="own")
    route = f"shop/{pattern}" if pattern[0] != "/" else f"/shop{pattern}"
    served(config, validated(), status=200, route=route, path="/shop/items/7")


def test_prefix_is_part_of_the_route(config: Configurator, served: Any) -> None:
    token = mint()

    def include(config: Configurator) -> None:
        config.add_route("own", "items/{item}")
        config.add_view(lambda request: verify(token) and Response(), route_name="own")

    config.include(include, route_prefix="shop")
    served(config, validated(), status=200, route="shop/items/{item}", path="/shop/items/7")


def test_traversal_has_no_route(config: Configurator, served: Any) -> None:
    token = mint()
    config.add_view(lambda request: verify(token) and Response(status=403), name="here")
    served(config, denied(), status=403, route=None, path="/here")


def test_path_nobody_serves(config: Configurator, served: Any) -> None:
    token = mint()
    config.add_subscriber(lambda event: verify(token), NewRequest)
    served(config, validated(), status=404, route=None, path="/nowhere")


def test_application_within_an_application(config: Configurator, trail: Trail) -> None:
    """The one within knows its route, below where it is mounted."""
    token = mint()
    within = configured("none")
    within.add_view(lambda request: verify(token) and Response(status=403), route_name="item")
    config.add_route("mount", "/inner/*subpath")
    config.add_view(wsgiapp2(within.make_wsgi_app()), route_name="mount")
    app = config.make_wsgi_app()
    trail.clear()
    assert wsgi(app, "/inner/items/7").status == 403
    check_events(trail, [denied()], route=ROUTE, status=403)
