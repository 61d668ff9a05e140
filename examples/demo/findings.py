"""What stands out in the trail: computed from the events alone, knowing nothing of who sent them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from trail import Event, lacking, reason_of


class Finding(NamedTuple):
    verdict: str  #: how bad, as the verdict of that colour
    text: str


def findings(events: list[Event]) -> list[Finding]:
    """What a person should look at, the worst first."""
    return [
        *_used_from_several_addresses(events),
        *_forged(events),
        *_read_without_verification(events),
        *_insufficient(events),
        *_refused(events),
    ]


def _groups(events: Iterable[Event], key: Callable[[Event], Any]) -> Iterator[tuple[Any, list[Event]]]:
    groups: dict[Any, list[Event]] = defaultdict(list)
    for event in events:
        groups[key(event)].append(event)
    yield from groups.items()


def _used_from_several_addresses(events: list[Event]) -> Iterator[Finding]:
    uses = [event for event in events if "jwt.validation.outcome" in event.attributes]
    verified = [event for event in uses if event.attributes["jwt.verified"] and "jwt.jti" in event.attributes]
    for _, used in _groups(verified, lambda event: (event.attributes.get("jwt.iss"), event.attributes["jwt.jti"])):
        addresses = sorted({event.client for event in used})
        if len(addresses) > 1:
            owner = used[0].attributes.get("user.id", "nobody known")
            places = f"{len(addresses)} addresses, {' and '.join(addresses)}"
            yield Finding("rejected", f"Token {used[0].token} of {owner} was used from {places}: stolen?")


def _forged(events: list[Event]) -> Iterator[Finding]:
    forged = [event for event in events if event.verdict == "rejected" and not event.attributes["jwt.verified"]]
    for client, tried in _groups(forged, lambda event: event.client):
        reasons = Counter(event.attributes["jwt.validation.reason"] for event in tried)
        told = ", ".join(f"{reason} ({times} times)" if times > 1 else reason for reason, times in reasons.items())
        number = f"{len(tried)} tokens" if len(tried) > 1 else "a token"
        yield Finding("rejected", f"{client} presented {number} that cannot be trusted: {told}.")


def _read_without_verification(events: list[Event]) -> Iterator[Finding]:
    unverified = [event for event in events if event.verdict == "unverified"]
    for action, read in _groups(unverified, lambda event: event.action):
        claimed = sorted({str(event.attributes.get("jwt.sub", "nobody")) for event in read})
        yield Finding(
            "unverified",
            f"{action} reads tokens without verifying them, and took {read[0].client} for {', '.join(claimed)}.",
        )


def _insufficient(events: list[Event]) -> Iterator[Finding]:
    denied = [event for event in events if event.verdict == "denied"]
    for (user, client, action), tried in _groups(
        denied, lambda event: (event.attributes.get("user.id", "—"), event.client, event.action)
    ):
        yield Finding("denied", f"{user} at {client} tried {action} with a token that {lacking(tried[0])}.")


def _refused(events: list[Event]) -> Iterator[Finding]:
    for event in events:
        if event.verdict == "rejected" and event.attributes["jwt.verified"]:
            user = event.attributes.get("user.id", "—")
            yield Finding(
                "denied", f"{user} at {event.client} was turned away from {event.action}: {reason_of(event)}."
            )
