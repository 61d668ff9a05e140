"""Processes that are killed while they seal: a program, run by ``test_sealing.py``.

For each kill a fork seals some segments, of one and more parts of age's (64 KiB), and is killed at a random moment.
Each segment must be there then, whole: plain, sealed, or both. What it found is counted: plain ones, sealed ones, and
those of which there was more.

    python killed_sealing.py DIRECTORY KILLS
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import pyrage

from opentelemetry.instrumentation.pyjwt.journal.sealing import Sealer
from tests.forwarder import journal

SEGMENTS = 8


def main() -> None:
    folder, kills = Path(sys.argv[1]), int(sys.argv[2])
    identity = pyrage.x25519.Identity.generate()
    sealer = Sealer([str(identity.to_public())])
    chosen = random.Random(7)
    plain = whole = parts = 0
    longest = 0.0
    for kill in range(kills + 1):
        directory = folder / str(kill)
        directory.mkdir(0o700)
        texts: dict[Path, bytes] = {}
        for number in range(SEGMENTS):
            path = directory / f"{number:032x}.{1:012d}.jsonl"
            texts[path] = journal.line(journal.STREAM, 1) * chosen.choice([1, 300])
            path.write_bytes(texts[path])
            path.with_name(f"{path.name}.position").write_text(str(len(texts[path])))
        process = os.fork()
        if process == 0:
            sealer.round(directory)
            os._exit(0)
        if kill:
            time.sleep(chosen.uniform(0, longest))
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
        else:  # how long it takes
            started = time.monotonic()
            os.waitpid(process, 0)
            longest = time.monotonic() - started
        for path, text in texts.items():
            sealed = path.with_name(f"{path.name}.age")
            if path.exists():
                assert path.read_bytes() == text
                plain += 1
            else:
                assert sealed.exists(), "neither is there"
            if sealed.exists():
                assert pyrage.decrypt(sealed.read_bytes(), [identity]) == text
                whole += 1
            parts += path.with_name(f"{path.name}.age.tmp").exists() or (path.exists() and sealed.exists())
        sealer.round(directory)  # the next process goes on
        left = {path.suffix for path in directory.iterdir()}
        assert left <= {".age", ".position"}, left
        assert len(list(directory.glob("*.age"))) == SEGMENTS
    print(plain, whole, parts)  # noqa: T201


main()
