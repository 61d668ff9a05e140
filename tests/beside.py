"""What tests run beside the product: got once, by ``collector-config/build.py``."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.isolated import ROOT

_NEEDS = {"collector": "go", "victorialogs": "go", "logql": "npm"}


def beside(name: str) -> Path:
    """Where it is; the test is skipped where it cannot be had."""
    build = [sys.executable, ROOT / "collector-config" / "build.py", name]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    if done.returncode and shutil.which(_NEEDS[name]) is None:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())
