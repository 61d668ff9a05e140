"""What the demo prints: the trail as a table, and where the same facts are in the traces."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text
from trail import Event, attributes_of, duration, lacking, reason_of

STYLES = {
    "issued": "cyan",
    "refreshed": "cyan",
    "validated": "green",
    "denied": "bold yellow",
    "rejected": "bold red",
    "unverified": "bold magenta",
}


def table(events: Iterable[Event], *, narrow: bool) -> Table:
    """One row for each event; a narrow one has fewer columns and cuts the last."""
    headings = ["time", "who", "client", "token", "action", "verdict", "why", "status"]
    if narrow:
        headings = headings[1:-1]
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for heading in headings:
        # Where there is too little room, it is taken from the one column that may be broken.
        shown.add_column(heading, no_wrap=heading != "why", justify="right" if heading == "status" else "left")
    client = None
    for event in events:
        if client not in (None, event.client):
            shown.add_section()
        client = event.client
        style = STYLES[event.verdict]
        cells = {
            "time": Text(f"{event.time:%H:%M:%S}"),
            "who": _who(event, narrow),
            "client": Text(event.client),
            "token": Text(event.token or "—", "" if event.attributes["jwt.verified"] else "italic dim"),
            "action": Text(event.action),
            "verdict": Text(event.verdict, style),
            "why": _why(event, style),
            "status": Text(str(event.attributes.get("http.response.status_code", "")), style),
        }
        cells["why"].no_wrap = narrow  # cut rather than broken
        shown.add_row(*(cells[heading] for heading in headings))
    return shown


def _who(event: Event, narrow: bool) -> Text:
    if user := event.attributes.get("user.id"):
        return Text(user)
    claimed = event.attributes.get("jwt.sub")
    if claimed is None:
        return Text("—", "dim")
    return Text(f"{claimed}?" if narrow else f"unverified: {claimed}", "italic dim")


def _why(event: Event, style: str) -> Text:
    get = event.attributes.get
    if event.verdict == "issued":
        return Text(f"{get('jwt.token_use')} token for {duration(get('jwt.exp') - get('jwt.iat'))}", "dim")
    if event.verdict == "refreshed":
        return Text(f"{get('jwt.token_use')} token from {get('jwt.parent.jti')[:8]}", "dim")
    if event.verdict == "validated":
        return Text(" ".join(get("jwt.validation.checks", ())), "dim")
    if event.verdict == "denied":
        return Text(lacking(event), style)
    if event.verdict == "unverified":
        return Text("signature never checked", style)
    return Text(reason_of(event), style)


def facts_of(span: dict[str, Any]) -> Text:
    """What the span says of the token."""
    shown = Text()
    for name, value in attributes_of(span).items():
        if name.startswith(("jwt.", "user.")):
            text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
            shown.append(f"{name}=", "dim").append(f"{text}  ")
    return shown
