"""The alerts for Loki, as they are committed, are LogQL by the grammar that Grafana reads it with."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.beside import beside
from tools.alerts.__main__ import ALERTS

GROUPS = yaml.safe_load((ALERTS / "loki" / "rules.yaml").read_text())["groups"]
#: Reads queries, and writes for each the places that are no LogQL.
READER = """
import { readFileSync } from "node:fs";
import { parser } from "@grafana/lezer-logql";

const wrong = (query) => {
  const places = [];
  parser.parse(query).iterate({ enter: (node) => { if (node.type.isError) places.push(node.from); } });
  return places;
};
console.log(JSON.stringify(JSON.parse(readFileSync(0)).map(wrong)));
"""


def wrong_in(queries: list[str], modules: Path) -> list[list[int]]:
    command = ["node", "--input-type=module", "--eval", READER]
    done = subprocess.run(command, cwd=modules, input=json.dumps(queries), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[list[int]] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def modules() -> Path:
    """What `make logql` installs, or has installed."""
    if shutil.which("node") is None:
        pytest.skip("node not found: Loki's grammar is written for it")
    return beside("logql")


def test_every_query_is_logql(modules: Path) -> None:
    queries = [alert["expr"] for group in GROUPS for alert in group["rules"]]
    assert wrong_in(queries, modules) == [[]] * len(queries)


@pytest.mark.parametrize("part", ["{", "sum by (", "[", "|"])
def test_what_lacks_a_part_is_not(part: str, modules: Path) -> None:
    queries = [alert["expr"] for group in GROUPS for alert in group["rules"] if part in alert["expr"]]
    broken = [query.replace(part, "", 1) for query in queries]
    assert all(wrong_in(broken, modules))
