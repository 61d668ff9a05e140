"""What the library decides by itself: keys and algorithms, ids, users it refuses and users it stands in for."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from rest_framework_jwt.blacklist.models import BlacklistedToken
from rest_framework_jwt.settings import api_settings

from tests.integrations.rest_framework_jwt.service import Service, claims_of, service
from tests.integrations.rows import Row, Table, issued, rejected, revoked, validated
from tests.support import ISSUER, KEY, OTHER_KEY, Trail, claims

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utc:DeprecationWarning")

JTI = str(uuid.uuid4())
KEYS = {"one": KEY, "two": OTHER_KEY}


def unread(reason: str) -> Row:
    return rejected(reason, "other", None)._replace(verified=False)


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], Row]] = {
    "another key": ({}, {"key": OTHER_KEY}, {}, unread("invalid_signature")),
    "an algorithm that is not wanted": (
        {},
        {"algorithm": "HS384", "key": KEY + OTHER_KEY},
        {},
        unread("invalid_algorithm"),
    ),
    "an unknown key": ({"JWT_SECRET_KEY": KEYS}, {"headers": {"kid": "three"}}, {}, unread("key_unavailable")),
    "no key named": (
        {"JWT_SECRET_KEY": KEYS, "JWT_INSIST_ON_KID": True},
        {},
        {},
        unread("key_unavailable"),
    ),
    "no key named, none wanted": ({"JWT_SECRET_KEY": KEYS}, {}, {}, validated("other", None, list_asked=True)),
    "the second key": (
        {"JWT_SECRET_KEY": [OTHER_KEY, KEY]},
        {},
        {},
        validated("other", None, list_asked=True),
    ),
    "no such user to have a key": (
        {"JWT_GET_USER_SECRET_KEY": lambda user: KEY},
        {},
        {"username": "nobody"},
        unread("refused")._replace(status=400),
    ),
    "no user": ({}, {}, {"username": None}, rejected("refused", "other", None, list_asked=True)),
    "another audience": (
        {"JWT_AUDIENCE": "us"},
        {},
        {"aud": "them"},
        rejected("invalid_audience", "other", None),
    ),
    "nothing verified": (
        {"JWT_VERIFY": False},
        {"key": OTHER_KEY},
        {},
        Row("jwt.unverified", "other", verified=False, list_asked=True),
    ),
}


@pytest.mark.parametrize("title", REFUSED)
def test_tokens_from_elsewhere(title: str, instrument: Callable[..., Trail], alice: Any) -> None:
    settings, signing, changes, expected = REFUSED[title]
    payload = claims(sub=None, **{"jti": JTI, "username": "alice", **changes})
    token = jwt.encode(payload, signing.get("key", KEY), signing.get("algorithm", "HS256"), signing.get("headers"))
    with service("none", **settings) as served:
        rows = Table(instrument(), served.names, {}, ISSUER)
        served.called("other", token)
        served.get(token)
        rows.expect(expected)
    assert rows.seen == rows.expected


def test_tokens_without_an_id(table: Callable[[Service], Table], trail: Trail) -> None:
    """They are known by their fingerprint, on the blacklist too."""
    with service("none", JWT_TOKEN_ID="off") as served:
        rows = table(served)
        first = served.obtain("first")
        assert "jti" not in claims_of(first)
        rows.expect(issued("first", None)._replace(status=201))
        served.post("/blacklist", first)
        assert "jwt.jti" not in trail.events[1]
        rows.expect(
            validated("first", None, 201, list_asked=True),
            revoked("first", "blacklist", "alice", None)._replace(status=201),
        )
        served.get(first)
        rows.expect(rejected("revoked", "first", None, 403, list_asked=True))
    assert rows.seen == rows.expected


def test_refreshed_without_an_id(table: Callable[[Service], Table], monkeypatch: pytest.MonkeyPatch) -> None:
    """The parent has no id that could be told."""
    with service("none", JWT_TOKEN_ID="off") as served:
        rows = table(served)
        first = served.obtain("first")
        rows.overlook()
        # Else the new token may be the old one: same user, same second.
        monkeypatch.setattr(api_settings, "JWT_EXPIRATION_DELTA", timedelta(minutes=9))
        served.refresh(first, "second")
        rows.expect(
            validated("first", None, 201, list_asked=True),
            issued("second", None)._replace(event="jwt.refreshed", status=201),
        )
    assert rows.seen == rows.expected


def test_impersonation(telemetry: str, table: Callable[[Service], Table], alice: Any) -> None:
    """A token for somebody else is no refreshed one, and who has none to give is denied."""
    with service(telemetry) as served:
        rows = table(served)
        badge, own = served.obtain("badge", "admin"), served.obtain("own")
        rows.overlook()
        answer = served.post("/impersonate", badge, user=alice.id)
        served.called("alices", answer.get_json()["token"])
        rows.expect(
            validated("badge", None, 201, list_asked=True),
            issued("alices", None)._replace(status=201),
        )
        served.post("/impersonate", own, user=alice.id)
        rows.expect(validated("own", None, 403, list_asked=True)._replace(event="jwt.denied"))
        alice.is_active = False
        alice.save()
        served.post("/impersonate", badge, user=alice.id)
        rows.expect(validated("badge", None, 400, list_asked=True))
    assert rows.seen == rows.expected


def test_blacklisted_by_hand(trail: Trail, alice: Any) -> None:
    """A row that is inserted; saved again, it is the same one."""
    from django.utils import timezone

    row = BlacklistedToken(token_id=uuid.UUID(JTI), user=alice, expires_at=timezone.now())
    row.save()
    row.save()
    assert trail.names == ["jwt.revoked"]
    assert (trail.events[0]["jwt.jti"], trail.events[0]["audit.actor.id"]) == (JTI, "anonymous")
