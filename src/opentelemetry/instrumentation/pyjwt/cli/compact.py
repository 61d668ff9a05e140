"""``jwt-audit compact``: archives of the trail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from opentelemetry.instrumentation.pyjwt.cli.terminal import Identity, fail, failing, identities_in, progress, safe
from opentelemetry.instrumentation.pyjwt.review.columns import attributes_of
from opentelemetry.instrumentation.pyjwt.review.compact import compact
from opentelemetry.instrumentation.pyjwt.review.rules import DEFAULTS, load
from opentelemetry.instrumentation.pyjwt.review.sources import find


def command(
    paths: Annotated[list[Path], typer.Argument(help="Journals, segments, or files that a Collector has written.")],
    output: Annotated[Path, typer.Option(help="The folder of the archives.", metavar="DIR")],
    identity: Identity = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Write closed segments, and files of a Collector, to archives in Parquet, in a folder for each day.

    What they are made of is left alone. Exit code: 0, or 2 for usage or unreadable input.
    """
    with failing("review"):
        sources = find(paths, identities_in(identity))
        with progress(sources.size, "Compacting") as advance:
            try:
                done = compact(sources, output, attributes_of(load(DEFAULTS)), advance)
            except OSError as error:
                fail(f"{safe(output)} cannot be written to: {error.strerror}")
    outcome = {"files": done.files, "records": done.records, "skipped": done.skipped, "open": done.open}
    typer.echo(json.dumps(outcome) if as_json else ", ".join(f"{count:,} {name}" for name, count in outcome.items()))
