"""A user in the database, and the table of an audit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integrations.allauth.service import Service
from tests.integrations.rows import Table
from tests.support import Trail


@pytest.fixture
def alice(database: None) -> Iterator[Any]:
    from django.contrib.auth.models import User
    from django.contrib.sessions.models import Session

    user = User.objects.create_user("alice", "alice@example.com", "wonderland")
    yield user
    Session.objects.all().delete()
    User.objects.filter(username="alice").delete()


@pytest.fixture
def table(trail: Trail, alice: Any) -> Callable[[Service], Table]:
    """Call it with a service for the table of its audit."""
    return lambda served: Table(trail, served.names, {str(alice.id): "alice"})
