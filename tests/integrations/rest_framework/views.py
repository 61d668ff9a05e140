"""Views of Django REST framework, with a token and permission classes that say what a test wants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.integrations.steps import verify
from tests.support import mint


def view(
    *permission_classes: Any,
    scope: str = "",
    user: Any = "alice",
    header: str | None = "Bearer",
    handler: Callable[[Any, Any], Response] = lambda view, request: Response(),
    **attributes: Any,
) -> Any:
    """A view with these permission classes and a token of these scopes.

    Args:
        user: whom its authentication finds; ``None``: nobody, and it says so to nobody.
        header: what it asks for with a 401; ``None``: then there is none.
    """
    token = mint(scope=scope)

    class Authentication(BaseAuthentication):
        def authenticate(self, request: Any) -> Any:
            claims = verify(token)
            return None if user is None else (user, claims)

        def authenticate_header(self, request: Any) -> str | None:
            return header

    class View(APIView):
        def get(self, request: Any, item: int) -> Response:
            return handler(self, request)

    settings = {"authentication_classes": (Authentication,), "permission_classes": permission_classes}
    return type("View", (View,), {**settings, **attributes}).as_view()


def permission(answer: Any, objects: Any = True) -> Any:
    """A permission class that says or raises this."""

    def said(what: Any) -> Any:
        if isinstance(what, Exception):
            raise what
        return what

    class Permission(BasePermission):
        def has_permission(self, request: Any, view: Any) -> Any:
            return said(answer(request) if callable(answer) else answer)

        def has_object_permission(self, request: Any, view: Any, obj: Any) -> Any:
            return said(objects(request) if callable(objects) else objects)

    return Permission


YES, NO = permission(True), permission(False)
