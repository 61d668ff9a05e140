"""The ``jwt-audit`` command: parsing and printing only."""

from __future__ import annotations

import typer

from opentelemetry.instrumentation.pyjwt.cli.forward import forward

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def jwt_audit() -> None:
    """What became of every JSON Web Token."""


app.command()(forward)
