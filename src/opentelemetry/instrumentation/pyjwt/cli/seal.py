"""``jwt-audit seal``: encrypt what is closed of a journal, as its processes do by themselves when they are told to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from opentelemetry.instrumentation.pyjwt.cli.terminal import fail, failing
from opentelemetry.instrumentation.pyjwt.journal.sealing import Sealer


def command(
    path: Annotated[Path, typer.Argument(help="The journal's directory, or one of segments that were set apart.")],
    recipient: Annotated[
        list[str],
        typer.Option(help="A public key: age1…, or that of an SSH key; may be repeated.", metavar="KEY"),
    ],
    undelivered: Annotated[
        bool, typer.Option("--undelivered", help="Seal also what has not been delivered: it never will be then.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Encrypt a journal's segments that are closed and delivered.

    Exit code: 0, or 2 where it cannot be done.
    """
    with failing():
        try:
            sealed = Sealer(recipient, undelivered=undelivered).round(path)
        except (ValueError, OSError) as error:
            fail(str(error))
    typer.echo(json.dumps({"sealed": sealed}) if as_json else f"{sealed} sealed")
