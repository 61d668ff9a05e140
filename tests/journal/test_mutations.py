"""Whatever is done to a journal is reported, and nothing where nothing was done.

``JOURNAL_MUTATIONS=5000`` does as many; unset, some are done, the same each time.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from opentelemetry.instrumentation.pyjwt.journal import copies
from opentelemetry.instrumentation.pyjwt.journal import verify as verifying
from opentelemetry.instrumentation.pyjwt.journal.checkpoints import Keys
from opentelemetry.instrumentation.pyjwt.journal.files import find
from opentelemetry.instrumentation.pyjwt.journal.verify import Report, verify
from tests.journal.forgeries import FORGERIES
from tests.journal.mutations import ACCIDENTS, Files, Mutation, OutsideError
from tests.journal.writing import Signer, Stream, copied, line_of, some

ALL = {**ACCIDENTS, **FORGERIES}
SHORT = 60
WANTED = int(os.environ.get("JOURNAL_MUTATIONS", SHORT))
BATCHES = 3 if WANTED == SHORT else 10  # for workers to share
SEED = 0 if WANTED == SHORT else random.SystemRandom().getrandbits(32)


@pytest.fixture(autouse=True, scope="module")
def _each_line_is_parsed_once() -> Iterator[None]:
    """Most lines are the same from case to case, and what they hold and whether it is signed is nearly all the work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verifying, "_parse", lru_cache(20_000)(verifying._parse))
        patch.setattr(copies, "records", lru_cache(1_000)(copies.records))
        patch.setattr(Keys, "claims", lru_cache(1_000)(Keys.claims))
        yield


class Journal:
    """1,000 records in two or three streams, each ending in a checkpoint, and what the backend knows of them."""

    def __init__(self, folder: Path, dice: random.Random) -> None:
        signer = Signer()
        parts = dice.choice(((700, 300), (500, 300, 200)))
        streams = [
            some(Stream(signer), count, every=dice.randrange(20, 120), rotate=dice.randrange(100, 180))
            for count in parts
        ]
        self.folder = folder / "journal"
        self.files: Files = {path.name: path.read_bytes() for stream in streams for path in stream.save(self.folder)}
        (folder / "key.pem").write_bytes(signer.pem)
        self.keys = Keys.load([folder / "key.pem"])
        self.received = folder / "received.jsonl"
        known = [copied(record) for stream in streams for record in stream.checkpoints()]
        self.received.write_bytes(b"".join(line_of(*known[at : at + 5]) for at in range(0, len(known), 5)))

    def put(self, files: Files) -> None:
        """Let exactly these files be there."""
        for name in self.files.keys() | files.keys() | {path.name for path in self.folder.glob("*.jsonl")}:
            path = self.folder / name
            if name not in files:
                path.unlink(missing_ok=True)
            elif not path.exists() or path.read_bytes() != files[name]:
                path.write_bytes(files[name])

    def verify(self) -> Report:
        return verify(find([self.folder]), self.keys, [self.received])


@pytest.mark.parametrize("batch", range(BATCHES))
def test_every_mutation_is_reported(batch: int, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    dice = random.Random(f"{SEED} {batch}")
    journal = Journal(tmp_path, dice)
    untouched = journal.verify()
    assert untouched.intact
    assert untouched.records == 1000
    kinds: Counter[str] = Counter()
    done: Counter[str] = Counter()
    while done.total() < WANTED / BATCHES:
        (mutation,) = dice.choices([*ALL], [*ALL.values()])
        files = dict(journal.files)
        what = _mutated(mutation, dice, files)
        if what is None or files == journal.files:
            continue
        journal.put(files)
        report = journal.verify()
        assert not report.intact, f"{mutation.__name__}: {what} (seed {SEED}, batch {batch})"
        kinds.update({problem.kind for problem in report.problems})
        done[mutation.__name__] += 1
    journal.put(journal.files)
    assert journal.verify() == untouched
    if done.total() >= 100:  # else it depends on the dice
        assert kinds.keys() >= {"changed", "removed"}
    for name, counted in (("done", done), ("reported", kinds)):
        record_property(name, dict(counted))


def _mutated(mutation: Mutation, dice: random.Random, files: Files) -> str | None:
    try:
        return mutation(dice, files)
    except OutsideError:
        return None


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    return Journal(tmp_path_factory.mktemp("shared"), random.Random(0))


@pytest.mark.parametrize("mutation", ALL, ids=lambda one: one.__name__)
def test_each_kind_of_mutation_is_reported(mutation: Mutation, shared: Journal) -> None:
    """However few are done in all."""
    dice = random.Random(mutation.__name__)
    files = dict(shared.files)
    while _mutated(mutation, dice, files) is None:
        files = dict(shared.files)
    assert files != shared.files
    shared.put(files)
    assert not shared.verify().intact
