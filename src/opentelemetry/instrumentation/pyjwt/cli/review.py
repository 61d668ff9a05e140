"""``jwt-audit review``: who misuses tokens?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated, Final

import typer
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from opentelemetry.instrumentation.pyjwt.cli.terminal import (
    FOUND,
    Identity,
    fail,
    failing,
    identities_in,
    moment,
    progress,
    quoted,
    safe,
)
from opentelemetry.instrumentation.pyjwt.review.database import MEMORY
from opentelemetry.instrumentation.pyjwt.review.documents import RuleError
from opentelemetry.instrumentation.pyjwt.review.findings import Finding, Review, review
from opentelemetry.instrumentation.pyjwt.review.model import LEVELS
from opentelemetry.instrumentation.pyjwt.review.rules import DEFAULTS, load
from opentelemetry.instrumentation.pyjwt.review.sources import find

#: Findings beyond which a terminal is not filled with a table.
TABLE: Final = 200

_CHOICES: Final = ", ".join((*LEVELS, "never"))
_STYLES: Final = {"critical": "bold magenta", "high": "bold red", "medium": "yellow"}
_AGO: Final = re.compile(r"([0-9]{1,6})([smhd])")
_SIZE: Final = re.compile(r"[1-9][0-9]{0,5}[MG]iB")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


def command(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Journals, segments, files of a Collector, archives; folders or patterns of them."),
    ],
    since: Annotated[
        str | None,
        typer.Option(help="Only what happened since: a time (RFC 3339), or how long ago: 24h, 7d.", metavar="TIME"),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(help="Compare subjects with their own past, so long before --since: 14d.", metavar="SPAN"),
    ] = None,
    rules: Annotated[
        list[Path] | None,
        typer.Option(
            help="Rules in Sigma, beside ours, or in the place of ours of the same name; may be repeated.",
            metavar="DIR",
        ),
    ] = None,
    identity: Identity = None,
    fail_on: Annotated[
        str, typer.Option(help=f"From this level on a finding gives exit code 1: {_CHOICES}.", metavar="LEVEL")
    ] = "high",
    memory: Annotated[str, typer.Option(help="What DuckDB may take of memory.", metavar="SIZE")] = MEMORY,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Find misuse of tokens: stolen, forged, revoked ones, and what services let pass.

    Exit code: 0, 1 there is a finding of the level of --fail-on or above, 2 usage or unreadable input.
    """
    level = next((one for one in LEVELS if one == fail_on), None)
    if level is None and fail_on not in ("never", "none"):
        fail(f"--fail-on {fail_on} is none of {_CHOICES}")
    if not _SIZE.fullmatch(memory):
        fail(f"--memory {memory} is no size, as in 512MiB or 4GiB")
    start = _nanoseconds(since) if since is not None else 0
    past = _past(baseline, start) if baseline is not None else 0
    with failing("review"), ExitStack() as opened:
        try:
            known = load(DEFAULTS, *rules or ())
        except RuleError as error:
            fail(str(error))
        sources = find(paths, identities_in(identity))
        asked = sources.size // 5  # as much of the time as reading takes of the rest
        with progress(sources.size + asked, "Reviewing") as advance:
            done = review(
                sources,
                known,
                since=start,
                past=past,
                memory=memory,
                reading=lambda part: advance(round(part * sources.size)),
                asking=lambda rule: advance(asked // len(known)),
            )
            found = opened.enter_context(done)
        _print(found, as_json)
        failed = level is not None and found.reaches(level)
    if failed:
        raise typer.Exit(FOUND)


def _nanoseconds(text: str) -> int:
    """The time that is meant, since the epoch."""
    if ago := _AGO.fullmatch(text):
        time = datetime.now(timezone.utc) - _span(ago)
    else:
        try:
            time = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            fail(f"--since {text} is neither a time, as in 2026-03-01T08:00:00Z, nor a time span, as in 24h or 7d")
        if time.tzinfo is None:
            time = time.replace(tzinfo=timezone.utc)
    return max((time - _EPOCH) // timedelta(microseconds=1) * 1000, 0)


def _past(text: str, start: int) -> int:
    span = _AGO.fullmatch(text)
    if span is None or not _span(span):
        fail(f"--baseline {text} is no time span, as in 14d")
    if not start:
        fail("--baseline needs --since: what happened since then is compared with the time before")
    return _span(span) // timedelta(microseconds=1) * 1000


def _span(match: re.Match[str]) -> timedelta:
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


# --- What is printed ----------------------------------------------------------------------------------------


def _print(found: Review, as_json: bool) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    if as_json:
        for piece in _json(found):
            typer.echo(piece, nl=False)
    elif console.is_terminal and 0 < len(found) <= TABLE:
        _show(console, list(found))
    else:
        for finding in found:
            typer.echo(_line(finding))
    findings = len(found)
    typer.echo(f"{findings:,} finding{'s' * (findings != 1)} in {found.events:,} events", err=True)
    if found.skipped:
        typer.echo(f"{found.skipped:,} lines hold no log record and were skipped: see jwt-audit verify", err=True)


def _json(found: Review) -> Iterator[str]:
    """One object, piece by piece."""
    yield f'{{"events": {found.events}, "skipped": {found.skipped}, "findings": ['
    for index, finding in enumerate(found):
        told = {
            "rule": finding.rule.name,
            "level": finding.level,
            "key": finding.key,
            "count": finding.count,
            "first": moment(finding.first),
            "last": moment(finding.last),
            "sample": finding.sample,
        }
        if finding.why is not None:
            told["why"] = finding.why
        yield f"{',' * (index > 0)}\n{json.dumps(told)}"
    yield "]}\n"


def _show(console: Console, findings: list[Finding]) -> None:
    """A table, and what to do about each kind."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for heading in ("level", "rule", "of", "count", "first", "last"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        table.add_row(
            Text(finding.level, _STYLES.get(finding.level, "")),
            Text(finding.rule.name),
            Text(
                "\n".join([*(f"{safe(name)} {_shown(value)}" for name, value in finding.key.items()), *_why(finding)])
            ),
            Text(f"{finding.count:,}"),
            *(Text(_second(time)) for time in (finding.first, finding.last)),
        )
    console.print(table)
    for rule in dict.fromkeys(finding.rule for finding in findings):
        console.print(Text.assemble("\n", (safe(rule.name), "bold"), f": {safe(rule.title)}"))
        console.print(Padding(Text(safe(rule.response)), (0, 0, 0, 2)))


def _line(finding: Finding) -> str:
    """The same as ``name=value``."""
    key = " ".join(f"{safe(name)}={_shown(value)}" for name, value in finding.key.items())
    sample = ",".join(finding.sample)
    why = "".join(f" why={quoted(one)}" for one in _why(finding))
    return (
        f"{finding.level} {safe(finding.rule.name)} {key} count={finding.count} first={moment(finding.first)} "
        f"last={moment(finding.last)} sample={quoted(sample)}{why}"
    )


def _second(unix_nano: int) -> str:
    """RFC 3339 without fractions, which a table has no room for."""
    return re.sub(r"\.[0-9]+", "", moment(unix_nano))


def _why(finding: Finding) -> list[str]:
    return [] if finding.why is None else [safe(finding.why)]


def _shown(value: str | None) -> str:
    return "(none)" if value is None else quoted(value)
