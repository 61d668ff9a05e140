"""Django's permissions: required where a view is guarded by them, and not where they are merely asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import django
import pytest
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.mixins import LoginRequiredMixin, PermissionRequiredMixin
from django.contrib.auth.models import AnonymousUser, PermissionsMixin, User
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.test import override_settings
from django.views import View

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from tests.integrations.django import permissions
from tests.integrations.expectations import NOTHING_REQUIRED, denied, insufficient, sufficient, validated
from tests.integrations.steps import verify
from tests.support import mint

# In a request for one of these the token says who it is, before any view is asked.
_request: list[Any] = []


def authenticating_middleware(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """As an application has it that takes tokens for its own views."""

    def middleware(request: Any) -> Any:
        token, user = _request

        async def auser() -> Any:
            return user

        if token is not None:
            verify(token)
        request.user, request.auser = user, auser
        return get_response(request)

    return middleware


@pytest.fixture(autouse=True)
def backend() -> Iterator[None]:
    with override_settings(AUTHENTICATION_BACKENDS=[permissions.BACKEND], LOGIN_URL="/login"):
        yield
    _request.clear()


@pytest.fixture
def asked(served: Any) -> Callable[..., None]:
    """Call it with a view and a user for a request with a token, unless there is to be none."""

    def serve(view: Any, user: Any, *expected: Any, status: int, scope: str = "", token: bool = True) -> None:
        _request[:] = [mint(scope=scope) if token else None, user]
        setting = f"{authenticating_middleware.__module__}.{authenticating_middleware.__name__}"
        served(view, *expected, status=status, middleware=(setting,))

    return serve


def view(request: Any, item: int) -> HttpResponse:
    return HttpResponse(str(request.user))


async def async_view(request: Any, item: int) -> HttpResponse:
    return view(request, item)


class Guarded(PermissionRequiredMixin, View):
    permission_required: Any = "shop.sell"

    def get(self, request: Any, item: int) -> HttpResponse:
        return view(request, item)


def by_decorator(perm: Any, **options: Any) -> Any:
    return permission_required(perm, **options)(view)


def by_async_decorator(perm: Any, **options: Any) -> Any:
    return permission_required(perm, **options)(async_view)


def by_mixin(perm: Any, **options: Any) -> Any:
    return type("Guarded", (Guarded,), {"permission_required": perm, **options}).as_view()


def by_async_mixin(perm: Any, **options: Any) -> Any:
    async def get(self: Any, request: Any, item: int) -> HttpResponse:
        return view(request, item)

    return type("Guarded", (Guarded,), {"permission_required": perm, "get": get, **options}).as_view()


GUARDS = [by_decorator, by_mixin]
if django.VERSION >= (5, 2):  # before that, the decorator did not know of asynchronous views
    GUARDS.append(by_async_decorator)
guards = pytest.mark.parametrize("guard", GUARDS)
SELL, LIST = "shop.sell", "shop.list"


@pytest.mark.parametrize("guard", [*GUARDS, by_async_mixin])
@pytest.mark.parametrize("perm", [SELL, [SELL], (SELL, LIST)], ids=str)
def test_granted(guard: Any, perm: Any, asked: Any) -> None:
    required = {perm} if isinstance(perm, str) else set(perm)
    asked(guard(perm), permissions.user(SELL, LIST, "other.right"), validated(**sufficient(required)), status=200)
    asked(guard(perm), permissions.user(is_superuser=True), validated(**sufficient(required)), status=200)


@guards
@pytest.mark.parametrize("sent", [True, False], ids=["refused", "sent_to_login"])
def test_not_granted(guard: Any, sent: bool, asked: Any) -> None:
    """Also where the answer is none of 401 and 403."""
    view = guard(SELL, raise_exception=sent)
    lacks = denied(**insufficient({SELL}, {"read"}, {SELL}))
    status = 403 if sent else 302
    nobody = AnonymousUser()
    asked(view, nobody, lacks, status=status, scope="read")
    if sent or "decorator" in guard.__name__:  # the mixin does not send somebody to the login who is logged in
        asked(view, permissions.user(LIST), lacks, status=status, scope="read")


@pytest.mark.parametrize("guard", [*GUARDS, by_async_mixin])  # which cannot send an asynchronous view elsewhere
def test_one_of_two_is_not_granted(guard: Any, asked: Any) -> None:
    view = guard([LIST, SELL], raise_exception=True)
    asked(view, permissions.user(LIST), denied(**insufficient({LIST, SELL}, {LIST}, {SELL})), status=403)


@guards
def test_nothing_required(guard: Any, asked: Any) -> None:
    asked(guard([]), permissions.user(), validated(**NOTHING_REQUIRED), status=200)


@guards
def test_no_token(guard: Any, asked: Any) -> None:
    asked(guard(SELL), AnonymousUser(), status=302, token=False)
    asked(guard(SELL), permissions.user(SELL), status=200, token=False)


def test_several_guards(asked: Any) -> None:
    both = permission_required(LIST)(permission_required(SELL, raise_exception=True)(view))
    asked(both, permissions.user(LIST, SELL), validated(**sufficient({LIST, SELL})), status=200)
    asked(both, permissions.user(LIST), denied(**insufficient({LIST, SELL}, {LIST}, {SELL})), status=403)


# Decorated while the plugin was off, as most views are that are imported before it is switched on.
early, async_early = permission_required(SELL)(view), permission_required(SELL)(async_view)


@pytest.mark.parametrize("view", [early, async_early] if by_async_decorator in GUARDS else [early])
def test_decorated_before_the_plugin_was_switched_on(view: Any, asked: Any) -> None:
    asked(view, permissions.user(SELL), validated(**sufficient({SELL})), status=200)
    asked(view, permissions.user(), denied(**insufficient({SELL}, None, {SELL})), status=302)


class Keeper(User):
    """An application's own user, with rights that are nowhere else."""

    class Meta:
        app_label = "auth"
        proxy = True

    def has_perms(self, perm_list: Any, obj: Any = None) -> bool:
        return super().has_perms([name for name in perm_list if not name.startswith("keys.")], obj)

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        return perm == LIST or super().has_perm(perm, obj)


