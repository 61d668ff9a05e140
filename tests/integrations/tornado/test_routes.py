"""Tornado: the route is the template of the rule that led to the handler."""

from __future__ import annotations

from typing import Any

import pytest
from tornado.routing import HostMatches, PathMatches, Rule, RuleRouter
from tornado.web import Application, RequestHandler, url

from tests.integrations.checks import check_events
from tests.integrations.drivers import http
from tests.integrations.expectations import denied, validated
from tests.integrations.steps import verify
from tests.integrations.tornado.app import ROUTE, RULE, serving, verifying
from tests.support import Trail, mint


def with_two(self: RequestHandler, shop: str, item: str) -> None:
    """Served."""


@pytest.mark.parametrize(
    ("pattern", "route"),
    [
        (r"/shops/(?P<shop>\w+)/items/(?P<item>[0-9]+)", "/shops/{shop}/items/{item}"),
        (r"/shops/(\w+)/items/([0-9]+)", "/shops/{shop}/items/{item}"),
        (r"/shops/north/items/7", "/shops/north/items/7"),
        (r"/shops/(\w+)/items/([0-9]+)", "/shops/{0}/items/{1}"),
        (r"/shops/(\w+)/items/7", "/shops/{0}/items/7"),  # which the method's parameters do not fit
        (r"/shops/north/.*", "/shops/north/.*"),
        (r"/shops/(?:north|south)/items/7", None),  # a pattern that Tornado cannot reverse
        (r"/shops/((north)|(south))/items/7", None),  # or that it takes for another
    ],
)
def test_route_is_the_rule_with_its_groups_named(pattern: str, route: str | None, served: Any) -> None:
    methods = {"get": with_two} if route and "{item}" in route else {}
    app = Application([(pattern, verifying(mint(), **methods))])
    served(app, validated(), status=200, route=route, path="/shops/north/items/7")


def test_rules_below_rules(served: Any) -> None:
    """The first that matches counts, as in Tornado's own search."""
    item = verifying(mint())
    app = Application(
        [
            Rule(HostMatches("elsewhere"), [("/items/.*", item)]),
            Rule(PathMatches("/items/.*"), [("/items/none", item), url("/items/(?P<number>7)", item)]),
            ("/(.*)", item),
        ]
    )
    served(app, validated(), status=200, route="/items/{number}")


def test_handler_that_has_rules_itself(served: Any) -> None:
    app = Application([("/items/([0-9]+)", verifying(mint(), rules=["no running"]))])
    served(app, validated(), status=200, route="/items/{0}")


def test_application_below_a_router(served: Any) -> None:
    app = Application([("/items/(?P<number>7)", verifying(mint()))])
    served(RuleRouter([Rule(PathMatches("/items/.*"), app)]), validated(), status=200, route="/items/{number}")


def test_handler_that_no_rule_names(served: Any) -> None:
    app = Application([("/other", verifying(mint()))], default_handler_class=verifying(mint()))
    served(app, validated(), status=200, route=None)


def test_handler_that_another_passes_the_request_on_to(trail: Trail) -> None:
    """One request, one ledger; the route is that of the rule."""
    token = mint()

    class Inner(RequestHandler):
        def get(self, item: str) -> None:
            verify(token)
            self.set_status(403)

    class Item(RequestHandler):
        async def get(self, item: str) -> None:
            verify(token)
            inner = Inner(self.application, self.request)
            await inner._execute([], *self.path_args)
            self._finished = True

    with serving(Application([(RULE, Item)]), "none") as port:
        trail.clear()
        assert http(port).status == 403
    check_events(trail, [denied()], route=ROUTE, status=403)
