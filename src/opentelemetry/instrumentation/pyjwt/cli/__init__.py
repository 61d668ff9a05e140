"""The ``jwt-audit`` command: parsing and printing only."""

from __future__ import annotations

import sys
from typing import TextIO


def main() -> None:
    """Run the command, or say what is missing for it."""
    for stream in (sys.stdout, sys.stderr):
        _never_fail(stream)
    try:
        from opentelemetry.instrumentation.pyjwt.cli.app import app
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("opentelemetry.instrumentation.pyjwt"):
            raise
        sys.stderr.write(f"jwt-audit: {needs(error, 'cli')}\n")
        sys.exit(2)
    app()


def needs(error: ModuleNotFoundError, extra: str) -> str:
    """What to install, in words."""
    return f'{error.name} is not installed: pip install "opentelemetry-instrumentation-pyjwt[{extra}]"'


def _never_fail(stream: TextIO) -> None:
    """Let what a terminal's encoding has no character for be escaped."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
