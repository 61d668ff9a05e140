"""Users in the database, and the table of an audit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integrations.rest_framework_jwt.service import Service
from tests.integrations.rows import Table
from tests.support import Trail


@pytest.fixture
def alice(database: None) -> Iterator[Any]:
    yield from _user("alice")


@pytest.fixture
def admin(database: None) -> Iterator[Any]:
    yield from _user("admin", is_superuser=True)


@pytest.fixture
def table(trail: Trail, alice: Any, admin: Any) -> Callable[[Service], Table]:
    """Call it with a service for the table of its audit. The library names users by their names."""
    return lambda served: Table(trail, served.names, {})


def _user(name: str, **more: Any) -> Iterator[Any]:
    from django.contrib.auth.models import User

    user = User.objects.create_user(name, password="wonderland", **more)
    yield user
    User.objects.filter(username=name).delete()  # and with the user, rows of the blacklist
