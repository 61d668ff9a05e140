"""Patching: each patch of the table goes in once and comes out again, among others that do the same."""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import wrapt

from opentelemetry.instrumentation.pyjwt import guard
from opentelemetry.instrumentation.pyjwt.instrumentor import PATCHES
from opentelemetry.instrumentation.pyjwt.patching import Patches, WrapPatch
from opentelemetry.instrumentation.pyjwt.trampoline import CodePatch
from opentelemetry.instrumentation.utils import unwrap


def test_the_table_holds_each_patch() -> None:
    """Restated, so that a row that is dropped is missed."""
    assert [(patch.module, patch.path) for patch in PATCHES.table] == [
        ("jwt.api_jwt", "PyJWT.encode"),
        ("jwt.api_jwt", "PyJWT.decode_complete"),
        ("jwt.api_jwt", "PyJWT._validate_claims"),
        ("jwt.api_jws", "PyJWS._verify_signature"),
        ("jwt.api_jws", "PyJWS.get_unverified_header"),
        ("jwt.jwks_client", "PyJWKClient.get_signing_key_from_jwt"),
        ("jwt.jwks_client", "PyJWKClient.get_signing_key"),
        ("starlette.applications", "Starlette.__call__"),
        ("starlette.routing", "Route.handle"),
        ("starlette.routing", "WebSocketRoute.handle"),
        ("starlette.authentication", "has_required_scope"),
        ("fastapi.routing", "solve_dependencies"),
        ("flask.app", "Flask.__call__"),
        ("flask.app", "Flask.wsgi_app"),
        ("flask.app", "Flask.handle_exception"),
        ("django.core.handlers.base", "BaseHandler.load_middleware"),
        ("django.core.handlers.base", "BaseHandler.get_response"),
        ("django.core.handlers.base", "BaseHandler.get_response_async"),
        ("django.contrib.auth.models", "PermissionsMixin.has_perm"),
        ("django.contrib.auth.models", "PermissionsMixin.has_perms"),
        ("django.contrib.auth.models", "PermissionsMixin.ahas_perm"),
        ("django.contrib.auth.models", "PermissionsMixin.ahas_perms"),
        ("django.contrib.auth.models", "AnonymousUser.has_perm"),
        ("django.contrib.auth.models", "AnonymousUser.has_perms"),
        ("django.contrib.auth.models", "AnonymousUser.ahas_perm"),
        ("django.contrib.auth.models", "AnonymousUser.ahas_perms"),
        ("django.contrib.auth.mixins", "PermissionRequiredMixin.has_permission"),
        ("django.contrib.auth.mixins", "PermissionRequiredMixin.handle_no_permission"),
        ("rest_framework.views", "APIView.initial"),
        ("rest_framework.views", "APIView.check_permissions"),
        ("rest_framework.views", "APIView.check_object_permissions"),
        ("rest_framework.views", "APIView.handle_exception"),
        ("ninja.main", "NinjaAPI.on_exception"),
        ("aiohttp.web_protocol", "RequestHandler._handle_request"),
        ("aiohttp.web_response", "StreamResponse._write_headers"),
        ("tornado.web", "RequestHandler._execute"),
        ("tornado.web", "RequestHandler.flush"),
        ("quart.app", "Quart.__call__"),
        ("quart.app", "Quart.asgi_app"),
        ("quart.app", "Quart.handle_request"),
        ("quart.app", "Quart.handle_websocket"),
        ("sanic.http.http1", "Http.http1"),
        ("sanic.http.http1", "Http.init_for_request"),
        ("sanic.response.types", "BaseHTTPResponse.send"),
        ("sanic.server.protocols.websocket_protocol", "WebSocketProtocol.websocket_handshake"),
        ("sanic.app", "Sanic.__call__"),
        ("sanic.asgi", "ASGIApp.create"),
        ("litestar.app", "Litestar.__call__"),
        ("litestar.handlers.base", "BaseRouteHandler.authorize_connection"),
        ("falcon.app", "App.__call__"),
        ("falcon.asgi.app", "App.__call__"),
        ("falcon.app", "App._get_responder"),
        ("falcon.asgi.response", "Response.schedule_sync"),
        ("falcon.util.sync", "partial"),
        ("pyramid.router", "Router.__call__"),
        ("pyramid.urldispatch", "RoutesMapper.__call__"),
        ("pyramid.viewderivers", "_secured_view"),
        ("flask_jwt_extended.jwt_manager", "JWTManager._decode_jwt_from_config"),
        ("flask_jwt_extended.tokens", "_decode_jwt"),
        ("flask_jwt_extended.internal_utils", "verify_token_type"),
        ("flask_jwt_extended.internal_utils", "verify_token_not_blocklisted"),
        ("flask_jwt_extended.internal_utils", "custom_verification_for_token"),
        ("flask_jwt_extended.view_decorators", "_verify_token_is_fresh"),
        ("flask_jwt_extended.view_decorators", "_load_user"),
        ("flask_jwt_extended.view_decorators", "_decode_jwt_from_cookies"),
        ("rest_framework_simplejwt.tokens", "Token.__init__"),
        ("rest_framework_simplejwt.tokens", "Token.verify_token_type"),
        ("rest_framework_simplejwt.tokens", "Token.check_exp"),
        ("rest_framework_simplejwt.tokens", "BlacklistMixin.check_blacklist"),
        ("rest_framework_simplejwt.tokens", "BlacklistMixin.blacklist"),
        ("rest_framework_simplejwt.tokens", "BlacklistMixin.for_user"),
        ("rest_framework_simplejwt.token_blacklist.models", "BlacklistedToken.save"),
        ("rest_framework_simplejwt.tokens", "BlacklistMixin.outstand"),
        ("rest_framework_simplejwt.tokens", "Token.outstand"),
        ("rest_framework_simplejwt.serializers", "TokenRefreshSerializer.validate"),
        ("rest_framework_simplejwt.serializers", "TokenVerifySerializer.validate"),
        ("rest_framework_simplejwt.authentication", "JWTAuthentication.get_user"),
        ("rest_framework_simplejwt.authentication", "JWTStatelessUserAuthentication.get_user"),
        ("ninja_jwt.tokens", "Token.__init__"),
        ("ninja_jwt.tokens", "Token.verify_token_type"),
        ("ninja_jwt.tokens", "Token.check_exp"),
        ("ninja_jwt.tokens", "BlacklistMixin.check_blacklist"),
        ("ninja_jwt.tokens", "BlacklistMixin.blacklist"),
        ("ninja_jwt.tokens", "BlacklistMixin.for_user"),
        ("ninja_jwt.token_blacklist.models", "BlacklistedToken.save"),
        ("ninja_jwt.schema", "TokenRefreshOutputSchema.validate_schema"),
        ("ninja_jwt.schema", "TokenVerifyInputSchema.validate_schema"),
        ("ninja_jwt.authentication", "JWTBaseAuthentication.get_user"),
        ("ninja_jwt.authentication", "JWTStatelessUserAuthentication.get_user"),
        ("mcp.server.auth.handlers.token", "TokenHandler.handle"),
        ("mcp.server.auth.handlers.revoke", "RevocationHandler.handle"),
        ("mcp.server.auth.middleware.bearer_auth", "BearerAuthBackend.authenticate"),
        ("mcp.server.auth.middleware.bearer_auth", "RequireAuthMiddleware.__call__"),
        ("mcp.server.lowlevel.server", "Server._handle_message"),
        ("fastapi_users.authentication.strategy.jwt", "JWTStrategy.read_token"),
        ("fastapi_users.authentication.authenticator", "Authenticator._authenticate"),
        ("fastapi_users.manager", "BaseUserManager.verify"),
        ("fastapi_users.manager", "BaseUserManager.reset_password"),
        ("authx._internal._callback", "_CallbackHandler.is_token_in_blocklist"),
        ("authx.schema", "RequestToken.verify"),
        ("authx.schema", "has_required_scopes"),
        ("authx.main", "has_required_scopes"),
        ("authx.main", "AuthX.get_access_token_from_request"),
        ("authx.main", "AuthX.get_refresh_token_from_request"),
        ("authx.manager", "AuthManager._auth_required"),
        ("litestar.security.jwt.token", "Token.decode"),
        ("litestar.security.jwt.middleware", "JWTAuthenticationMiddleware.authenticate_token"),
        ("allauth.headless.tokens.strategies.jwt.internal", "decode_token"),
        ("allauth.headless.tokens.strategies.jwt.internal", "get_token_session"),
        ("allauth.headless.tokens.strategies.jwt.internal", "validate_token_user"),
        ("allauth.headless.tokens.strategies.jwt.internal", "validate_refresh_token"),
        ("allauth.headless.tokens.strategies.jwt.internal", "invalidate_refresh_token"),
        ("allauth.account.adapter", "DefaultAccountAdapter.logout"),
        ("rest_framework_jwt.utils", "jwt_decode_token"),
        ("rest_framework_jwt.utils", "check_user"),
        ("rest_framework_jwt.authentication", "JSONWebTokenAuthentication.authenticate_credentials"),
        ("rest_framework_jwt.serializers", "VerifyAuthTokenSerializer.validate"),
        ("rest_framework_jwt.serializers", "RefreshAuthTokenSerializer.validate"),
        ("rest_framework_jwt.blacklist.serializers", "BlacklistTokenSerializer.save"),
        ("rest_framework_jwt.blacklist.models", "BlacklistedToken.is_blocked"),
        ("rest_framework_jwt.blacklist.models", "BlacklistedToken.save"),
        ("graphql_jwt.utils", "get_user_by_payload"),
        ("graphql_jwt.mixins", "KeepAliveRefreshMixin.refresh"),
        ("graphql_jwt.refresh_token.mixins", "RefreshTokenMixin.refresh"),
        ("graphql_jwt.decorators", "user_passes_test"),
        ("graphql_jwt.exceptions", "JSONWebTokenError.__init__"),
    ]


