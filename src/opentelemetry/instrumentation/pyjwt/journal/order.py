"""What became of a stream: its records as they stand, against the numbers and hashes that they name.

Records that follow each other as they should make a run, of which only the ends are kept. A whole stream is one run,
however long; damage breaks it, and how the runs lie to each other says what was done.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from opentelemetry.instrumentation.pyjwt.journal.chain import FIRST
from opentelemetry.instrumentation.pyjwt.journal.reader import Link

#: The kinds of damage.
CHANGED: Final = "changed"
REMOVED: Final = "removed"
INSERTED: Final = "inserted"
REORDERED: Final = "reordered"
TRUNCATED: Final = "truncated"
FORGED_CHECKPOINT: Final = "forged checkpoint"

#: Runs of one stream that are kept; damage behind them is no longer told apart.
RUNS: Final = 500


class Damage(NamedTuple):
    """One thing that is wrong with a stream."""

    kind: str
    sequence: int | None  #: number of the first record concerned
    detail: str


#: What stands among a stream's records and is none: what was done if it stands for one, and what it is.
Foreign = tuple[str, str]


class _Run:
    """Records in the order of their numbers, each with the hash of the one before it."""

    __slots__ = ("digest", "first", "foreign", "last", "prev_hash")

    def __init__(self, first: int, last: int, prev_hash: str, digest: str | None, foreign: list[Foreign]) -> None:
        self.first = first
        self.last = last
        self.prev_hash = prev_hash  # of the first
        self.digest = digest  # of the last; None: not known, so that nothing contradicts it
        self.foreign = foreign  # what stands before it and is no record of the stream

    @property
    def alone(self) -> bool:
        return self.first == self.last

    def leads_to(self, other: _Run) -> bool:
        return other.first == self.last + 1 and self.digest in (None, other.prev_hash)


class Order:
    """The records of one stream, added as they stand.

    Args:
        first: the number that the first record should have; ``None``: whatever it has.
    """

    def __init__(self, first: int | None = None) -> None:
        self.count = 0
        self._expected = first
        self._runs: list[_Run] = []
        self._foreign: list[Foreign] = []
        self._overflow = False

    @property
    def begins(self) -> int | None:
        """The lowest number, or ``None`` if there is no record."""
        return min((run.first for run in self._runs), default=None)

    @property
    def ends(self) -> int:
        """The highest number, 0 if there is no record."""
        return max((run.last for run in self._runs), default=0)

    def add(self, link: Link) -> None:
        """The next record."""
        self.count += 1
        last = self._runs[-1] if self._runs else None
        if last is not None and not self._foreign and link.number == last.last + 1 and link.prev_hash == last.digest:
            last.last = link.number
            last.digest = link.digest
        elif len(self._runs) < RUNS:
            self._runs.append(_Run(link.number, link.number, link.prev_hash, link.digest, self._foreign))
            self._foreign = []
        else:
            self._overflow = True

    def add_foreign(self, detail: str, kind: str = CHANGED) -> None:
        """Something that is no record of this stream stands here; ``kind``: what was done if it stands for one."""
        if not self._foreign:
            self._foreign.append((kind, detail))

    def damage(self) -> Iterator[Damage]:
        """All that is wrong, in order."""
        if not self._runs:
            yield from (Damage(kind, self._expected, detail) for kind, detail in self._foreign[:1])
            return
        start = self._expected or min(run.first for run in self._runs)
        # What a first record has to name is known only of the very first.
        main = _Run(start, start - 1, "", FIRST if start == 1 else None, [])
        rest = list(self._runs)
        told = False  # that they are out of order: they are sorted then
        while rest:
            run = rest.pop(0)
            absent = main.last + 1
            if main.leads_to(run):
                yield from (Damage(INSERTED, absent, detail) for _, detail in run.foreign[:1])
                main = run
            elif run.alone and main.digest == run.prev_hash and rest and rest[0].first == absent + 1 != run.first + 1:
                yield Damage(CHANGED, absent, f"numbered {run.first} where {absent} belongs")
                main = _Run(absent, absent, run.prev_hash, None, [])
            elif run.first == absent:
                # Of two neighbours that do not agree, the one that does not agree with its other neighbour either.
                if absent == start or (run.alone and rest and rest[0].first == absent + 1):
                    yield Damage(CHANGED, absent, "its prev_hash is not the hash of the record before it")
                    main = _Run(absent, run.last, run.prev_hash, None if run.alone else run.digest, [])
                else:
                    yield Damage(CHANGED, main.last, "its hash is not the one that the next record names")
                    main = run
            elif run.last <= main.last or any(one.first <= run.first and run.last <= one.last for one in rest):
                yield Damage(INSERTED, run.first, f"{run.first} is there more than once")
            elif run.first < absent:
                yield Damage(INSERTED, run.first, f"{run.first} is there more than once")
                main = run
            elif not told and any(absent <= one.first < run.first for one in rest):
                yield Damage(REORDERED, absent, f"{run.first} stands where {absent} belongs")
                rest = sorted([run, *rest], key=lambda one: one.first)
                told = True
            else:
                missing = f"{absent}" if absent == run.first - 1 else f"{absent} to {run.first - 1}"
                if run.foreign:
                    kind, detail = run.foreign[0]
                    yield Damage(kind, absent, f"{detail}, where {missing} belongs")
                else:
                    yield Damage(REMOVED, absent, f"{missing} missing")
                main = run
        if self._overflow:
            yield Damage(CHANGED, main.last, "so much is wrong that what follows is not told apart")
        for kind, detail in self._foreign[:1]:
            yield Damage(kind, main.last + 1, detail)
