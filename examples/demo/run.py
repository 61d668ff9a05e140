"""The demo: a service that knows nothing of telemetry, some traffic, and the audit trail of its tokens.

    python examples/demo/run.py [--events FILE] [--svg FILE]

It needs no Collector, no backend and no network. It ends with 0 if the trail says of every token what the
clients know to be true, and if no token, signature, password or key has left the service.
"""

from __future__ import annotations

import argparse
import json
import secrets
import shlex
import signal
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from findings import findings
from otlp_file import Receiver
from picture import draw
from process import COMMAND, ServiceFailed, running_service
from rich.console import Console
from rich.padding import Padding
from rich.text import Text
from traffic import CLIENTS, Expected, Traffic, UnexpectedAnswer, play
from trail import Event, read
from view import facts_of, list_of, table

WIDTH = 120
RIGHT, WRONG = ("✓ ", "bold green"), ("✗ ", "bold red")


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # stops the service on the way out
    console = _console(for_picture=options.svg is not None)
    path = options.events or Path(tempfile.mkdtemp(prefix="jwt-audit-demo-")) / "events.jsonl"
    proxied = options.proxied or not _has_addresses(CLIENTS)
    key, password = _signing_key(), secrets.token_urlsafe(32)
    settings = {"SHOP_SIGNING_KEY": key, "SHOP_PASSWORD": password}
    proxies = "127.0.0.1" if proxied else ""

    console.print("A FastAPI service without a line of telemetry in it is started:")
    console.print(Text.assemble(("  $ ", "dim"), (" ".join(COMMAND), "bold")))
    try:
        with (
            Receiver(path) as receiver,
            running_service(receiver.endpoint, settings, trusted_proxies=proxies) as service,
        ):
            console.print(f"{len(CLIENTS)} clients call it at {service.url}. The trail of its tokens:\n")
            traffic = Traffic(service.url, password, proxied=proxied)
            play(traffic)
    except (ServiceFailed, UnexpectedAnswer) as error:
        console.print(Text.assemble(WRONG, str(error)))
        return 1

    events = read(path)
    _show(console, events, receiver.spans)
    as_expected = _compare(console, traffic.expected, events)
    written = {
        "the events": path.read_text(),
        "the spans": json.dumps(receiver.spans),
        "the service's output": service.output,
        "what you see here": "".join(console.export_text(clear=False).split()),  # lines may be broken anywhere
    }
    kept = _keeps(console, [*traffic.tokens, password, *key.splitlines()], written)
    _show_file(console, path)
    if options.svg:
        draw(console, options.svg, "make demo")
    return 0 if as_expected and kept else 1


# --- what is shown ------------------------------------------------------------------------------------------


def _show(console: Console, events: list[Event], spans: list[dict[str, object]]) -> None:
    console.print(table(events, narrow=console.width < 110))
    console.print(Text("\nWhat stands out", "bold"))
    console.print(list_of(findings(events)))
    by_id = {span["spanId"]: span for span in spans}
    for event in reversed(events):
        if event.verdict == "validated" and event.span_id in by_id:
            span = by_id[event.span_id]
            console.print(
                Text(f"\nThe same on each request's SERVER span, here on that of the last valid {span['name']}", "bold")
            )
            console.print(Padding(facts_of(span), (0, 0, 0, 2)))
            break
    console.print()


def _show_file(console: Console, path: Path) -> None:
    shown = shlex.quote(str(path))
    console.print(Text(f"\nThe events are in {shown}, OTLP JSON lines as any OTLP tool reads them:"), soft_wrap=True)
    look = f"grep jwt.denied {shown} | python3 -m json.tool --json-lines"
    console.print(Text.assemble(("  $ ", "dim"), (look, "bold")), soft_wrap=True)


# --- what must hold -----------------------------------------------------------------------------------------


def _compare(console: Console, expected: list[Expected], events: list[Event]) -> bool:
    """Whether the trail holds each expected verdict as often as expected, and no other."""
    wanted = Counter(expected)
    seen = Counter(
        Expected(
            event.body.removeprefix("jwt."),
            event.attributes.get("user.id"),
            event.client,
            event.action,
            event.attributes.get("http.response.status_code", 0),
        )
        for event in events
    )
    for word, difference in (("Missing", wanted - seen), ("Not expected", seen - wanted)):
        for verdict, user, client, action, status in difference.elements():
            what = f"{word}: {verdict}, {action} by {user or 'nobody known'} from {client}, status {status}"
            console.print(Text.assemble(WRONG, what))
    if wanted == seen:
        console.print(Text.assemble(RIGHT, f"All {len(expected)} verdicts the clients expect are there, and no other."))
    return wanted == seen


def _keeps(console: Console, confidential: Iterable[str], written: Mapping[str, str]) -> bool:
    """Whether nothing confidential, nor a part of it, is in anything that was written."""
    # Header, payload and signature each; what is shorter than a UUID proves nothing.
    parts = {part for text in confidential for part in (text, *text.split(".")) if len(part) > 36}
    leaks = [place for place, text in written.items() if any(part in text for part in parts)]
    for place in leaks:
        console.print(Text.assemble(WRONG, f"A token, signature, password or key is in {place}."))
    if not leaks:
        *places, last = written
        console.print(
            Text.assemble(RIGHT, f"No token, signature, password or key is in {', '.join(places)} or {last}.")
        )
    return not leaks


# --- parts --------------------------------------------------------------------------------------------------


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=Path, metavar="FILE", help="write the events there, not to a temporary folder")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw what is printed")
    parser.add_argument(
        "--proxied",
        action="store_true",
        help="tell clients apart by X-Forwarded-For, as is done where loopback has but one address (macOS)",
    )
    return parser.parse_args()


def _console(*, for_picture: bool) -> Console:
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # the locale may be ASCII
    console = Console(highlight=False, record=True)
    console.width = WIDTH if for_picture or not console.is_terminal else min(console.width, WIDTH)
    return console


def _has_addresses(addresses: Iterable[str]) -> bool:
    """Whether this machine can call from these addresses."""
    for address in addresses:
        with socket.socket() as probe:
            try:
                probe.bind((address, 0))
            except OSError:
                return False
    return True


def _signing_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


if __name__ == "__main__":
    sys.exit(main())
