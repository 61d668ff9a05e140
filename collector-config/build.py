"""Builds the Collector of ``builder.yaml``, once, into a cache outside the repository, and prints where it is.

It takes Go, and nothing else: the OpenTelemetry Collector Builder and the components are Go modules. What is there
already for these components is used again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MANIFEST = Path(__file__).resolve().with_name("builder.yaml")


def main() -> None:
    manifest = MANIFEST.read_text(encoding="utf-8")
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jwt-audit"
    binary = folder / f"otelcol-{hashlib.sha256(manifest.encode()).hexdigest()[:16]}"
    if not binary.exists():
        if shutil.which("go") is None:
            sys.exit("Go not found: the Collector is built with it")
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "otelcol.lock", "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not binary.exists():  # nobody has built it while we waited
                build(manifest, binary)
    print(binary)


def build(manifest: str, binary: Path) -> None:
    # The builder is of the Collector's version, and both stand in the manifest once.
    (version,) = re.findall("^  version: (.+)$", manifest, re.MULTILINE)
    builder = f"go.opentelemetry.io/collector/cmd/builder@v{version}"
    print("Building the Collector, once; this takes minutes …", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix=".otelcol-", dir=binary.parent) as folder:
        done = subprocess.run(
            ["go", "run", builder, f"--config={MANIFEST}"],
            cwd=folder,
            env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{done.stdout}{done.stderr}\nThe Collector could not be built.")
        os.rename(Path(folder, "build", "otelcol"), binary)


main()
