"""What stands out in the trail: what ``jwt-audit review`` finds, knowing nothing of who sent what."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

JWT_AUDIT = Path(sys.executable).with_name("jwt-audit")


def shown(journal: Path, width: int) -> str:
    """What the command prints on a terminal, colours included."""
    terminal = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(width)}
    return _review(journal, terminal).rstrip()


def found(journal: Path) -> dict[str, str]:
    """The rules that found something, and what each names: a token or an address."""
    findings = json.loads(_review(journal, None, "--json"))["findings"]
    return {one["rule"]: one["key"].get("jwt.jti") or one["key"].get("client.address") for one in findings}


def _review(journal: Path, environment: dict[str, str] | None, *options: str) -> str:
    command = [JWT_AUDIT, "review", journal, "--fail-on", "never", *options]
    return subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # where it shows how far it is
        text=True,
        check=True,
    ).stdout
