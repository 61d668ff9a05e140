"""Django and Django REST framework: middleware, exceptions and permissions around the view."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.urls import include, path
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotFound
from rest_framework.permissions import BasePermission
from rest_framework.views import APIView

from tests.integrations.django.app import ROUTE
from tests.integrations.expectations import ALL, denied, rejected, validated
from tests.integrations.steps import verify
from tests.support import mint

RAISED = [
    (PermissionDenied, 403, denied()),
    (Http404, 404, validated()),
    (ArithmeticError, 500, validated()),
]


@pytest.mark.parametrize(("error", "status", "expected"), RAISED)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_view_that_raises(asynchronous: bool, error: type[Exception], status: int, expected: Any, served: Any) -> None:
    token = mint()

    def view(request: Any, item: int) -> HttpResponse:
        verify(token)
        raise error

    async def async_view(request: Any, item: int) -> HttpResponse:
        return view(request, item)

    served(async_view if asynchronous else view, expected, status=status)


def test_included_urls_name_the_whole_route(served: Any) -> None:
    token = mint()

    def view(request: Any, item: int) -> HttpResponse:
        return HttpResponse(verify(token)["sub"])

    def below(view: Any) -> Any:
        return path("shop/", include([path(ROUTE, view)]))

    served(view, validated(), status=200, route=f"shop/{ROUTE}", at="/shop/items/7", urls=below)


# --- Middleware ---------------------------------------------------------------------------------------------------

_tokens: list[str] = []
_refuse_with: list[int] = []


def verifying_middleware(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Checks the token on the way in and again on the way out, and may refuse."""

    def middleware(request: Any) -> Any:
        verify(_tokens[0])
        response = HttpResponse(status=_refuse_with[0]) if _refuse_with else get_response(request)
        verify(_tokens[0])
        return response

    return middleware


@pytest.fixture
def middleware() -> Iterator[Callable[..., tuple[str, ...]]]:
    """Call it with a token, and a status to refuse with, for the setting."""

    def setting(token: str, *refuse_with: int) -> tuple[str, ...]:
        _tokens[:], _refuse_with[:] = [token], refuse_with
        return (f"{verifying_middleware.__module__}.{verifying_middleware.__name__}",)

    yield setting
    _tokens.clear()
    _refuse_with.clear()


def test_middleware_and_view_look_at_the_same_token(served: Any, middleware: Any) -> None:
    token = mint()

    def view(request: Any, item: int) -> HttpResponse:
        return HttpResponse(verify(token)["sub"])

    served(view, validated(), status=200, middleware=middleware(token))


@pytest.mark.parametrize(("status", "expected"), [(401, rejected("refused", ALL)), (403, denied())])
def test_middleware_that_refuses_is_heard(status: int, expected: Any, served: Any, middleware: Any) -> None:
    """It answers before anything is routed, so there is no route."""
    view = partial(HttpResponse, status=500)
    served(view, expected, status=status, route=None, middleware=middleware(mint(), status))


def test_path_nobody_serves(served: Any, middleware: Any) -> None:
    view = partial(HttpResponse, status=500)
    served(view, validated(), status=404, route=None, at="/nowhere", middleware=middleware(mint()))


# --- Django REST framework ----------------------------------------------------------------------------------------


def api_view(
    token: str, allowed: bool = True, refused: Exception | None = None, answer: Exception | None = None
) -> Any:
    """A view whose authentication verifies the token, whose permission says ``allowed``."""

    class Authentication(BaseAuthentication):
        def authenticate(self, request: Any) -> Any:
            claims = verify(token)
            if refused is not None:
                raise refused
            return claims["sub"], claims

        def authenticate_header(self, request: Any) -> str:
            return "Bearer"

    class Permission(BasePermission):
        def has_permission(self, request: Any, view: Any) -> bool:
            return allowed

    class View(APIView):
        authentication_classes = (Authentication,)
        permission_classes = (Permission,)

        def get(self, request: Any, item: int) -> HttpResponse:
            if answer is not None:
                raise answer
            return HttpResponse(request.user)

    return View.as_view()


@pytest.mark.parametrize(
    ("options", "status", "expected"),
    [
        ({}, 200, validated()),
        ({"allowed": False}, 403, denied()),
        ({"refused": AuthenticationFailed()}, 401, rejected("refused", ALL)),
        ({"answer": NotFound()}, 404, validated()),
        ({"answer": ArithmeticError()}, 500, validated()),
    ],
    ids=["served", "permission_denied", "authentication_failed", "not_found", "unhandled"],
)
def test_api_view(options: dict[str, Any], status: int, expected: Any, served: Any) -> None:
    served(api_view(mint(), **options), expected, status=status)
