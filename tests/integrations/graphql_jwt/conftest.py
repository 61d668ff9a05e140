"""A user in the database, and the table of an audit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integrations.graphql_jwt.service import Service
from tests.integrations.rows import Table
from tests.support import Trail


@pytest.fixture
def alice(database: None) -> Iterator[Any]:
    from django.contrib.auth.models import User

    user = User.objects.create_user("alice", password="wonderland")
    yield user
    User.objects.filter(username="alice").delete()


@pytest.fixture
def table(trail: Trail, alice: Any) -> Callable[[Service], Table]:
    """Call it with a service for the table of its audit."""
    return lambda served: Table(trail, served.names, {})
