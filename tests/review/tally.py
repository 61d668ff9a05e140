"""What an engine has found of what is planted, and what of the rest: compared rule by rule, and told in a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Case = tuple[str, str, tuple[tuple[str, str | None], ...]]
Row = tuple[int, int, int]  # planted and found, planted, reported and not planted


def case_of(rule: str, level: str, key: Mapping[str, str | None]) -> Case:
    return rule, level, tuple(sorted(key.items()))


class Tally:
    """One engine's, of one test."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.rows: dict[str, Row] = {}

    def check(self, found: Iterable[Case], planted: Iterable[Case], spared: Iterable[Case] = ()) -> None:
        """All that is planted is found, and nothing else; what is spared may be or not."""
        found, planted, spared = set(found), set(planted), set(spared) - set(planted)
        missed, wrong = planted - found, found - planted - spared
        for rule in {one[0] for one in planted | wrong}:
            there, lost, more = (sum(one[0] == rule for one in cases) for cases in (planted, missed, wrong))
            self.rows[rule] = (there - lost, there, more)
        assert (missed, wrong) == (set(), set()), f"{self.engine}: missed, wrongly reported"


def table(tallies: Mapping[str, Mapping[str, Row]]) -> list[str]:
    """A line for each rule, a column for each engine."""
    rules = sorted({rule for rows in tallies.values() for rule in rows})
    lines: list[list[Any]] = [["found/planted, decoys", *tallies]]
    for rule in rules:
        cells = [rows.get(rule) for rows in tallies.values()]
        lines.append([rule, *["-" if one is None else f"{one[0]}/{one[1]}, {one[2]}" for one in cells]])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
