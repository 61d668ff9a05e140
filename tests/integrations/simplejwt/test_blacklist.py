"""The blacklist: who revokes, by which way in, and where there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rest_framework_simplejwt.tokens import RefreshToken

from tests import isolated
from tests.integrations.rows import Row, Table, issued, revoked, validated
from tests.integrations.simplejwt.service import OBTAINED, Service, service
from tests.support import Trail


def test_revoked_by_another_user(telemetry: str, table: Callable[[Service], Table], alice: Any, admin: Any) -> None:
    """By a token's method and by a row of the table, which is inserted once."""
    with service(telemetry) as served:
        rows = table(served)
        _, refresh = served.obtain()
        served.obtain(2)
        rows.expect(*OBTAINED, issued("refresh-2", "refresh"), issued("access-2", "access"))
        badge = served.post("/token", username="admin", password="wonderland").get_json()["access"]
        served.called("badge", badge)
        rows.overlook()

        served.post_as(badge, "/revoke", refresh=refresh, user=str(alice.id))
        rows.expect(
            validated("badge"),
            validated("refresh-1", "refresh", list_asked=True),
            revoked("refresh-1", "blacklist", "admin"),
            revoked("refresh-2", "blacklist", "admin", None),
        )
    assert rows.seen == rows.expected


def test_claims_nobody_verified_name_no_actor(telemetry: str, table: Callable[[Service], Table]) -> None:
    with service(telemetry) as served:
        rows = table(served)
        _, refresh = served.obtain()
        rows.expect(*OBTAINED)
        served.post("/unverified", refresh=refresh)
        rows.expect(
            Row("jwt.unverified", "refresh-1", "refresh", verified=False),
            revoked("refresh-1", "blacklist", "anonymous"),
        )
    assert rows.seen == rows.expected


def test_outside_a_request(trail: Trail, alice: Any) -> None:
    """Kept in the database and handed out, a token is issued once; encoded again to be blacklisted, not at all."""
    refresh = RefreshToken.for_user(alice)
    raw = str(refresh)
    str(refresh.access_token)
    assert trail.names == ["jwt.issued", "jwt.issued"]
    assert [event["jwt.token_use"] for event in trail.events] == ["refresh", "access"]
    trail.clear()
    RefreshToken(raw).blacklist()
    assert trail.names == ["jwt.validated", "jwt.revoked"]
    event = trail.events[1]
    assert (event["jwt.jti"], event["audit.actor.id"]) == (refresh["jti"], str(alice.id))
    trail.clear()
    refresh.set_jti()
    if hasattr(refresh, "outstand"):  # since 5.5
        refresh.outstand()
    str(refresh)
    assert trail.names == ["jwt.issued"]


def test_without_the_blacklist() -> None:
    """Where it is not among the installed applications, there is nothing to ask and nothing to revoke."""
    shown = isolated.run("""
    import django
    from django.conf import settings
    from tests.support import KEY, Trail
    trail = Trail()
    from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor, action
    PyJWTInstrumentor().instrument(logger_provider=trail.logger_provider)
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
        SECRET_KEY=KEY,
    )
    django.setup()
    from rest_framework_simplejwt.serializers import TokenRefreshSerializer
    from rest_framework_simplejwt.tokens import RefreshToken
    refresh = RefreshToken()
    raw = str(refresh)
    with action("refresh"):
        TokenRefreshSerializer().validate({"refresh": raw})
    print(*trail.names)
    print(trail.events[-1]["jwt.parent.jti"] == refresh["jti"], hasattr(refresh, "blacklist"))
    """)
    assert shown.stdout.splitlines() == ["jwt.issued jwt.validated jwt.refreshed", "True False"]
    assert shown.stderr == ""
