"""How events are planted, and what is expected of them (:mod:`.planted`)."""

from __future__ import annotations

from itertools import count
from typing import Any, Final, NamedTuple

#: Seconds since the epoch; buckets of every window's length begin here.
START: Final = 1_789_999_200
#: Seconds: what is just outside.
MS: Final = 0.001


class Event(NamedTuple):
    time_unix_nano: int
    name: str
    attributes: dict[str, Any]


class Expected(NamedTuple):
    """A finding."""

    rule: str
    level: str
    key: dict[str, str | None]
    count: int
    first: int  #: nanoseconds since the epoch
    last: int
    #: As long as its window to the nanosecond: engines that look back now and then may miss it, but none may find more.
    edge: bool = False


EVENTS: list[Event] = []
EXPECTED: list[Expected] = []
_numbers = count(1)
_CHECKS: Final = ["signature", "exp", "aud"]


def _time(at: float) -> int:
    return START * 10**9 + round(at * 1000) * 10**6


def plant(at: float, name: str, **attributes: Any) -> Event:
    """One event, ``at`` seconds from the start; ``__`` in a name stands for a dot, and ``None`` for what is absent."""
    number = next(_numbers)
    given: dict[str, Any] = {"audit__record__id": f"00000000-0000-4000-8000-{number:012x}"} | attributes
    named = {one.replace("__", "."): value for one, value in given.items() if value is not None}
    event = Event(_time(at), name, named)
    EVENTS.append(event)
    return event


def expect(rule: str, level: str, number: int, first: float, last: float, edge: bool = False, **key: Any) -> None:
    named = {one.replace("__", "."): value for one, value in key.items()}
    EXPECTED.append(Expected(rule, level, named, number, _time(first), _time(last), edge))


# --- Events of the kinds that rules count -------------------------------------------------------------------


def accepted(at: float, **more: Any) -> None:
    given = {"jwt__verified": True, "jwt__validation__checks": _CHECKS, "http__response__status_code": 200}
    plant(at, "jwt.validated", **given | more)


def denied(at: float, **more: Any) -> None:
    plant(at, "jwt.denied", **{"jwt__verified": True, "http__response__status_code": 403} | more)


def rejected(at: float, reason: str, **more: Any) -> None:
    given = {"jwt__verified": False, "jwt__validation__reason": reason, "http__response__status_code": 401}
    plant(at, "jwt.rejected", **given | more)


def used(at: float, n: int, **more: Any) -> None:
    """Whatever became of it, a use is a use."""
    more.setdefault("user_agent__original", "browser")
    if n % 3 == 0:
        accepted(at, **more)
    elif n % 3 == 1:
        denied(at, **more)
    else:
        rejected(at, "wrong_type", **{"jwt__verified": True} | more)
