"""What is denied to a good token, though the answer is 200."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from tests.integrations.graphql_jwt import schema
from tests.integrations.graphql_jwt.service import Service, service
from tests.integrations.rows import Row, Table, validated
from tests.support import Trail

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utc:DeprecationWarning")

EARLY = schema.make()  # by a module that was imported before anybody instrumented anything
USERS = ("auth.view_user",)


def denied(*required: str) -> Row:
    return validated("first", None)._replace(
        event="jwt.denied", scope="insufficient" if required else None, required=required
    )


GOOD = validated("first", None)
ROWS: dict[str, tuple[str, Row, Row]] = {
    # query: seen of somebody who may nothing, of somebody with the permission
    "login required": ("{ me }", GOOD, GOOD),
    "permission required": (
        "{ users }",
        denied(*USERS),
        GOOD._replace(scope="sufficient", required=USERS),
    ),
    "permission required of one field among others": (
        "{ open users me }",
        denied(*USERS),
        GOOD._replace(scope="sufficient", required=USERS),
    ),
    "one permission of two": ("{ groups }", denied(*USERS, "auth.view_group"), denied(*USERS, "auth.view_group")),
    "staff alone": ("{ staff }", denied(), denied()),
    "the application's own words": ("{ own }", denied(), denied()),
    "the application's own exception": ("{ rule }", GOOD, GOOD),
}


@pytest.mark.parametrize("permitted", [False, True], ids=["not_permitted", "permitted"])
@pytest.mark.parametrize("title", ROWS)
def test_denied(title: str, permitted: bool, table: Callable[[Service], Table], alice: Any) -> None:
    query, *expected = ROWS[title]
    if permitted:
        alice.user_permissions.add(Permission.objects.get(codename="view_user"))
    with service("none") as served:
        rows = table(served)
        token = served.obtain("first")["token"]
        rows.overlook()
        served.ask(query, token)
        rows.expect(expected[permitted])
    assert rows.seen == rows.expected


def test_schema_that_was_there_before(table: Callable[[Service], Table]) -> None:
    """The names of its permissions are not known, yet that they were denied is."""
    with service("none", EARLY) as served:
        rows = table(served)
        token = served.obtain("first")["token"]
        rows.overlook()
        served.ask("{ users }", token)
        rows.expect(denied())
    assert rows.seen == rows.expected


def test_nothing_is_told_of_nobody(table: Callable[[Service], Table], trail: Trail) -> None:
    with service("none") as served:
        token = served.obtain("first")["token"]
        trail.clear()
        served.ask("{ me users }")
        assert trail.names == []
        served.ask(f'mutation {{ verify(token: "{token}") {{ payload }} }}')
        assert trail.names == ["jwt.validated"]


def test_schema_that_outlives_the_plugin(table: Callable[[Service], Table], trail: Trail) -> None:
    made = schema.make()
    PyJWTInstrumentor().uninstrument()
    trail.clear()
    with service("none", made) as served:
        served.ask("{ users }", served.obtain("first")["token"])
        assert served.answers[-1] == ["You do not have permission to perform this action"]
    assert trail.names == []
