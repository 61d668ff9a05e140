"""How long a review takes, and how much memory: all rules, over trails of growing size, in JSON lines and in Parquet.

Each row is a fresh process. For JSON lines it is set against one scan of the same files by DuckDB, with the same
columns and nothing done with them; the two take turns, and figures are medians. Of 100,000 events, the same rules
are asked by plain Python too and, given a Python that has pySigma's backend for SQLite, by that (whose findings are
rows, as it has neither the keys of single events nor the number that must come first in temporal ones).

    python benchmarks/review.py [--events N …] [--rounds N] [--folder DIR] [--pysigma PYTHON]
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from opentelemetry.instrumentation.pyjwt.review.columns import attributes_of
from opentelemetry.instrumentation.pyjwt.review.compact import compact
from opentelemetry.instrumentation.pyjwt.review.database import database
from opentelemetry.instrumentation.pyjwt.review.findings import review
from opentelemetry.instrumentation.pyjwt.review.loading import RECORD, plain, records_of
from opentelemetry.instrumentation.pyjwt.review.rules import load
from opentelemetry.instrumentation.pyjwt.review.sources import Sources

HERE = Path(__file__).parent
HEAD = f"{'':34}{'load':>9}{'rules':>9}{'all':>9}{'x scan':>9}{'memory':>12}{'findings':>10}"


# --- What a process of its own does -------------------------------------------------------------------------


def reviewed(paths: list[Path]) -> dict[str, float]:
    started = time.perf_counter()
    asked: list[float] = []
    sources = _sources(paths)
    with review(sources, load(), asking=lambda rule: asked.append(time.perf_counter())) as found:
        loaded, done = asked[0] - started, time.perf_counter() - started
        return {"load": loaded, "rules": done - loaded, "all": done, "found": len(found), "events": found.events}


def scanned(paths: list[Path]) -> dict[str, float]:
    started = time.perf_counter()
    with database() as opened:
        records = records_of(plain(opened, paths), RECORD, 16 * 1024 * 1024)
        ((events,),) = opened.rows(f"SELECT count(r) FROM ({records})")
    return {"all": time.perf_counter() - started, "events": events}


def compacted(paths: list[Path]) -> dict[str, float]:
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        done = compact(_sources(paths), Path(folder), attributes_of(load()), lambda size: None)
    return {"all": time.perf_counter() - started, "events": done.records}


def _sources(paths: list[Path]) -> Sources:
    archives = [path for path in paths if path.suffix == ".parquet"]
    return Sources([], [path for path in paths if path not in archives], archives)


JOBS = {"review": reviewed, "scan": scanned, "compact": compacted}


# --- The table ----------------------------------------------------------------------------------------------


def run(job: str, paths: list[Path], program: tuple[str, ...] = (sys.executable, __file__)) -> dict[str, Any]:
    """A job in a process of its own: what it tells, and the most memory it had, in MiB."""
    done = subprocess.run([*program, "--job", job, *map(str, paths)], check=True, stdout=subprocess.PIPE)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def middle(results: list[dict[str, Any]]) -> dict[str, float]:
    return {name: statistics.median(one[name] for one in results) for name in results[0]}


def row(name: str, told: dict[str, float], scan: float | None = None) -> None:
    times = "".join(f"{told[one]:8.2f}s" if one in told else f"{'':9}" for one in ("load", "rules", "all"))
    ratio = f"{told['all'] / scan:9.2f}" if scan else f"{'':9}"
    found = f"{told['found']:10.0f}" if "found" in told else ""
    print(f"{name:34}{times}{ratio}{told['memory']:8.0f} MiB{found}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=[100_000, 1_000_000], metavar="N")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where trails are made; 1 million events take 3.4 GB")
    parser.add_argument("--pysigma", metavar="PYTHON", help="a Python that has pysigma-backend-sqlite")
    options = parser.parse_args()
    for total in sorted(options.events):
        folder = Path(tempfile.mkdtemp(prefix="jwt-audit-bench-", dir=options.folder))
        try:
            lines, archives = _made(folder / "trail", total)
            print(f"\n{total:,} events, {sum(one.stat().st_size for one in lines) / 1e9:.2f} GB of JSON lines\n{HEAD}")
            pairs = [(run("scan", lines), run("review", lines)) for _ in range(options.rounds)]
            scan, whole = (middle(list(results)) for results in zip(*pairs, strict=True))
            assert scan["events"] == whole["events"] == total
            row("scan of JSON lines", scan)
            row("review of JSON lines", whole, scan["all"])
            row("review of Parquet", middle([run("review", archives) for _ in range(options.rounds)]))
            if total <= 1_000_000:
                row("compact", run("compact", lines))
            if total <= 100_000:
                peers = str(HERE / "review_peers.py")
                row("plain Python", run("python", lines, (sys.executable, peers)))
                if options.pysigma:
                    row("pySigma, SQLite", run("sqlite", lines, (options.pysigma, peers)))
        finally:
            shutil.rmtree(folder)


def _made(folder: Path, total: int) -> tuple[list[Path], list[Path]]:
    from review_events import make

    return make(folder, total, attributes_of(load()))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--job"]:
        told = JOBS[sys.argv[2]]([Path(one) for one in sys.argv[3:]])
        print(json.dumps({**told, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
    else:
        main()
