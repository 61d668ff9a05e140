"""Writes the alerts of every engine: `python -m tools.alerts`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from opentelemetry.instrumentation.pyjwt.review.rules import load
from tools.alerts import duckdb, elasticsearch, loki, prometheus, splunk, victorialogs
from tools.alerts.common import Generator

ALERTS: Final = Path(__file__).parents[2] / "collector-config" / "alerts"
#: Each file, and what makes it.
FILES: Final[dict[str, Generator]] = {
    "duckdb/rules.sql": duckdb.generate,
    "elasticsearch/mappings.json": elasticsearch.mappings,
    "elasticsearch/rules.ndjson": elasticsearch.generate,
    "loki/rules.yaml": loki.generate,
    "prometheus/rules.yaml": prometheus.generate,
    "splunk/savedsearches.conf": splunk.generate,
    "victorialogs/rules.yaml": victorialogs.generate,
}


def main() -> None:
    rules = load(ALERTS / "rules")
    for name, generate in FILES.items():
        file = ALERTS / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(generate(rules), encoding="utf-8")


if __name__ == "__main__":
    main()
