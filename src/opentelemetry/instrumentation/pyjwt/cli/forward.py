"""``jwt-audit forward``: deliver a journal, or what dead processes left of it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from opentelemetry.instrumentation.pyjwt.config import Settings
from opentelemetry.instrumentation.pyjwt.journal import segments
from opentelemetry.instrumentation.pyjwt.journal.destination import Destination
from opentelemetry.instrumentation.pyjwt.journal.forwarder import Forwarder


def command(
    path: Annotated[Path, typer.Argument(help="The journal's directory.")],
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what is written, until interrupted.")] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to try; not with --follow.")] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Deliver a journal over OTLP.

    It goes to OTEL_PYTHON_PYJWT_JOURNAL_ENDPOINT, or where OpenTelemetry's variables say. Exit status: 0 all is
    delivered, 1 records are left or were refused, 2 it cannot be done.
    """
    settings = Settings.load()
    try:
        pending = segments.pending(path)
        destination = Destination.load(settings.journal_endpoint, settings.journal_protocol)
        with _progress(pending) as progress, closing(Forwarder(path, destination, progress=progress)) as forwarder:
            _deliver(forwarder, path, float("inf") if follow else time.monotonic() + timeout, follow)
        pending = segments.pending(path)
    except (OSError, ValueError) as error:
        typer.echo(f"jwt-audit forward: {error}", err=True)
        raise typer.Exit(2) from None
    outcome = {
        "delivered": forwarder.delivered,
        "refused": forwarder.refused,
        "torn": forwarder.torn,
        "pending": pending,
    }
    typer.echo(json.dumps(outcome) if as_json else ", ".join(f"{count} {name}" for name, count in outcome.items()))
    raise typer.Exit(1 if pending or forwarder.refused else 0)


def _deliver(forwarder: Forwarder, path: Path, deadline: float, follow: bool) -> None:
    """Until nothing is left, unless it is to follow; or until the deadline, or an interrupt from the keyboard."""
    try:
        while True:
            last = not (follow or segments.pending(path))  # a round is due even so: others may just have delivered it
            wait = forwarder.turn(deadline)
            left = deadline - time.monotonic()
            if last or left <= 0:
                return
            if follow or segments.pending(path):
                time.sleep(min(wait, left))
    except KeyboardInterrupt:
        return


@contextmanager
def _progress(pending: int) -> Iterator[Callable[[int], None]]:
    """Shows how many records are delivered: on a terminal, and nowhere else."""
    if not sys.stderr.isatty():
        yield lambda records: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("Forwarding"), BarColumn(), MofNCompleteColumn(), TextColumn("records"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=pending)
        yield lambda records: progress.advance(task, records)
