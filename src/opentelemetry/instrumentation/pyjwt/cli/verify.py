"""``jwt-audit verify``: is the trail intact?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from opentelemetry.instrumentation.pyjwt.cli.terminal import FOUND, Identity, failing, files_in, progress, safe
from opentelemetry.instrumentation.pyjwt.journal.checkpoints import Keys
from opentelemetry.instrumentation.pyjwt.journal.verify import Report, verify


def command(
    paths: Annotated[list[Path], typer.Argument(help="Journals, segments, or files that a Collector has written.")],
    public_key: Annotated[
        list[Path] | None,
        typer.Option(help="Ed25519 public key of checkpoints, PEM or JWKS; may be repeated.", metavar="FILE"),
    ] = None,
    checkpoints: Annotated[
        list[Path] | None,
        typer.Option(
            help="Checkpoints as the backend received them: OTLP JSON lines, or a token a line.", metavar="FILE"
        ),
    ] = None,
    identity: Identity = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Verify that no record was changed, removed, inserted or reordered.

    Exit code: 0 intact, 1 tampered with, 2 usage or unreadable input.
    """
    with failing():
        keys = Keys.load(public_key or ())
        files = files_in(paths, identity)
        with progress(files.size, "Verifying") as advance:
            report = verify(files, keys, checkpoints or (), advance)
    if as_json:
        typer.echo(json.dumps(report.as_json()))
    else:
        _show(report, keys)
    if not report.intact:
        raise typer.Exit(FOUND)


def _show(report: Report, keys: Keys) -> None:
    counts = [
        f"{count:,} {name}{'s' * (count != 1)}"
        for count, name in ((report.records, "record"), (report.streams, "stream"), (report.checkpoints, "checkpoint"))
    ]
    verdict = (
        "intact"
        if report.intact
        else f"TAMPERED WITH: {len(report.problems):,} problem" + "s" * (len(report.problems) != 1)
    )
    typer.echo(f"{verdict} ({', '.join(counts)})")
    for kind, stream_id, sequence, detail in report.problems:
        place = f"stream {stream_id or 'unknown'}, record {sequence or 'unknown'}"
        typer.echo(f"  {kind}: {safe(place)}: {safe(detail)}")
    if not keys:
        typer.echo("The chain alone was checked: without --public-key, signatures of checkpoints are not.", err=True)
    elif not report.checkpoints:
        typer.echo("There is no checkpoint with a signature to check: the chain alone was checked.", err=True)
    elif report.unsigned:
        count = f"{report.unsigned:,} record{'s' * (report.unsigned != 1)}"
        typer.echo(f"The chain alone was checked of {count} behind the last checkpoint.", err=True)