SOURCE = """
class Thing:
    def work(self, x=1):
        return x

    def every(self, a, x="b", *rest, c, d="e", **more):
        return a, x, rest, c, d, more

    def named(self, *, x="b", c):
        return x, c

    async def wait(self, x=1):
        return x
"""


class Library(types.ModuleType):
    """A module that can be patched."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        exec(SOURCE, vars(self))


@pytest.fixture
def library(request: pytest.FixtureRequest) -> Iterator[Any]:
    name = f"library_of_{request.node.name}"
    sys.modules[name] = library = Library(name)
    yield library
    del sys.modules[name]


class Calls(list[str]):
    """Hooks for both kinds of patches."""

    def around(self, wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
        self.append("call")
        return wrapped(*args, **kwargs)

    def begin(self, x: Any) -> None:
        self.append("call")

    def end(self, call: None, result: Any, error: BaseException | None) -> None:
        """Nothing to add."""

    def patch(self, kind: str, library: types.ModuleType, path: str = "Thing.work") -> Any:
        if kind == "wrap":
            return WrapPatch(library.__name__, path, self.around)
        return CodePatch(library.__name__, path, ("x",), self.begin, self.end)


@pytest.mark.parametrize("kind", ["wrap", "code"])
def test_installed_twice_is_installed_once(kind: str, library: Any) -> None:
    calls = Calls()
    work, code = library.Thing.work, library.Thing.work.__code__
    patches = Patches([calls.patch(kind, library)])
    patches.install()
    patches.install()
    assert library.Thing().work(x=3) == 3
    assert calls == ["call"]
    patches.remove()
    patches.remove()
    library.Thing().work()
    assert calls == ["call"]
    assert (library.Thing.work, library.Thing.work.__code__, vars(work)) == (work, code, {})


@pytest.mark.parametrize("kind", ["wrap", "code"])
@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("every", ("A",), {"c": "C"}),
        ("every", ("A", "X", 1, 2), {"c": "C", "d": "D", "f": "F"}),
        ("every", (), {"c": "C", "a": "A", "args": 1, "kwargs": 2, "original": 3}),
        ("every", ("A",), {}),
        ("every", (), {"c": "C"}),
        ("named", (), {"c": "C"}),
        ("named", (), {"c": "C", "x": "X"}),
        ("named", ("A",), {"c": "C"}),
        ("work", (1, 2), {}),
        ("work", (1,), {"x": 2}),
    ],
)
def test_a_call_with_any_arguments_is_what_it_was(kind: str, name: str, args: Any, kwargs: Any, library: Any) -> None:
    def outcome() -> object:
        try:
            return getattr(library.Thing(), name)(*args, **kwargs)
        except TypeError as error:
            return str(error)

    signature, without = inspect.signature(getattr(library.Thing, name)), outcome()
    patches = Patches([Calls().patch(kind, library, f"Thing.{name}")])
    patches.install()
    assert (inspect.signature(getattr(library.Thing, name)), outcome()) == (signature, without)
    patches.remove()
    assert (inspect.signature(getattr(library.Thing, name)), outcome()) == (signature, without)


def test_a_coroutine_function_is_one_still(library: Any) -> None:
    """Also by a name it had before; what runs instead of it may have it run with something else."""
    early = library.Thing().wait
    signature = inspect.signature(library.Thing.wait)

    async def doubled(original: Callable[..., Any], thing: Any, x: int) -> Any:
        return "doubled", await original(thing, 2 * x)

    patches = Patches([CodePatch(library.__name__, "Thing.wait", ("self", "x"), doubled, when="instead")])
    patches.install()
    assert inspect.iscoroutinefunction(early)
    assert inspect.signature(library.Thing.wait) == signature
    assert (asyncio.run(early()), asyncio.run(early(x=3))) == (("doubled", 2), ("doubled", 6))
    late = library.Thing().wait
    patches.remove()
    assert (asyncio.run(early()), asyncio.run(late(3))) == (1, 3)


def test_an_inherited_method_is_inherited_again(library: Any) -> None:
    """In between, the base class is as it was."""
    library.Special = type("Special", (library.Thing,), {})
    calls = Calls()
    patches = Patches([WrapPatch(library.__name__, "Special.work", calls.around)])
    for round_ in (1, 2):
        patches.install()
        assert (library.Thing().work(2), library.Special().work(3), len(calls)) == (2, 3, round_)
        patches.remove()
        assert "work" not in vars(library.Special)
        assert (library.Special().work(3), len(calls)) == (3, round_)


def test_a_wrapper_on_top_of_ours_lives_on(library: Any) -> None:
    calls, vendor = Calls(), Calls()
    patches = Patches([calls.patch("wrap", library)])
    patches.install()
    wrapt.wrap_function_wrapper(library, "Thing.work", vendor.around)
    top = vars(library.Thing)["work"]
    for _ in range(2):
        patches.remove()
        assert vars(library.Thing)["work"] is top
        library.Thing().work()
        assert (len(calls), len(vendor)) == (0, 1)
        patches.install()
        library.Thing().work()
        assert (len(calls), len(vendor)) == (1, 2)
        calls.clear(), vendor.clear()


@pytest.mark.parametrize("kind", ["wrap", "code"])
def test_a_vendor_that_puts_the_original_back_does_not_keep_us_out(kind: str, library: Any) -> None:
    calls = Calls()
    work, code = library.Thing.work, library.Thing.work.__code__
    patches = Patches([calls.patch(kind, library)])
    patches.install()
    library.Thing.work, work.__code__ = work, code
    patches.remove()
    patches.install()
    library.Thing().work()
    assert calls == ["call"]
    patches.remove()


def test_a_vendor_that_takes_the_topmost_wrapper_for_its_own_does_not_keep_us_out(library: Any) -> None:
    """``opentelemetry.instrumentation.utils.unwrap`` does: with ours on top, it is ours that goes."""
    calls, vendor = Calls(), Calls()
    wrapt.wrap_function_wrapper(library, "Thing.work", vendor.around)
    patches = Patches([calls.patch("wrap", library)])
    patches.install()
    unwrap(library.Thing, "work")
    library.Thing().work()
    assert (len(calls), len(vendor)) == (0, 1)
    patches.remove()
    patches.install()
    library.Thing().work()
    assert (len(calls), len(vendor)) == (1, 2)
    patches.remove()


def test_a_wrapper_that_hides_ours_does_not_make_us_count_twice(library: Any) -> None:
    calls = Calls()
    patches = Patches([calls.patch("wrap", library)])
    patches.install()
    ours = library.Thing.work
    library.Thing.work = lambda *args: ours(*args)
    for _ in range(2):
        patches.remove()
        library.Thing().work()
        assert calls == []
        patches.install()
        library.Thing().work()
        assert calls == ["call"]
        calls.clear()
    patches.remove()


@pytest.mark.parametrize("kind", ["wrap", "code"])
def test_a_library_that_is_not_as_known_is_left_alone(
    kind: str, library: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(guard, "reraise", False)
    monkeypatch.setattr(guard, "_reported", set())
    calls = Calls()
    patches = Patches(
        [
            calls.patch(kind, library, "Thing.gone"),
            WrapPatch(library.__name__, "Gone.work", calls.around, optional=True),
            calls.patch(kind, library),
        ]
    )
    for _ in range(2):
        patches.install()
        assert library.Thing().work(7) == 7
        patches.remove()
    assert calls == ["call", "call"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert library.__name__ in caplog.text
