"""One request to a Django application, under each kind of handler and telemetry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.urls import path

from tests.integrations import drivers
from tests.integrations.checks import check_events, check_no_span, check_span
from tests.integrations.django.app import ROUTE, serving
from tests.support import Trail


class Kind(NamedTuple):
    handler: Callable[[], Any]
    call: Callable[..., drivers.Answer]
    telemetry: str


KINDS = [
    pytest.param(Kind(handler, call, telemetry), id=f"{call.__name__}-{telemetry}")
    for handler, call in ((WSGIHandler, drivers.wsgi), (ASGIHandler, drivers.asgi))
    for telemetry in ("none", "contrib")
]


@pytest.fixture(params=KINDS)
def served(request: pytest.FixtureRequest, trail: Trail) -> Callable[..., drivers.Answer]:
    """Call it with a view and what must be said of it; it serves one request and checks."""
    kind: Kind = request.param

    def serve(
        view: Any,
        *expected: dict[str, Any],
        status: int,
        route: str | None = ROUTE,
        at: str = "/items/7",
        urls: Callable[[Any], Any] = lambda view: path(ROUTE, view),
        middleware: tuple[str, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> drivers.Answer:
        with serving(kind.handler, [urls(view)], kind.telemetry, middleware) as app:
            trail.clear()
            answer = kind.call(app, at, headers)
        assert answer.status == status, answer.error
        check_events(trail, expected, route=route, status=status)
        if kind.telemetry == "none":
            check_no_span(trail)
        else:
            check_span(trail, -1)
        return answer

    return serve
