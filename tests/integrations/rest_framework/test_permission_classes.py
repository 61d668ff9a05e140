"""Django REST framework: what its permission classes say, and when it counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rest_framework
from django.http import Http404
from django.test import override_settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed, NotAuthenticated
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.response import Response
from rest_framework.views import APIView

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from tests.integrations.django import permissions
from tests.integrations.expectations import ALL, denied, insufficient, rejected, sufficient, validated
from tests.integrations.rest_framework.views import NO, YES, permission, view
from tests.integrations.steps import verify
from tests.support import mint

VIEW, ADD = "auth.view_group", "auth.add_group"


@pytest.fixture(autouse=True)
def backend() -> Iterator[None]:
    with override_settings(AUTHENTICATION_BACKENDS=[permissions.BACKEND]):
        yield


def get_object(view: Any, request: Any) -> Response:
    view.check_object_permissions(request, permissions.user())
    return Response()


# --- A permission class says no -------------------------------------------------------------------------------------


class Teapot(APIException):
    status_code = 401


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({}, 403),
        ({"user": None}, 401),
        ({"user": None, "header": None}, 403),
        ({"permission_denied": lambda self, request, **more: (_ for _ in ()).throw(Teapot())}, 401),
    ],
    ids=["forbidden", "not_authenticated", "no_header", "own_answer"],
)
@pytest.mark.parametrize(
    ("asked", "handler"), [(NO, lambda view, request: Response()), (permission(True, False), get_object)]
)
def test_no(options: dict[str, Any], status: int, asked: Any, handler: Any, served: Any) -> None:
    served(view(YES, asked, handler=handler, **options), denied(), status=status)


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        (NotAuthenticated(), 401, denied()),
        (AuthenticationFailed(), 401, rejected("refused", ALL)),
        (Http404(), 404, validated()),
        (ArithmeticError(), 500, validated()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_permission_that_raises(error: Exception, status: int, expected: Any, served: Any) -> None:
    served(view(permission(error)), expected, status=status)


def test_token_verified_by_the_permission_class_alone(served: Any) -> None:
    token = mint(scope="read")
    writer = permission(lambda request: "write" in verify(token)["scope"].split())
    lacks = insufficient({"write"}, {"read"}, {"write"})
    served(view(writer, authentication_classes=(), required_scopes=["write"]), denied(**lacks), status=403)


def test_authentication_that_is_left_until_somebody_asks(served: Any) -> None:
    """A no of the authentication is none of the permission class that asked for the user."""

    class Authentication(BaseAuthentication):
        def authenticate(self, request: Any) -> Any:
            verify(token)
            raise AuthenticationFailed

        def authenticate_header(self, request: Any) -> str:
            return "Bearer"

    token = mint()
    lazy = {"authentication_classes": (Authentication,), "perform_authentication": lambda self, request: None}
    served(view(IsAuthenticated, required_scopes=["write"], **lazy), rejected("refused", ALL), status=401)


@pytest.mark.parametrize("status", [401, 403])
def test_no_token(status: int, served: Any) -> None:
    class Authentication(BaseAuthentication):
        def authenticate_header(self, request: Any) -> str | None:
            return "Bearer" if status == 401 else None

        def authenticate(self, request: Any) -> None:
            return None

    anonymous = {"authentication_classes": (Authentication,), "required_scopes": ["write"]}
    served(view(NO, **anonymous), status=status)


def test_no_that_ends_nothing(served: Any) -> None:
    """The handler asks, and goes on."""

    def handler(view: Any, request: Any) -> Response:
        with pytest.raises(APIException):
            view.check_object_permissions(request, object())
        return Response()

    served(view(permission(True, False), handler=handler), validated(), status=200)


@pytest.mark.parametrize("rights", [(VIEW,), (VIEW, ADD)], ids=["hidden", "shown"])
def test_forms_of_a_page(rights: tuple[str, ...], served: Any) -> None:
    """To know which forms to show, the page asks for other methods; that is nothing to the request."""
    root = Path(rest_framework.__file__).parent
    templates = {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [root / "templates"],
        "OPTIONS": {"libraries": {"rest_framework": "rest_framework.templatetags.rest_framework"}},
    }
    asked: list[str] = []

    def answer(request: Any) -> bool:
        asked.append(request.method)
        return request.user.has_perm(VIEW) and (request.method == "GET" or request.user.has_perm(ADD))

    def post(view: Any, request: Any, item: int) -> None:
        raise AssertionError("nobody posts")

    pages = view(
        permission(answer),
        user=permissions.user(*rights),
        required_scopes={"GET": ["read"], "POST": ["write"]},
        scope="read",
        post=post,
        renderer_classes=(BrowsableAPIRenderer,),
    )
    with override_settings(TEMPLATES=[templates], STATIC_URL="/static/"):
        answer = served(pages, validated(**sufficient({VIEW, "read"})), status=200, headers={"accept": "text/html"})
    assert b"<html>" in answer.body
    assert {"GET", "POST"} <= set(asked)


def test_it_is_as_it_was_when_switched_off(instrument: Any) -> None:
    from django.contrib.auth.models import PermissionsMixin

    def patched() -> list[Any]:
        names = ("initial", "check_permissions", "check_object_permissions", "handle_exception")
        return [*(vars(APIView)[name] for name in names), *map(vars(PermissionsMixin).get, ("has_perm", "has_perms"))]

    before = patched()
    instrument()
    assert not any(one is other for one, other in zip(before, patched(), strict=True))
    PyJWTInstrumentor().uninstrument()
    assert patched() == before
