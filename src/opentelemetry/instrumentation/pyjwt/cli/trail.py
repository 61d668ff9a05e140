"""``jwt-audit trail``: one token's, subject's or client's story."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.cli.terminal import (
    Identity,
    fail,
    failing,
    files_in,
    moment,
    progress,
    quoted,
    safe,
)
from opentelemetry.instrumentation.pyjwt.journal.trail import By, Entry, Story, tell

#: Events beyond which there are lines, which need no room in memory, in place of a table.
TABLE: Final = 1_000

_STYLES: Final = {
    semconv.ISSUED: "cyan",
    semconv.REFRESHED: "cyan",
    semconv.REVOKED: "magenta",
    semconv.VALIDATED: "green",
    semconv.DENIED: "bold yellow",
    semconv.REJECTED: "bold red",
    semconv.UNVERIFIED: "bold magenta",
}


def command(
    paths: Annotated[list[Path], typer.Argument(help="Journals, segments, or files that a Collector has written.")],
    jti: Annotated[str | None, typer.Option(help="A token, by its jti or its fingerprint.", metavar="ID")] = None,
    sub: Annotated[str | None, typer.Option(help="A subject, as the trail names it.", metavar="SUBJECT")] = None,
    client: Annotated[str | None, typer.Option(help="A client, by its client_id or address.", metavar="CLIENT")] = None,
    issuer: Annotated[str | None, typer.Option(help="Only tokens of this issuer.", metavar="ISSUER")] = None,
    identity: Identity = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the story as JSON.")] = False,
) -> None:
    """Tell what happened with one token and its lineage, of one subject, or by one client, in order.

    Exit code: 0, or 2 for usage or unreadable input.
    """
    wanted = [(by, value) for by, value in ((By.JTI, jti), (By.SUB, sub), (By.CLIENT, client)) if value is not None]
    if len(wanted) != 1:
        fail("trail needs one of --jti, --sub and --client")
    ((by, value),) = wanted
    with failing():
        files = files_in(paths, identity)
        with progress(files.size * (2 if by is By.JTI else 1), "Reading") as advance:
            story = tell(files, by, value, issuer, advance)
    with closing(story):
        _print(story, as_json)


def _print(story: Story, as_json: bool) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    if as_json:
        for piece in _json(story):
            typer.echo(piece, nl=False)
    elif console.is_terminal and 0 < len(story) <= TABLE:
        console.print(_table(story))
    else:
        for entry in story:
            typer.echo(_line(entry))
        for parent, child in story.lineage():
            typer.echo(f"lineage parent={quoted(parent)} child={quoted(child)}")
    if not story:
        typer.echo("Nothing is told of it.", err=True)
    if story.unreadable:
        typer.echo(f"{story.unreadable:,} lines are no records: see jwt-audit verify.", err=True)


def _json(story: Story) -> Iterator[str]:
    """One object, piece by piece."""
    lineage = [{"parent": parent, "child": child} for parent, child in story.lineage()]
    yield f'{{"lineage": {json.dumps(lineage)}, "events": ['
    for index, entry in enumerate(story):
        told = {
            "time": moment(entry.time_unix_nano),
            "event": entry.event,
            "relation": entry.relation,
            "stream_id": entry.stream_id,
            "sequence": entry.number,
            "attributes": entry.attributes,
        }
        yield f"{',' * (index > 0)}\n{json.dumps(told)}"
    yield "]}\n"


def _table(story: Story) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for heading in ("time", "who", "token", "lineage", "what", "verdict", "why", "status", "from"):
        table.add_column(heading, overflow="fold")
    for entry in story:
        style = _STYLES.get(entry.event, "")
        cells = (
            moment(entry.time_unix_nano),
            _who(entry),
            entry.token() or "",
            _lineage(entry),
            _what(entry),
            Text(entry.event.removeprefix("jwt."), style),
            _why(entry),
            entry.attributes.get(semconv.HTTP_STATUS, ""),
            _from(entry),
        )
        # Texts, since a claim may hold what would be markup in a string.
        table.add_row(*(cell if isinstance(cell, Text) else Text(safe(cell)) for cell in cells))
    return table


def _line(entry: Entry) -> str:
    """The same as ``name=value``; values with anything but plain characters are quoted, so that none forges another."""
    get = entry.attributes.get
    told = {
        "who": _who(entry),
        "token": entry.token(),
        "lineage": _lineage(entry),
        "what": _what(entry),
        "why": _why(entry),
        "granted": _words(get(semconv.SCOPE_GRANTED)),
        "status": get(semconv.HTTP_STATUS),
        "from": _from(entry),
    }
    shown = " ".join(f"{name}={quoted(value)}" for name, value in told.items() if value not in (None, ""))
    return f"{moment(entry.time_unix_nano)} {entry.event} {shown}"


def _who(entry: Entry) -> str:
    get = entry.attributes.get
    known = get(semconv.USER_ID) or get(semconv.USER_HASH)
    who = str(known or get(semconv.SUB) or "")
    # Nobody's signature covers what an unverified token says: it is told as what it is.
    if who and get(semconv.VERIFIED) is False:
        who = f"unverified: {who}"
    actor = get(semconv.ACTOR_ID)
    if actor and entry.event == semconv.REVOKED and actor != who:
        who = f"{actor} for {who}" if who else str(actor)
    return f"{get(semconv.ACT_SUB)} for {who}" if get(semconv.ACT_SUB) else who


def _lineage(entry: Entry) -> str:
    parent = entry.attributes.get(semconv.PARENT_JTI)
    return f"from {parent}" if parent else entry.relation or ""


def _what(entry: Entry) -> str:
    get = entry.attributes.get
    route = " ".join(str(part) for part in (get(semconv.HTTP_METHOD), get(semconv.HTTP_ROUTE)) if part)
    return str(get(semconv.ACTION) or route)


def _why(entry: Entry) -> str:
    get = entry.attributes.get
    if get(semconv.SCOPE_MISSING):
        return f"lacks {_words(get(semconv.SCOPE_MISSING))}"
    reason = get(semconv.REASON) or get(semconv.REVOCATION_REASON)
    required = _words(get(semconv.SCOPE_REQUIRED))
    return str(reason) if reason else f"needs {required}" if required else ""


def _from(entry: Entry) -> str:
    get = entry.attributes.get
    return " ".join(str(part) for part in (get(semconv.CLIENT_ADDRESS), get(semconv.CLIENT_ID)) if part)


def _words(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value or "")
