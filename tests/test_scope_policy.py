"""The scope policy: which rule a request meets, and what is said of a file that cannot be used."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from opentelemetry.instrumentation.pyjwt.config import Settings
from opentelemetry.instrumentation.pyjwt.scope_policy import ScopePolicy, load_policy

RULES = {
    "GET /orders/{id}": "orders:read",
    "POST,PUT /orders/{id}": ["orders:read", "orders:write"],
    "/orders/{id}/public": [],
    "/orders/**": "orders:admin",
    "/files/*.txt": "text",
    "/items/<int:item>": "items",
    "/docs/{rest:path}/edit": "docs",
    "/media/<path:rest>": "media",
    "/": "root",
    "GET /caf\N{LATIN SMALL LETTER E WITH ACUTE}": "menu",
}


@pytest.mark.parametrize(
    ("method", "path", "route", "required"),
    [
        ("GET", "/orders/7", None, ("orders:read",)),
        ("GET", "orders/7/", None, ("orders:read",)),
        ("HEAD", "/orders/7", None, ("orders:read",)),
        ("PUT", "/orders/7", None, ("orders:read", "orders:write")),
        ("DELETE", "/orders/7", None, ("orders:admin",)),
        ("GET", "/orders/7/public", None, ()),
        ("GET", "/orders/7/lines/3", None, ("orders:admin",)),
        ("GET", "/orders", None, ("orders:admin",)),
        ("GET", "/ordersheet", None, ()),
        ("GET", "/files/a.txt", None, ("text",)),
        ("GET", "/files/a.text", None, ()),
        ("GET", "/files/sub/a.txt", None, ()),
        ("GET", "/items/7", None, ("items",)),
        ("GET", "/items/", None, ()),
        ("GET", "/mounted/items/7", "items/<int:item>", ("items",)),
        ("GET", "/docs/a/b/edit", None, ("docs",)),
        ("GET", "/media/a/b", None, ("media",)),
        ("GET", "/", None, ("root",)),
        ("GET", "", None, ("root",)),
        ("_OTHER", "/", None, ("root",)),
        (None, "/orders/7", None, ("orders:admin",)),
        ("GET", "/caf\N{LATIN SMALL LETTER E WITH ACUTE}", None, ("menu",)),
        ("GET", "/orders/7\n", None, ("orders:read",)),
    ],
)
def test_the_first_rule_that_matches_counts(method: str, path: str, route: str | None, required: tuple) -> None:
    assert ScopePolicy(RULES).required(method, path, route) == required


TOML = """\
# what orders take
[scopes]
"GET /orders/{id}" = "orders:read"
"/admin/**" = ["admin", "staff"]
"""
YAML = """\
scopes:
  GET /orders/{id}: orders:read
  /admin/**: [admin, staff]
"""


@pytest.mark.parametrize(("name", "text"), [("p.toml", TOML), ("p.yaml", YAML), ("p.YML", YAML)])
def test_toml_yaml_and_a_mapping_say_the_same(name: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    policy = load_policy(file)
    mapping = {"GET /orders/{id}": "orders:read", "/admin/**": ["admin", "staff"]}
    assert policy == load_policy(str(file)) == load_policy(mapping) == ScopePolicy(mapping) == load_policy(policy)
    assert policy != ScopePolicy({})
    assert len({policy, ScopePolicy(mapping)}) == 1


@pytest.mark.parametrize(
    ("name", "text", "line", "reason"),
    [
        ("p.toml", '[scopes]\n\n"GET /a" = [\n', 3, "Invalid value"),
        ("p.toml", '[scopes]\n"GET /a" = "a"\n"GET /a" = "b"\n', 3, "Cannot overwrite a value"),
        ("p.toml", '[scopes]\n"/a" = "a"\n"/b" = 7\n', 3, "'/b': expected scopes as a list"),
        ("p.toml", '[scopes]\n"/a" = "a"\n"/b" = ["b", ""]\n', 3, "'/b': expected scopes as a list"),
        ("p.toml", '[scopes]\n"get /b" = "b"\n', 2, "'get /b': expected methods in capitals"),
        ("p.toml", '[scopes]\n"GET POST /b" = "b"\n', 2, "expected methods in capitals"),
        ("p.toml", '[scopes]\n"GET b" = "b"\n', 2, "expected a route that starts with /"),
        ("p.toml", '[scopes]\n[routes]\n"/b" = "b"\n', 2, "expected one table, 'scopes'"),
        ("p.toml", "", None, "expected one table, 'scopes'"),
        ("p.toml", 'scopes = "/b"\n', None, "expected one table, 'scopes'"),
        ("p.yaml", "scopes:\n  /a: [a\n", 3, "expected ',' or ']'"),
        ("p.yaml", "scopes:\n\t/a: a\n", 2, "cannot start any token"),
        ("p.yaml", "scopes:\n  /a: a\n  /b: {c: d}\n", 3, "'/b': expected scopes as a list"),
        ("p.yaml", "scopes:\n  /a: a\n  7: b\n", 3, "expected methods and a route"),
        ("p.yaml", "- scopes\n", None, "expected one table, 'scopes'"),
        ("p.json", "{}", None, "expected a file named .toml, .yaml or .yml"),
        ("p.toml", b"\xff\xfe", None, "cannot be read"),
        ("absent.toml", None, None, "cannot be read: .*No such file"),
    ],
)
def test_a_broken_file_is_one_warning_and_no_policy(
    name: str,
    text: str | bytes | None,
    line: int | None,
    reason: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = tmp_path / name
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert Settings.load({}, {"OTEL_PYTHON_PYJWT_SCOPE_POLICY": str(file)}).scope_policy is None
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    message = record.getMessage()
    assert message.startswith(f"OTEL_PYTHON_PYJWT_SCOPE_POLICY: bad value '{file}' (")
    assert message.endswith("); using the default.")
    with pytest.raises(ValueError, match=reason) as error:
        load_policy(file)
    assert str(error.value) in message
    assert (f"line {line}" in message) == (line is not None), message


def test_what_reading_takes_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    (tmp_path / "p.yaml").write_text(YAML, encoding="utf-8")
    with pytest.raises(ValueError, match=r"reading it takes yaml: pip install '.*\[policy\]'"):
        load_policy(tmp_path / "p.yaml")
