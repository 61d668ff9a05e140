"""Gets what tests run beside the product, once, into a cache outside the repository, and prints where it is.

``build.py collector`` builds the Collector of ``builder.yaml``, a program; ``victorialogs`` VictoriaLogs and vmalert of
``victorialogs.mod``, a folder of both; ``logql`` installs Loki's grammar of ``logql.json``, a folder of modules. That
takes npm, the others take Go. What is there already for the same file is used again.
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
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent


def build_collector(manifest: Path, folder: Path) -> Path:
    # The builder is of the Collector's version, and both stand in the manifest once.
    (version,) = re.findall("^  version: (.+)$", manifest.read_text(encoding="utf-8"), re.MULTILINE)
    run("go", "run", f"go.opentelemetry.io/collector/cmd/builder@v{version}", f"--config={manifest}", cwd=folder)
    return folder / "build" / "otelcol"


def build_victorialogs(manifest: Path, folder: Path) -> Path:
    shutil.copyfile(manifest, folder / "go.mod")
    made = folder / "build"
    made.mkdir()
    for program in ("VictoriaLogs/app/victoria-logs", "VictoriaMetrics/app/vmalert"):
        run("go", "build", "-o", str(made), f"github.com/VictoriaMetrics/{program}", cwd=folder)
    return made


def install_logql(manifest: Path, folder: Path) -> Path:
    made = folder / "build"
    made.mkdir()
    shutil.copyfile(manifest, made / "package.json")
    run("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", cwd=made)
    return made


class Tool(NamedTuple):
    name: str
    needs: str
    manifest: Path
    build: Callable[[Path, Path], Path]  # in an empty folder; gives what is to be kept


TOOLS = {
    "collector": Tool("otelcol", "go", HERE / "builder.yaml", build_collector),
    "victorialogs": Tool("victorialogs", "go", HERE / "victorialogs.mod", build_victorialogs),
    "logql": Tool("logql", "npm", HERE / "logql.json", install_logql),
}


def main(name: str) -> None:
    tool = TOOLS[name]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jwt-audit"
    kept = cache / f"{tool.name}-{hashlib.sha256(tool.manifest.read_bytes()).hexdigest()[:16]}"
    if not kept.exists():
        if shutil.which(tool.needs) is None:
            sys.exit(f"{tool.needs} not found: {tool.name} is built with it")
        cache.mkdir(parents=True, exist_ok=True)
        with open(cache / f"{tool.name}.lock", "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():  # nobody has built it while we waited
                print(f"Building {tool.name}, once; this takes a while …", file=sys.stderr, flush=True)
                with tempfile.TemporaryDirectory(prefix=f".{tool.name}-", dir=cache) as folder:
                    os.rename(tool.build(tool.manifest, Path(folder)), kept)
    print(kept)


def run(*command: str, cwd: Path) -> None:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}\n{command[0]} {command[1]} failed.")


main(*sys.argv[1:])
