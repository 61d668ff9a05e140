"""DuckDB: a view of the findings of each rule, as `jwt-audit review` asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from opentelemetry.instrumentation.pyjwt.review.columns import quoted
from opentelemetry.instrumentation.pyjwt.review.model import LEVELS, Rule
from opentelemetry.instrumentation.pyjwt.review.sql import query_of
from tools.alerts.common import NOTE, lines

_HEAD: Final = (
    f"-- {NOTE}",
    "--",
    "-- Each rule is a view of its findings. They are looked for in a table, events, with the time in nanoseconds",
    "-- since the epoch, a column for each attribute, each record once. Archives of `jwt-audit compact` have them:",
    "--",
    "--   CREATE VIEW events AS",
    "--   SELECT DISTINCT ON (coalesce(\"audit.record.id\", record)) * FROM read_parquet('archive/*/*.parquet');",
    "--",
    f"-- Levels, from 0: {', '.join(LEVELS)}.",
)


def generate(rules: Sequence[Rule]) -> str:
    return lines(_HEAD) + "".join(map(_view, rules))


def _view(rule: Rule) -> str:
    return f"\n-- {rule.title}\nCREATE VIEW {quoted(rule.name)} AS\n{query_of(rule)};\n"
