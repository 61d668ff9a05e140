"""Modules are patched when the application imports them, before or after the plugin is switched on; never by us."""

from __future__ import annotations

import json
from pathlib import Path

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
    "ninja_jwt",
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
    from importlib import import_module
    from importlib.util import find_spec
    from inspect import getattr_static
    from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor

    def patched():
        import tests.integrations.pyramid.quiet
        import tests.integrations.django.site
        from opentelemetry.instrumentation.pyjwt.instrumentor import PATCHES
        table = [patch for patch in PATCHES.table if find_spec(patch.module.partition(".")[0]) is not None]
        for patch in table:
            import_module(patch.module)
        layers = []
        for patch in table:
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


@pytest.mark.parametrize("journal", [False, True])
def test_without_a_journal_nothing_of_it_is_imported(journal: bool, tmp_path: Path) -> None:
    shown = isolated.run(f"""
    import sys, json
    import jwt
    from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor, action
    from tests.support import Trail, mint
    options = dict(journal={str(tmp_path / "journal")!r}) if {journal} else dict()
    PyJWTInstrumentor().instrument(logger_provider=Trail().logger_provider, **options)
    with action("test"):
        mint()
    PyJWTInstrumentor().uninstrument()
    print(json.dumps(sorted(name.rpartition(".")[2] for name in sys.modules if ".pyjwt.journal" in name
                            or ".pyjwt.sinks.journal" in name)))
    """)
    assert ("writer" in json.loads(shown.stdout)) is journal
    assert json.loads(shown.stdout) == [] or journal


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
