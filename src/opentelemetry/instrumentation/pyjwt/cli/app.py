"""The commands of ``jwt-audit``."""

from __future__ import annotations

from typing import Final

import typer

from opentelemetry.instrumentation.pyjwt.cli import compact, decrypt, forward, review, seal, trail, verify

app: Final = typer.Typer(
    name="jwt-audit",
    help="Looks into the audit trail of JSON Web Tokens.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("verify")(verify.command)
app.command("trail")(trail.command)
app.command("review")(review.command)
app.command("compact")(compact.command)
app.command("forward")(forward.command)
app.command("seal")(seal.command)
app.command("decrypt")(decrypt.command)


@app.callback()
def _commands() -> None:
    """Makes names of commands necessary, however few there are."""
