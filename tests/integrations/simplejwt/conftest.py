"""Users in the database, and the table of an audit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integrations.rows import Table
from tests.integrations.simplejwt.service import Service
from tests.support import ISSUER, Trail


@pytest.fixture
def alice(database: None) -> Iterator[Any]:
    yield from _user("alice")


@pytest.fixture
def admin(database: None) -> Iterator[Any]:
    yield from _user("admin")


@pytest.fixture
def table(trail: Trail, alice: Any, admin: Any) -> Callable[[Service], Table]:
    """Call it with a service for the table of its audit."""
    return lambda served: Table(trail, served.names, {str(alice.id): "alice", str(admin.id): "admin"}, ISSUER)


def _user(name: str) -> Iterator[Any]:
    from django.contrib.auth.models import User
    from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

    user = User.objects.create_user(name, password="wonderland")
    yield user
    OutstandingToken.objects.all().delete()
    User.objects.filter(username=name).delete()
