"""Django REST framework: the scopes that views declare, and the permissions of Django's that classes ask for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from django.contrib.auth.models import Group
from django.test import override_settings
from rest_framework.permissions import (
    AllowAny,
    BasePermission,
    DjangoModelPermissions,
    DjangoObjectPermissions,
)
from rest_framework.response import Response

from tests.integrations.django import permissions
from tests.integrations.expectations import NOTHING_REQUIRED, denied, insufficient, sufficient, validated
from tests.integrations.rest_framework.views import NO, YES, permission, view

VIEW, ADD = "auth.view_group", "auth.add_group"


@pytest.fixture(autouse=True)
def backend() -> Iterator[None]:
    with override_settings(AUTHENTICATION_BACKENDS=[permissions.BACKEND]):
        yield


# --- Scopes that the view declares ------------------------------------------------------------------------------------


class HasScopes(BasePermission):
    """As an application has it that keeps its scopes in the token."""

    def has_permission(self, request: Any, view: Any) -> bool:
        return set(view.required_scopes) <= set(request.auth["scope"].split())


@pytest.mark.parametrize(
    "required",
    [["items:read"], ("items:read",), "items:read", {"GET": ["items:read"], "POST": ["items:write"]}],
    ids=str,
)
def test_required_scopes(required: Any, served: Any) -> None:
    one_more = {"items:read", "more"}
    enough = validated(**sufficient({"items:read"}, one_more))
    served(view(AllowAny, scope="items:read more", required_scopes=required), enough, status=200)
    lacks = denied(**insufficient({"items:read"}, {"more"}, {"items:read"}))
    served(view(AllowAny, scope="more", required_scopes=required), lacks, status=200)
    served(view(NO, scope="more", required_scopes=required), lacks, status=403)
    served(view(NO, scope="more", required_scopes=required, user=None), lacks, status=401)


def test_required_scopes_that_are_compared(served: Any) -> None:
    lacks = denied(**insufficient({"read", "write"}, {"read"}, {"write"}))
    served(view(HasScopes, scope="read", required_scopes=["read", "write"]), lacks, status=403)
    enough = validated(**sufficient({"read"}))
    served(view(HasScopes, scope="read", required_scopes=["read"]), enough, status=200)


def test_granted_but_refused_for_other_reasons(served: Any) -> None:
    refused = denied(**sufficient({"read"}))
    served(view(NO, scope="read", required_scopes=["read"]), refused, status=403)
    served(view(NO, scope="read", required_scopes=["read"], user=None), refused, status=401)


@pytest.mark.parametrize("required", [[], "", {"POST": ["write"]}, None], ids=repr)
def test_nothing_required(required: Any, served: Any) -> None:
    served(view(AllowAny, scope="read", required_scopes=required), validated(**NOTHING_REQUIRED), status=200)


ALTERNATIVES = {"GET": [["admin"], ["items", "read"]], "POST": [["write"]]}


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("admin", validated(**sufficient({"admin"}))),
        ("read items", validated(**sufficient({"items", "read"}))),
        ("read items admin", validated(**sufficient({"admin"}, {"read", "items", "admin"}))),
        ("items", denied(**insufficient({"admin"}, {"items"}, {"admin"}))),
        ("", denied(**insufficient({"admin"}, None, {"admin"}))),
    ],
)
def test_alternatives(scope: str, expected: Any, served: Any) -> None:
    """Of several lists one is enough: the one of which the token lacks the least is what was required."""
    served(view(AllowAny, scope=scope, required_alternate_scopes=ALTERNATIVES), expected, status=200)


# --- Permissions of Django's ------------------------------------------------------------------------------------------


class ModelPermissions(DjangoModelPermissions):
    perms_map: ClassVar = {"GET": ["%(app_label)s.view_%(model_name)s", ADD]}


class ObjectPermissions(DjangoObjectPermissions):
    perms_map: ClassVar = {"GET": ["%(app_label)s.view_%(model_name)s"]}


GROUPS = Group.objects.all()


@pytest.mark.parametrize(
    ("user", "status", "expected"),
    [
        (permissions.user(VIEW, ADD), 200, validated(**sufficient({VIEW, ADD}))),
        (permissions.user(is_superuser=True), 200, validated(**sufficient({VIEW, ADD}))),
        (permissions.user(VIEW), 403, denied(**insufficient({VIEW, ADD}, {VIEW}, {ADD}))),
        (permissions.user(ADD), 403, denied(**insufficient({VIEW, ADD}, None, {VIEW, ADD}))),
    ],
    ids=["both", "superuser", "one", "other"],
)
def test_model_permissions(user: Any, status: int, expected: Any, served: Any) -> None:
    served(view(ModelPermissions, user=user, queryset=GROUPS), expected, status=status)


@pytest.mark.parametrize("own", [True, False])
def test_object_permissions(own: bool, served: Any) -> None:
    """An object that the user may not even see is hidden by a 404."""
    alice = permissions.user(VIEW)

    def handler(view: Any, request: Any) -> Response:
        view.check_object_permissions(request, alice if own else permissions.user())
        return Response()

    lacks = insufficient({VIEW}, {VIEW}, {VIEW})
    expected = validated(**sufficient({VIEW})) if own else denied(**lacks)
    asked = view(ObjectPermissions, user=alice, queryset=GROUPS, handler=handler)
    served(asked, expected, status=200 if own else 404)


@pytest.mark.parametrize(("name", "argument"), [("has_perm", "shop.sell"), ("has_perms", ["shop.sell"])])
def test_permissions_that_an_own_class_asks_for(name: str, argument: Any, served: Any) -> None:
    asked = permission(lambda request: getattr(request.user, name)(argument))
    served(view(asked, user=permissions.user("shop.sell")), validated(**sufficient({"shop.sell"})), status=200)
    lacks = insufficient({"shop.sell"}, None, {"shop.sell"})
    served(view(asked, user=permissions.user()), denied(**lacks), status=403)


def test_one_of_two_classes_is_enough(served: Any) -> None:
    """Nothing is required that the request did without."""
    seller = permission(lambda request: request.user.has_perm("shop.sell"))
    either = view(seller | ModelPermissions, user=permissions.user(VIEW, ADD), queryset=GROUPS)
    served(either, validated(**sufficient({VIEW, ADD})), status=200)
    served(view(seller | YES, user=permissions.user()), validated(), status=200)


def test_with_scopes_of_the_token(served: Any) -> None:
    both = {"scope": "a b", "required_scopes": ["a", "c"]}
    asked = view(ModelPermissions, user=permissions.user(VIEW, ADD), queryset=GROUPS, **both)
    lacks = insufficient({VIEW, ADD, "a", "c"}, {VIEW, ADD, "a", "b"}, {"c"})
    served(asked, denied(**lacks), status=200)


def test_permissions_asked_for_in_the_handler(served: Any) -> None:
    """To hide a button, say."""

    def handler(view: Any, request: Any) -> Response:
        return Response({"may": request.user.has_perm("shop.sell"), "and": request.user.has_perms(["a.b"])})

    served(view(YES, user=permissions.user(), handler=handler), validated(**NOTHING_REQUIRED), status=200)
