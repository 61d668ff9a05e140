"""Killed at any moment, at full speed: what was answered for is in the journal, and every stream is whole."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from opentelemetry.instrumentation.pyjwt.journal.checkpoints import Keys
from opentelemetry.instrumentation.pyjwt.journal.files import find
from opentelemetry.instrumentation.pyjwt.journal.verify import verify
from tests.isolated import ROOT
from tests.journal import book

RUNS = int(os.environ.get("JWT_AUDIT_CRASH_RUNS", "50"))


def test_nothing_that_was_answered_for_is_lost(directory: Path, tmp_path: Path) -> None:
    told, program = tmp_path / "responses", Path(__file__).with_name("killed.py")
    path = os.pathsep.join([*filter(None, sys.path), str(ROOT)])
    for seed in (1, 2):  # with segments of one size and another
        command = [sys.executable, program, directory, told, str((RUNS + 1) // 2), str(seed)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": path}, timeout=30 + RUNS)
    streams = book.read(directory, parse=False)
    assert verify(find([directory]), Keys()).problems == []
    written = Counter(f"{one['event']} {one['jwt.jti']}" for stream in streams.values() for one in stream)
    answered = told.read_text(encoding="ascii").splitlines()
    assert len(answered) > 50 * RUNS, "they have hardly run"
    assert len(streams) > RUNS, "the forks have no streams of their own"
    assert Counter(answered) - written == Counter()
    assert max(written.values()) == 1
    ids = Counter(one["audit.record.id"] for stream in streams.values() for one in stream)
    assert max(ids.values()) == 1
    # A response that was not sent any more may be there: at most one for each of the threads.
    assert len(written) - len(answered) <= 8 * RUNS
