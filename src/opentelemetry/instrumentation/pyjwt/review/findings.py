"""Asks all rules of a trail, and gives what they find, the worst first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry.instrumentation.pyjwt.review import baseline
from opentelemetry.instrumentation.pyjwt.review.columns import attributes_of
from opentelemetry.instrumentation.pyjwt.review.database import MEMORY, Database, database
from opentelemetry.instrumentation.pyjwt.review.loading import Loaded, load, readable
from opentelemetry.instrumentation.pyjwt.review.model import LEVELS, Level, Rule
from opentelemetry.instrumentation.pyjwt.review.sources import Sources
from opentelemetry.instrumentation.pyjwt.review.sql import query_of

_TABLE = """\
CREATE TABLE findings (
  rule INTEGER, level INTEGER, key MAP(VARCHAR, VARCHAR), count BIGINT, first BIGINT, last BIGINT, sample VARCHAR[],
  why VARCHAR
)"""
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule has found of one key."""

    rule: Rule
    level: Level
    key: Mapping[str, str | None]  #: attributes and their values; an absent issuer is ``None``
    count: int  #: the most in one window; of a rule without windows, all there are
    first: int  #: nanoseconds since the epoch: the first event that counted in a full window
    last: int  #: and the last
    sample: tuple[str, ...]  #: record ids, of the fullest window
    why: str | None  #: in words, where it is not the rule that says so


class Review:
    """The findings, which may be many: they are kept in the database."""

    def __init__(self, found: Database, rules: Sequence[Rule], loaded: Loaded) -> None:
        self._database = found
        self._rules = rules
        self.events, self.skipped = loaded

    def __len__(self) -> int:
        ((count,),) = self._database.rows("SELECT count(*) FROM findings")
        return int(count)

    def __iter__(self) -> Iterator[Finding]:
        """By level, the highest first, then by count, then by time."""
        answer = self._database.connection.cursor().execute(
            "SELECT * FROM findings ORDER BY level DESC, count DESC, first, rule, key::VARCHAR"
        )
        while rows := answer.fetchmany(_BATCH):
            for rule, level, key, count, first, last, sample, why in rows:
                yield Finding(self._rules[rule], LEVELS[level], key, count, first, last, tuple(sample), why)

    def reaches(self, level: Level) -> bool:
        """Whether there is a finding of this level or above."""
        return bool(self._database.rows("FROM findings WHERE level >= ? LIMIT 1", [LEVELS.index(level)]))


@contextmanager
def review(
    sources: Sources,
    rules: Sequence[Rule],
    *,
    since: int = 0,
    past: int = 0,
    memory: str = MEMORY,
    reading: Callable[[float], object] = lambda part: None,
    asking: Callable[[Rule], object] = lambda rule: None,
) -> Iterator[Review]:
    """What the rules find, for as long as the block lasts.

    Args:
        sources: what is reviewed.
        rules: what is looked for.
        since: nanoseconds since the epoch; what happened before is left out.
        past: nanoseconds before that, which subjects are compared with; 0: they are not.
        memory: what the database may hold in memory.
        reading: told how much is newly read, 1 in the end.
        asking: told each rule as it is asked.

    Raises:
        UnreadableError: a file cannot be read.
    """
    with database(memory) as opened:
        attributes = {*attributes_of(rules), *(baseline.ATTRIBUTES if past else ())}
        loaded = load(opened, sources, sorted(attributes), since, reading, past)
        opened.rows(_TABLE)
        with readable():
            for place, rule in enumerate(rules):
                asking(rule)
                opened.rows(f"INSERT INTO findings SELECT {place}, *, NULL FROM ({query_of(rule)})")
            if past:
                opened.rows(f"INSERT INTO findings {baseline.query_of(since, len(rules))}")
        yield Review(opened, [*rules, *baseline.RULES], loaded)
