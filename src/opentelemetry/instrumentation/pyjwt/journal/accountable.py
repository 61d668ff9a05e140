"""Who did what to what, and did it succeed: an event in the words of the Audit Logging signal (OTEP 0267).

Most of it follows from which attributes the event has, and the rest from those two that :func:`telling` looks at. So
what is said of one event holds for all of its kind: words of ours, and copies of the event's own attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from opentelemetry.instrumentation.pyjwt import semconv

_VERSION: Final = "1.0"
_ACTIONS: Final = {
    semconv.ISSUED: ("ISSUE", "success"),
    semconv.REFRESHED: ("REFRESH", "success"),
    semconv.REVOKED: ("REVOKE", "success"),
    semconv.VALIDATED: ("USE", "success"),
    semconv.DENIED: ("USE", "failure"),
    semconv.REJECTED: ("USE", "failure"),
    semconv.UNVERIFIED: ("USE", "unknown"),
    semconv.CHECKPOINT: ("CHECKPOINT", "success"),
}
_ANONYMOUS: Final = "anonymous"
_USER: Final = "user"
_SERVICE: Final = "service"


class Account(NamedTuple):
    """What is added to an event's attributes."""

    words: dict[str, str]  #: attributes and their values
    copies: dict[str, str]  #: attributes and those of the event whose values they have


def telling(attributes: Mapping[str, Any]) -> tuple[object, object]:
    """What of the values matters."""
    return attributes.get(semconv.VERIFIED), attributes.get(semconv.ACTOR_ID) == _ANONYMOUS


def accountable(name: str, attributes: Mapping[str, Any]) -> Account:
    """What is said of events of this name with attributes of these names."""
    action, outcome = _ACTIONS[name]
    words = {semconv.AUDIT_ACTION: action, semconv.AUDIT_OUTCOME: outcome, semconv.SCHEMA_VERSION: _VERSION}
    copies: dict[str, str] = {}
    verified, anonymous = telling(attributes)
    # Nobody becomes an actor by a word of their own: it takes a checked signature, or whoever revokes the token.
    user = next((one for one in (semconv.USER_ID, semconv.USER_HASH) if one in attributes), None)
    if semconv.ACTOR_ID in attributes:
        kind = _ANONYMOUS if anonymous else _SERVICE if name == semconv.CHECKPOINT else _USER
    elif user is not None:
        kind, copies[semconv.ACTOR_ID] = _USER, user
    elif verified and semconv.CLIENT_ID in attributes:
        kind, copies[semconv.ACTOR_ID] = _SERVICE, semconv.CLIENT_ID
    else:
        kind = words[semconv.ACTOR_ID] = _ANONYMOUS
    words[semconv.ACTOR_TYPE] = kind
    for target, of in ((semconv.HTTP_ROUTE, "http.endpoint"), (semconv.ACTION, "action")):
        if target in attributes:
            copies[semconv.TARGET_ID], words[semconv.TARGET_TYPE] = target, of
            break
    if semconv.CLIENT_ADDRESS in attributes:
        copies[semconv.SOURCE_ID], words[semconv.SOURCE_TYPE] = semconv.CLIENT_ADDRESS, semconv.CLIENT_ADDRESS
    return Account(words, copies)
