"""A database in memory with the library's tables, and users in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from tests.integrations.simplejwt.rows import Table
from tests.integrations.simplejwt.service import Service
from tests.support import Trail


@pytest.fixture(scope="session")
def database() -> Iterator[None]:
    call_command("migrate", verbosity=0)
    yield
    connection.connection.close()  # Django's own close() keeps what is in memory


@pytest.fixture
def alice(database: None) -> Iterator[Any]:
    yield from _user("alice")


@pytest.fixture
def admin(database: None) -> Iterator[Any]:
    yield from _user("admin")


@pytest.fixture(params=["none", "contrib"])
def telemetry(request: pytest.FixtureRequest) -> str:
    """Who makes the SERVER span."""
    name: str = request.param
    return name


@pytest.fixture
def table(trail: Trail, alice: Any, admin: Any) -> Callable[[Service], Table]:
    """Call it with a service for the table of its audit."""
    return lambda served: Table(trail, served, {str(alice.id): "alice", str(admin.id): "admin"})


def _user(name: str) -> Iterator[Any]:
    from django.contrib.auth.models import User
    from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

    user = User.objects.create_user(name, password="wonderland")
    yield user
    OutstandingToken.objects.all().delete()
    User.objects.filter(username=name).delete()
