"""The life of tokens of django-ninja-jwt, from the obtaining to the logout, and the audit of it.

The scenarios need a Django of their own, so they run once in another process, all of them.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests import isolated
from tests.integrations.rows import Row, assert_lineage_is_whole

KINDS = ("routers", "controllers", "async")
LIFECYCLES = [f"lifecycle, {kind}, {rotating}" for kind in KINDS for rotating in ("not rotating", "rotating")]
SLIDING = [f"sliding, {kind}" for kind in KINDS]
OTHERS = [
    *(f"tokens_from_elsewhere, {kind}" for kind in (*KINDS, "hiding")),
    *(f"answers_are_the_same, {kind}, {rotating}" for kind in KINDS for rotating in ("not rotating", "rotating")),
    "revoked_by_another_user",
    "claims_nobody_verified_name_no_actor",
    "outside_a_request",
]


@pytest.fixture(scope="session")
def played() -> dict[str, Any]:
    """Expected and seen, by the titles of the scenarios."""
    shown = isolated.run("from tests.integrations.ninja_jwt import scenarios; scenarios.main()")
    tables: dict[str, Any] = json.loads(shown.stdout)
    return tables


def test_each_scenario_is_looked_at(played: dict[str, Any]) -> None:
    assert sorted(played) == sorted([*LIFECYCLES, *SLIDING, *OTHERS])
    assert all(expected for expected, _ in played.values())


@pytest.mark.parametrize("title", LIFECYCLES)
def test_lifecycle(title: str, played: dict[str, Any]) -> None:
    expected, seen = ([Row(*row) for row in rows] for rows in played[title])
    assert seen == expected
    assert_lineage_is_whole(seen)


@pytest.mark.parametrize("title", [*SLIDING, *OTHERS])
def test_scenario(title: str, played: dict[str, Any]) -> None:
    expected, seen = played[title]
    assert seen == expected


def test_without_the_blacklist() -> None:
    """Where it is not among the installed applications, there is nothing to ask and nothing to revoke."""
    shown = isolated.run("""
    import warnings
    import django
    from django.conf import settings
    from tests.support import KEY, Trail
    trail = Trail()
    from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor, action
    PyJWTInstrumentor().instrument(logger_provider=trail.logger_provider)
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
        SECRET_KEY=KEY,
        SIMPLE_JWT={"ROTATE_REFRESH_TOKENS": True, "BLACKLIST_AFTER_ROTATION": True},
    )
    django.setup()
    warnings.simplefilter("ignore", DeprecationWarning)
    from ninja_jwt.schema import TokenRefreshOutputSchema, TokenVerifyInputSchema
    from ninja_jwt.tokens import RefreshToken
    refresh = RefreshToken()
    raw = str(refresh)
    with action("refresh"):
        TokenRefreshOutputSchema(refresh=raw)
    print(*trail.names)
    print(trail.events[-1]["jwt.parent.jti"] == refresh["jti"], hasattr(refresh, "blacklist"))
    trail.clear()
    with action("verify"):
        TokenVerifyInputSchema(token=raw)
    print(*trail.names, "revocation" in trail.events[0]["jwt.validation.checks"])
    """)
    assert shown.stdout.splitlines() == [
        "jwt.issued jwt.validated jwt.refreshed jwt.refreshed",
        "True False",
        "jwt.validated False",
    ]
    assert shown.stderr == ""
