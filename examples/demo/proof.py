"""The proof: what ``jwt-audit verify`` says of the journal, and of one that somebody has been at."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

JWT_AUDIT = Path(sys.executable).with_name("jwt-audit")


class Verdict(NamedTuple):
    intact: bool
    text: str  #: as the command printed it


def verify(journal: Path, public_key: Path) -> Verdict:
    """What the command says."""
    command = [JWT_AUDIT, "verify", journal, "--public-key", public_key]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return Verdict(done.returncode == 0, done.stdout.rstrip())


def whitewash(journal: Path, copy: Path) -> str:
    """A copy of the journal in which a rejected token was accepted after all; returns what was changed in it."""
    shutil.copytree(journal, copy)
    old, new = b'"severityText":"WARN"', b'"severityText":"INFO"'
    for segment in sorted(copy.glob("*.jsonl")):
        lines = segment.read_bytes().splitlines(keepends=True)
        for index, line in enumerate(lines):
            if b'"jwt.rejected"' in line and old in line:
                lines[index] = line.replace(old, new)
                segment.write_bytes(b"".join(lines))
                return f"one word of line {index + 1}"
    raise LookupError("no rejected token is in the journal")
