"""Which releases the tests have run with, and what was seen there: the source of the table in the README.

With ``SUPPORT_REPORT`` naming a folder, each test process writes a file there: for each library and framework its
version, and which kinds of events its tests have seen. ``python tests/support_table.py`` makes the table of them.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from importlib import metadata
from pathlib import Path
from typing import Any, Final
from uuid import uuid4


def _is_installed(name: str) -> bool:
    return next(metadata.distributions(name=name), None) is not None


HERE: Final = Path(__file__).parent / "integrations"
FOLDER: Final = os.environ.get("SUPPORT_REPORT")

# By the folder under tests/integrations; None: it is no library.
DISTRIBUTIONS: Final = {
    "aiohttp": "aiohttp",
    "allauth": "django-allauth",
    "authx": "authx",
    "bare": None,
    "django": "Django",
    "falcon": "falcon",
    "fastapi": "fastapi",
    "fastapi_users": "fastapi-users",
    "flask": "Flask",
    "flask_appbuilder": "Flask-AppBuilder",
    "flask_jwt_extended": "Flask-JWT-Extended",
    "graphql_jwt": "django-graphql-jwt",
    "litestar": "litestar",
    "mcp": "mcp",
    "ninja": "django-ninja",
    "ninja_jwt": "django-ninja-jwt",
    "pyramid": "pyramid",
    "quart": "quart",
    "rest_framework": "djangorestframework",
    "rest_framework_jwt": "drf-jwt",
    "sanic": "sanic",
    "scenarios": None,
    "simplejwt": "djangorestframework-simplejwt",
    "starlette": "starlette",
    "tornado": "tornado",
}
# The shared tests name a framework as an adapter does.
ADAPTERS: Final = {"drf": "rest_framework", "asgi": "bare", "wsgi": "bare"}

# Folders of what is not installed here: libraries that need a newer PyJWT than the one under test.
ABSENT: Final = [folder for folder, name in DISTRIBUTIONS.items() if name is not None and not _is_installed(name)]

_seen: Final[dict[str, set[str]]] = defaultdict(set)


def record(item: Any, records: list[Any]) -> None:
    """A test is through: these records it has seen."""
    if FOLDER is None or HERE not in item.path.parents:
        return
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    if item.path.parent != HERE:
        folder = item.path.relative_to(HERE).parts[0]
    elif (adapter := parameters.get("adapter")) is not None:
        framework = adapter.framework.partition("_")[0]
        folder = ADAPTERS.get(framework, framework)
    else:
        return
    note(folder, records, shared="adapter" in parameters or "scenario" in parameters)


def note(folder: str, records: list[Any], *, shared: bool = False) -> None:
    """These records were seen by tests of this folder; a process of their own has its own report to :func:`write`.

    What is shared by all frameworks shows that requests are followed; what they decide there, the test has told itself.
    """
    kinds = {kind for one in records for kind in _kinds(one)}
    _seen[folder] |= kinds & {"route"} if shared else kinds


def _kinds(event: Any) -> set[str]:
    """What is to be known of an event: its name and why, and what of its request."""
    attributes = event.attributes or {}
    told = {"scopes": "jwt.scope.required", "lineage": "jwt.parent.jti", "route": "http.route"}
    return {str(event.body), *(kind for kind, attribute in told.items() if attribute in attributes)}


def write() -> None:
    """The session is over."""
    if FOLDER is None or not _seen:
        return
    report = {}
    for folder, kinds in _seen.items():
        if (name := DISTRIBUTIONS[folder]) is not None:
            report[name] = {"version": metadata.version(name), "seen": sorted(kinds)}
    target = Path(FOLDER)
    target.mkdir(parents=True, exist_ok=True)
    (target / f"{uuid4()}.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
