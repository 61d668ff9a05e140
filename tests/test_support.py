"""What is promised is what is tested: the oldest releases known are those of the `oldest-…` groups."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from opentelemetry.instrumentation.pyjwt.instrumentor import PATCHES
from tests import support_table
from tests.support_report import DISTRIBUTIONS

ROOT = Path(__file__).parent.parent


def oldest() -> Iterator[tuple[str, str]]:
    """Distribution and version of each pin in the groups."""
    try:
        tomllib = import_module("tomllib")
    except ModuleNotFoundError:  # Python 3.10
        tomllib = import_module("tomli")
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    for name, pins in groups.items():
        if name.startswith("oldest-"):
            for pin in pins:
                distribution, _, version = pin.partition("==")
                yield re.sub(r"\[.*\]", "", distribution).strip().lower(), version.strip()


LIBRARIES = {library.distribution: library for library in PATCHES.libraries}


@pytest.mark.parametrize("name", sorted(LIBRARIES), ids=str)
def test_the_oldest_release_known_is_tested(name: str) -> None:
    tested = [version for distribution, version in oldest() if distribution == name.lower()]
    since = min(library.since for library in PATCHES.libraries if library.distribution == name)
    assert tested, f"no group pins {name}"
    assert since in {tuple(map(int, re.findall(r"\d+", version)))[: len(since)] for version in tested}


def test_every_library_known_has_a_folder_of_tests() -> None:
    assert LIBRARIES.keys() <= {name for name in DISTRIBUTIONS.values() if name is not None}


def test_table_is_made_of_what_was_seen() -> None:
    made = support_table.table(
        {
            "Flask": {"3.1.3": {"route", "jwt.validated"}, "2.3.10": {"route"}},
            "some-library": {
                "10.0.0": {"jwt.issued", "lineage", "jwt.rejected: revoked", "jwt.denied"},
                "9.1.0": {"jwt.issued", "lineage", "jwt.rejected: refused", "jwt.denied"},
            },
        }
    )
    assert made.splitlines() == [
        "| framework | run with | route | declared scopes, permissions |",
        "|---|---|---|---|",
        "| Flask | 2.3.10 … 3.1.3 | ✓ |  |",
        "",
        f"| library | run with | {' | '.join(support_table.COLUMNS)} |",
        "|---|---|---|---|---|---|---|---|---|",
        "| some-library | 9.1.0 … 10.0.0 | ✓ | ✓ |  |  |  |  | ✓ |",
    ]
