"""``jwt-audit decrypt``: what is in sealed segments."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from opentelemetry.instrumentation.pyjwt.cli.terminal import FOUND, fail, failing, safe
from opentelemetry.instrumentation.pyjwt.journal.files import DamagedError, UnreadableError, find, is_sealed
from opentelemetry.instrumentation.pyjwt.journal.unsealing import Identities


def command(
    paths: Annotated[list[Path], typer.Argument(help="Sealed segments, or journals with some.")],
    identity: Annotated[
        list[Path],
        typer.Option(help="An identity file of age, or an SSH private key; may be repeated.", metavar="FILE"),
    ],
    output: Annotated[
        Path | None, typer.Option(help="Where to put the segments; without it they are printed.", metavar="DIR")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON what was written to --output.")] = False,
) -> None:
    """Decrypt sealed segments.

    Exit code: 0, 1 where a segment is damaged (all others are decrypted), 2 for usage or unreadable input.
    """
    if as_json and output is None:
        fail("--json needs --output: without it, the records are printed")
    written: list[str] = []
    damaged = False
    with failing():
        identities = Identities.load(identity)
        sealed = [path for path in find(paths, identities).paths if is_sealed(path)]
        if not sealed:
            raise UnreadableError(f"nothing is sealed in {', '.join(map(str, paths))}")
        for path in sealed:
            try:
                if output is None:
                    identities.unseal(path, sys.stdout.buffer)
                else:
                    written.append(str(_write(identities, path, output)))
            except DamagedError as error:
                damaged = True
                typer.echo(f"jwt-audit: {safe(error)}", err=True)
            except BrokenPipeError:  # nobody reads on
                raise
            except OSError as error:
                raise UnreadableError(f"{error.filename or 'standard output'}: {error.strerror}") from error
    if output is not None:
        typer.echo(json.dumps({"decrypted": written}) if as_json else "\n".join(map(safe, written)))
    if damaged:
        raise typer.Exit(FOUND)


def _write(identities: Identities, sealed: Path, folder: Path) -> Path:
    """The segment in the folder, whole or not at all, for its owner alone."""
    target = folder / sealed.stem
    temporary = target.with_name(f"{target.name}.tmp")
    if target.exists():
        raise UnreadableError(f"{target} is there already")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with open(temporary, "wb", opener=lambda path, flags: os.open(path, flags | os.O_NOFOLLOW, 0o600)) as plain:
                identities.unseal(sealed, plain)
            return temporary.rename(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UnreadableError(f"{error.filename or target}: {error.strerror}") from error
