"""The layers: what decides knows neither OpenTelemetry nor a framework, and capture imports no framework by itself."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import opentelemetry.instrumentation.pyjwt as package

ROOT = Path(package.__file__).parent
OURS = package.__name__
MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
# Of these the plugin consists and nothing else; wrapt comes with opentelemetry-instrumentation.
ALLOWED = {"opentelemetry", "wrapt"}
# The command line alone has its own two.
TERMINAL = {"typer", "rich"}


def statements(tree: ast.AST, *, top: bool) -> Iterator[ast.AST]:
    """All nodes of a module, or those that run when it is imported."""
    for node in ast.iter_child_nodes(tree):
        if not (top and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))):
            yield node
            yield from statements(node, top=top)


def imports(path: Path, *, top: bool = False) -> Iterator[str]:
    """Names of the modules that a file imports, at its top level alone if so wanted."""
    for node in statements(ast.parse((ROOT / path).read_text(encoding="utf-8")), top=top):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            assert node.module is not None
            # `from package import module` imports the module.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def foreign(names: Iterator[str]) -> set[str]:
    """Packages that are neither ours nor the standard library's."""
    return {name.split(".")[0] for name in names if not name.startswith(OURS)} - sys.stdlib_module_names


def test_every_module_is_looked_at() -> None:
    assert {"token.py", "ledger.py", "capture/pyjwt.py", "capture/frameworks/django.py", "sinks/log.py"} <= {
        path.as_posix() for path in MODULES
    }


@pytest.mark.parametrize(
    "name", ["bounds", "facts", "token", "verdict", "ledger", "scope_policy", "semconv", "events", "config", "guard"]
)
def test_what_decides_imports_nothing_but_itself(name: str) -> None:
    assert foreign(imports(Path(f"{name}.py"))) == set()


@pytest.mark.parametrize("name", ["bounds", "facts", "token", "verdict", "ledger", "semconv"])
def test_what_decides_imports_none_of_what_emits(name: str) -> None:
    layers = {one.removeprefix(f"{OURS}.").split(".")[0] for one in imports(Path(f"{name}.py")) if one.startswith(OURS)}
    assert layers <= {"bounds", "semconv", "facts", "token", "verdict"}


@pytest.mark.parametrize(
    "name", ["chain", "record", "accountable", "directory", "locks", "stream", "retention", "losses", "policy"]
)
def test_the_journal_s_parts_import_nothing_but_themselves(name: str) -> None:
    path = Path("journal") / f"{name}.py"
    assert foreign(imports(path)) == set()
    known = {"bounds", "semconv", "events", "guard", "version", "journal"}
    assert {one.removeprefix(f"{OURS}.").split(".")[0] for one in imports(path) if one.startswith(f"{OURS}.")} <= known


def test_the_chain_knows_nothing_of_ours() -> None:
    assert not any(one.startswith(OURS) for one in imports(Path("journal/chain.py")))


@pytest.mark.parametrize("name", ["chain", "order", "reader", "checkpoints", "verify", "trail", "unsealing"])
def test_what_reads_a_journal_imports_nothing_of_what_writes_it(name: str) -> None:
    path = Path("journal", f"{name}.py")
    assert foreign(imports(path)) <= {"cryptography", "duckdb", "pyrage"}
    layers = {one.removeprefix(f"{OURS}.").split(".")[0] for one in imports(path) if one.startswith(f"{OURS}.")}
    assert layers <= {"journal", "semconv", "bounds"}


@pytest.mark.parametrize("name", ["model", "conditions", "documents", "rules", "plan", "columns", "sql", "baseline"])
def test_rules_import_nothing_but_themselves(name: str) -> None:
    path = Path("review", f"{name}.py")
    assert foreign(imports(path)) == set()
    layers = {one.removeprefix(f"{OURS}.").split(".")[0] for one in imports(path) if one.startswith(f"{OURS}.")}
    assert layers <= {"review", "semconv"}


def test_duckdb_is_imported_by_what_runs_it_alone() -> None:
    known = {path.as_posix() for path in MODULES if "duckdb" in foreign(imports(path))}
    assert known == {"journal/archives.py", "review/database.py", "review/loading.py"}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_module_imports_a_framework_or_pyjwt_when_it_is_imported(path: Path) -> None:
    assert foreign(imports(path, top=True)) <= (ALLOWED | TERMINAL if path.parts[0] == "cli" else ALLOWED)


@pytest.mark.parametrize(
    "path", [path for path in MODULES if not {"journal", "cli", "review", "journal.py"} & set(path.parts)], ids=str
)
def test_journal_review_and_command_are_not_imported_with_the_plugin(path: Path) -> None:
    """Whoever turns the journal on imports it then, within a function."""
    apart = tuple(f"{OURS}.{name}" for name in ("journal", "cli", "review"))
    assert not any(name.startswith(apart) for name in imports(path, top=True))


@pytest.mark.parametrize("path", [path for path in MODULES if path.parts[0] == "sinks"], ids=str)
def test_sinks_know_nothing_of_capture(path: Path) -> None:
    assert not any(name.startswith(f"{OURS}.capture") for name in imports(path))


@pytest.mark.parametrize("path", [path for path in MODULES if path.parts[0] == "capture"], ids=str)
def test_capture_emits_nothing_by_itself(path: Path) -> None:
    """It translates; spans, logs and metrics are the sinks' affair."""
    emitting = ("opentelemetry.trace", "opentelemetry.metrics", "opentelemetry._logs", f"{OURS}.sinks")
    assert not any(name.startswith(emitting) for name in imports(path))


def test_no_module_needs_the_sdk() -> None:
    assert not any(name.startswith("opentelemetry.sdk") for path in MODULES for name in imports(path))
