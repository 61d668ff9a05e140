"""Modules are patched when the application imports them, before or after the plugin is switched on; never by us."""

from __future__ import annotations

import json

import pytest

from tests import isolated

MODULES = (
    "jwt",
    "flask",
    "starlette",
    "fastapi",
    "django",
    "quart",
    "sanic",
    "litestar",
    "falcon",
    "pyramid",
    "rest_framework",
    "ninja",
    "werkzeug",
    "aiohttp",
    "tornado",
    "flask_jwt_extended",
    "rest_framework_simplejwt",
    "mcp",
    "fastapi_users",
    "authx",
    "allauth",
    "rest_framework_jwt",
    "graphene",
    "graphql_jwt",
)
SHOW = """
    import sys
    import wrapt
    from inspect import getattr_static
    from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor

    def patched():
        import jwt.api_jwt, jwt.api_jws, jwt.jwks_client
        import flask.app, starlette.applications, starlette.authentication, fastapi.routing, django.core.handlers.base
        import aiohttp.web, tornado.web, quart.app, sanic.app, falcon.asgi
        import tests.integrations.pyramid.quiet
        import pyramid.router, opentelemetry.instrumentation.pyramid
        import flask_jwt_extended, fastapi_users.authentication, authx, litestar.security.jwt
        import tests.integrations.django.site
        import django.contrib.auth.models, django.contrib.auth.mixins, rest_framework.views, ninja
        import rest_framework_simplejwt.authentication, rest_framework_simplejwt.serializers
        import mcp.server.auth.routes
        import graphql_jwt
        import rest_framework_jwt.serializers, rest_framework_jwt.blacklist.serializers
        import allauth.account.adapter, allauth.headless.tokens.strategies.jwt.internal
        from opentelemetry.instrumentation.pyjwt.instrumentor import PATCHES
        layers = []
        for patch in PATCHES.table:
            value = sys.modules[patch.module]
            *holders, last = patch.path.split(".")
            for name in holders:
                value = getattr_static(value, name)
            if getattr(patch, "optional", False) and not hasattr(value, last):
                continue  # not in the version installed
            value = getattr_static(value, last)
            wrappers = 0
            while hasattr(value, "__wrapped__"):
                wrappers += type(value) is wrapt.FunctionWrapper  # and not one of the library's own
                value = value.__wrapped__
            code = getattr(value, "__code__", None)  # a class has none
            layers.append(wrappers + (code is not None and "trampoline.py" in code.co_filename))
        return sorted(set(layers))
"""


def test_no_library_is_imported_by_us() -> None:
    shown = isolated.run(f"""
    import sys, json
    from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
    PyJWTInstrumentor().instrument()
    from opentelemetry.instrumentation.pyjwt import action, record_scope_check
    with action("test"):
        record_scope_check("read")
    PyJWTInstrumentor().uninstrument()
    print(json.dumps([name for name in {MODULES} if name in sys.modules]))
    """)
    assert json.loads(shown.stdout) == []


@pytest.mark.parametrize(
    ("steps", "layers"),
    [
        ("", [0]),
        ("on(); show()", [1]),  # imported while on
        ("show(); on()", [1]),  # imported before
        ("on(); off(); show()", [0]),  # the import hook is still there, and does nothing
        ("on(); off(); on(); show()", [1]),  # and does not patch twice
        ("on(); on(); off(); on(); off(); on(); on(); show(); on()", [1]),
        ("on(); show(); off(); on()", [1]),
        ("on(); show(); off()", [0]),
        ("show(); on(); off()", [0]),
    ],
)
def test_each_function_is_patched_once_while_on_and_not_at_all_while_off(steps: str, layers: list[int]) -> None:
    shown = isolated.run(
        SHOW
        + f"""
    import logging
    logging.disable(logging.WARNING)  # that it is on already
    on, off, show = PyJWTInstrumentor().instrument, PyJWTInstrumentor().uninstrument, patched
    {steps}
    print(patched())
    """
    )
    assert json.loads(shown.stdout) == layers


def test_without_a_journal_nothing_of_it_is_imported() -> None:
    shown = isolated.run("""
    import sys, json
    from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
    PyJWTInstrumentor().instrument()
    import jwt
    from tests.support import KEY, mint
    jwt.decode(mint(), KEY, ["HS256"])
    ours = "opentelemetry.instrumentation.pyjwt."
    print(json.dumps([name for name in sys.modules if name.startswith((ours + "journal", ours + "cli"))]))
    """)
    assert json.loads(shown.stdout) == []


def test_a_framework_that_is_not_as_known_costs_one_line_in_the_log() -> None:
    """The other patches are there, and the application runs."""
    shown = isolated.run("""
    import sys, types
    sys.modules["flask.app"] = types.ModuleType("flask.app")
    sys.modules["flask.app"].Flask = type("Flask", (), {})
    from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
    PyJWTInstrumentor().instrument()
    import jwt
    from tests.support import KEY, mint
    print(jwt.decode(mint(), KEY, ["HS256"])["jti"], "trampoline.py" in jwt.PyJWT.encode.__code__.co_filename)
    """)
    assert shown.stdout == "token-1 True\n"
    assert shown.stderr.count("Patching flask.app failed") == 1


def test_the_distribution_is_named_and_found() -> None:
    """As the agent finds it: by its entry point, with the PyJWT it needs."""
    shown = isolated.run("""
    from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
    print(*PyJWTInstrumentor().instrumentation_dependencies())
    """)
    assert shown.stdout == "PyJWT >= 2.8\n"
