"""What commands share: safe texts, progress, and how they end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from opentelemetry.instrumentation.pyjwt.bounds import text
from opentelemetry.instrumentation.pyjwt.cli import needs
from opentelemetry.instrumentation.pyjwt.journal.files import Files, UnreadableError, find
from opentelemetry.instrumentation.pyjwt.journal.unsealing import Identities

FOUND = 1  #: exit code: something was found
UNREADABLE = 2  #: exit code: usage, or what was given cannot be read

#: An option of all that read a journal.
Identity = Annotated[
    list[Path] | None,
    typer.Option(
        help="Opens sealed segments: an identity file of age, or an SSH private key; may be repeated.", metavar="FILE"
    ),
]

_LONGEST = 4096
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


def safe(value: object) -> str:
    """Anything as text that no terminal takes for more than text."""
    return text(str(value), _LONGEST)


def quoted(value: object) -> str:
    """The value in ``name=value``; what has other than plain characters in quotes, so that none forges another."""
    shown = safe(value)
    if shown and not any(character in ' "=\\' for character in shown):
        return shown
    return json.dumps(shown, ensure_ascii=False)


def moment(unix_nano: int) -> str:
    """RFC 3339, in UTC."""
    try:
        time = _EPOCH + timedelta(microseconds=unix_nano // 1000)
    except OverflowError:
        return f"{unix_nano} ns"
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def fail(message: str) -> NoReturn:
    """End, since what was given is of no use."""
    typer.echo(f"jwt-audit: {safe(message)}", err=True)
    raise typer.Exit(UNREADABLE)


@contextmanager
def failing(extra: str = "cli") -> Iterator[None]:
    """Ends the command where something cannot be read, or is not installed that this extra has, in words."""
    try:
        yield
    except UnreadableError as error:
        fail(str(error))
    except FileNotFoundError as error:
        fail(f"{error.filename} is gone")
    except ModuleNotFoundError as error:
        fail(needs(error, {"pyrage": "journal", "duckdb": "review"}.get(error.name or "", extra)))


def identities_in(identity: list[Path] | None) -> Identities | None:
    """What opens sealed files, if any was named."""
    return Identities.load(identity) if identity else None


def files_in(paths: list[Path], identity: list[Path] | None) -> Files:
    """The files to read, and the identities that open what is sealed.

    Raises:
        UnreadableError: there are none, or they cannot be read.
        ModuleNotFoundError: what opens sealed files is not installed.
    """
    files = find(paths, identities_in(identity))
    if not files.paths:
        raise UnreadableError(f"neither a journal nor OTLP JSON lines in {', '.join(map(str, paths))}")
    return files


@contextmanager
def progress(total: int, doing: str) -> Iterator[Callable[[int], object]]:
    """A bar of bytes, on a terminal only; gives what advances it."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(doing, total=total)
        yield lambda size: bar.advance(task, size)