def test_user_class_with_methods_of_its_own(asked: Any) -> None:
    keeper = Keeper(username="keeper")
    keeper.rights = (SELL,)
    guarded = by_decorator(["keys.hold", LIST, SELL])
    asked(guarded, keeper, validated(**sufficient({LIST, SELL})), status=200)
    keeper.rights = ()
    asked(guarded, keeper, denied(**insufficient({LIST, SELL}, None, {LIST, SELL})), status=302)


# --- A view has the last word -----------------------------------------------------------------------------------------


def test_view_that_is_content_with_less(asked: Any) -> None:
    class Owned(Guarded):
        def has_permission(self) -> bool:
            return super().has_permission() or self.kwargs["item"] == 7

    asked(Owned.as_view(), permissions.user(), validated(**NOTHING_REQUIRED), status=200)


def test_view_that_wants_more(asked: Any) -> None:
    class Owned(LoginRequiredMixin, Guarded):
        def has_permission(self) -> bool:
            return super().has_permission() and self.kwargs["item"] != 7

    asked(Owned.as_view(), permissions.user(SELL), denied(**sufficient({SELL})), status=403)


def test_not_granted_and_yet_served(asked: Any) -> None:
    class Lenient(Guarded):
        def handle_no_permission(self) -> HttpResponse:
            with pytest.raises(PermissionDenied):
                super().handle_no_permission()
            return HttpResponse("but come in")

    asked(Lenient.as_view(), permissions.user(), denied(**insufficient({SELL}, None, {SELL})), status=200)


def test_asked_for_in_a_view(asked: Any) -> None:
    """To hide a button, say."""

    @permission_required(LIST)
    def asking(request: Any, item: int) -> HttpResponse:
        user = request.user
        return HttpResponse(f"{user.has_perm(SELL)}{user.has_perms([SELL])}")

    asked(asking, permissions.user(LIST), validated(**sufficient({LIST})), status=200)


def test_an_error_decides_nothing(asked: Any) -> None:
    asked(by_mixin(7), permissions.user(), validated(**NOTHING_REQUIRED), status=500)
    asked(by_decorator(7), permissions.user(), validated(**NOTHING_REQUIRED), status=500)


def test_it_is_as_it_was_when_switched_off(instrument: Any) -> None:
    def patched() -> list[Any]:
        names = ("has_perm", "has_perms", "ahas_perm", "ahas_perms", "has_permission", "handle_no_permission")
        return [
            vars(one).get(name) for one in (PermissionsMixin, AnonymousUser, PermissionRequiredMixin) for name in names
        ]

    before = patched()
    instrument()
    assert patched() != before
    PyJWTInstrumentor().uninstrument()
    assert patched() == before
