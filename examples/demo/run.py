"""The demo: a service that knows nothing of telemetry, some traffic, and the audit trail of its tokens.

    python examples/demo/run.py [--journal DIR] [--svg FILE]

It needs no Collector, no backend and no network. It ends with 0 if the trail says of every token what the
clients know to be true, if its integrity can be proved, and if no token, signature, password or key has left the
service.
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

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from findings import found, shown
from picture import draw
from process import COMMAND, ServiceFailed, running_service
from proof import verify, whitewash
from rich.console import Console
from rich.padding import Padding
from rich.text import Text
from span_receiver import SpanReceiver
from traffic import CLIENTS, Expected, Traffic, UnexpectedAnswer, play
from trail import Event, read
from view import facts_of, table

WIDTH = 120
RIGHT, WRONG = ("✓ ", "bold green"), ("✗ ", "bold red")


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # stops the service on the way out
    console = _console(for_picture=options.svg is not None)
    folder = Path(tempfile.mkdtemp(prefix="jwt-audit-demo-"))
    journal = options.journal or folder / "journal"
    proxied = options.proxied or not _has_addresses(CLIENTS)
    key, password = _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)), secrets.token_urlsafe(32)
    checkpoint_key, public_key = _checkpoint_keys(folder)
    settings = {
        "SHOP_SIGNING_KEY": key,
        "SHOP_PASSWORD": password,
        "OTEL_PYTHON_PYJWT_JOURNAL": str(journal),
        "OTEL_PYTHON_PYJWT_JOURNAL_SIGNING_KEY": str(checkpoint_key),
        "OTEL_PYTHON_PYJWT_TRUSTED_PROXIES": "127.0.0.1" if proxied else "",
    }

    console.print("A FastAPI service without a line of telemetry in it is started:")
    console.print(Text.assemble(("  $ ", "dim"), (" ".join(COMMAND), "bold")))
    try:
        with (
            SpanReceiver() as receiver,
            running_service(receiver.endpoint, settings) as service,
        ):
            console.print(f"{len(CLIENTS)} clients call it at {service.url}. The trail of its tokens:\n")
            traffic = Traffic(service.url, password, proxied=proxied)
            play(traffic)
    except (ServiceFailed, UnexpectedAnswer) as error:
        console.print(Text.assemble(WRONG, str(error)))
        return 1

    events = read(journal)
    _show(console, events, journal, receiver.spans)
    as_expected = _compare(console, traffic.expected, events)
    named = _names(console, traffic.findings, found(journal))
    proved = _prove(console, journal, public_key, folder / "whitewashed")
    written = {
        "the journal": "".join(path.read_text() for path in journal.iterdir()),
        "the spans": json.dumps(receiver.spans),
        "the service's output": service.output,
        "what you see here": "".join(console.export_text(clear=False).split()),  # lines may be broken anywhere
    }
    private = [*key.splitlines(), *checkpoint_key.read_text().splitlines()]
    kept = _keeps(console, [*traffic.tokens, password, *private], written)
    _show_what_next(console, journal, public_key, events)
    if options.svg:
        draw(console, options.svg, "make demo")
    return 0 if as_expected and named and proved and kept else 1


# --- what is shown ------------------------------------------------------------------------------------------


def _show(console: Console, events: list[Event], journal: Path, spans: list[dict[str, object]]) -> None:
    console.print(table(events, narrow=console.width < 110))
    console.print(Text.assemble("\nWhat stands out:\n", ("  $ ", "dim"), ("jwt-audit review", "bold"), "\n"))
    console.print(Text.from_ansi(shown(journal, console.width)))
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


def _show_what_next(console: Console, journal: Path, public_key: Path, events: list[Event]) -> None:
    jti = next(event.attributes["jwt.jti"] for event in events if event.verdict == "refreshed")
    place = shlex.quote(str(journal))
    console.print(Text("\nThe journal is there to be looked at; each line is a whole OTLP export request:"))
    for look in (
        f"jwt-audit trail {place} --jti {jti}",
        f"jwt-audit review {place}",
        f"jwt-audit verify {place} --public-key {shlex.quote(str(public_key))}",
        f"grep -h jwt.denied {place}/*.jsonl | python3 -m json.tool --json-lines",
    ):
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


def _prove(console: Console, journal: Path, public_key: Path, copy: Path) -> bool:
    """Whether the journal is intact, and a copy in which somebody has changed a word is not."""
    ours = verify(journal, public_key)
    console.print(Text.assemble(RIGHT if ours.intact else WRONG, f"jwt-audit verify: {ours.text}"))
    changed = whitewash(journal, copy)
    theirs = verify(copy, public_key)
    console.print(Text.assemble(WRONG if theirs.intact else RIGHT, f"With {changed} changed in a copy: {theirs.text}"))
    return ours.intact and not theirs.intact


def _names(console: Console, expected: dict[str, str], seen: dict[str, str]) -> bool:
    """Whether the review names each attack, and nobody else."""
    if seen == expected:
        console.print(Text.assemble(RIGHT, "The review names each attack, and no honest client."))
        return True
    for rule in sorted(expected.keys() | seen.keys()):
        if expected.get(rule) != seen.get(rule):
            what = f"The review: {rule} names {seen.get(rule, 'nobody')}, not {expected.get(rule, 'nobody')}."
            console.print(Text.assemble(WRONG, what))
    return False


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
    parser.add_argument("--journal", type=Path, metavar="DIR", help="keep it there, not in a temporary folder")
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


def _checkpoint_keys(folder: Path) -> tuple[Path, Path]:
    """Files of a new key that signs the journal's checkpoints, and of its public half."""
    key = ed25519.Ed25519PrivateKey.generate()
    private, public = folder / "audit.pem", folder / "audit.pub"
    private.touch(mode=0o600)
    private.write_text(_pem(key))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def _pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


if __name__ == "__main__":
    sys.exit(main())
