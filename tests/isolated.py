"""Python in a process of its own, for what can be seen only once in one: imports, global providers, log output."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(script: str, *, check: bool = True, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a script with the packages of this process, warnings as errors; raises with its stderr if it fails."""
    path = os.pathsep.join([*filter(None, sys.path), str(ROOT)])
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        env={**clean, "PYTHONPATH": path, **environ},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done
