"""Users with permissions of Django's, without a database."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.models import User

BACKEND = f"{__name__}.Rights"


class Rights(BaseBackend):
    """A user has the permissions that are written on it; and on an object, if that is its own."""

    def get_user_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return set(getattr(user_obj, "rights", ())) if obj in (None, user_obj) else set()


def user(*rights: str, **more: Any) -> User:
    alice = User(username="alice", **more)
    alice.rights = rights  # type: ignore[attr-defined]
    return alice
