"""Events among which misuse is planted, with decoys that look like it: what every engine has to find, and no more.

Each case has an issuer, a subject or an address of its own, so that a finding is one case's. ``EVENTS`` hold what a
retry repeats as well; ``EXPECTED`` is all that the rules find in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Final, NamedTuple

from tests.review.planting import EVENTS, EXPECTED, MS, START, accepted, denied, expect, plant, rejected, used

__all__ = ["EVENTS", "EXPECTED"]

_unique = count(1)


class _Windowed(NamedTuple):
    """A rule with windows, in a form that cases can be made of."""

    rule: str
    level: str
    window: int  # seconds
    least: int  # of events, or of values
    by: str  # token, subject, address
    make: Callable[..., None]  # plants the n-th event of a case: (at, n, **key)


def _from_country(at: float, n: int, **key: Any) -> None:
    used(at, n, **{"geo__country__iso_code": ("DE", "FR", "JP")[n % 3], "client__address": "192.0.2.1"} | key)


def _from_address(at: float, n: int, **key: Any) -> None:
    used(at, n, **{"client__address": f"192.0.2.{n}", "geo__country__iso_code": "DE"} | key)


def _at_rate(at: float, n: int, **key: Any) -> None:
    used(at, n, **{"client__address": "192.0.2.1", "geo__country__iso_code": "DE"} | key)


def _failure(at: float, n: int, **key: Any) -> None:
    rejected(at, ("expired", "invalid_signature", "malformed")[n % 3], **key)


def _old_token(at: float, n: int, **key: Any) -> None:
    rejected(at, "expired", **{"jwt__verified": True, "client__address": f"client-{next(_unique)}"} | key)


def _denial(at: float, n: int, **key: Any) -> None:
    denied(at, **{"jwt__jti": f"probe-{n}"} | key)


WINDOWED: Final = (
    _Windowed("token-multi-region", "medium", 1800, 2, "token", _from_country),
    _Windowed("token-many-addresses", "medium", 600, 5, "token", _from_address),
    _Windowed("token-high-rate", "medium", 60, 301, "token", _at_rate),
    _Windowed("rejected-burst-client", "medium", 600, 10, "address", _failure),
    _Windowed("rejected-burst-subject", "medium", 600, 10, "subject", _old_token),
    _Windowed("scope-probing", "medium", 600, 5, "subject", _denial),
)


# --- Cases that every rule with windows has -----------------------------------------------------------------


def _keys(kind: _Windowed, case: str) -> dict[str, Any]:
    name = f"{kind.rule}.{case}"
    if kind.by == "address":
        return {"client__address": name}
    return {"jwt__iss": f"https://{name}.example", "jwt__jti" if kind.by == "token" else "jwt__sub": "Ann"}


def _spread(first: float, last: float, number: int) -> Iterator[tuple[int, float]]:
    """Numbers, and moments from the first to the last."""
    for n in range(number):
        yield n, first + (last - first) * n / max(number - 1, 1)


def _windows(kind: _Windowed) -> None:
    window, least, make = kind.window, kind.least, kind.make

    def planted(case: str, first: float, last: float, number: int, found: bool = False, **more: Any) -> None:
        key = _keys(kind, case) | more
        for n, at in _spread(first, last, number):
            make(at, n, **key)
        if found:
            expect(kind.rule, kind.level, number, first, last, edge=last - first == window, **_told(kind, key))

    planted("threshold", 7, 7 + window, least, found=True)
    planted("long", 7, 7 + window * 0.9, least, found=True)  # whoever looks back now and then sees it whole, too
    planted("one-below", 7, 7 + window / 2, least - 1)
    planted("outside", 7, 7 + window + MS, least)
    # A little slower than would be a finding, for long.
    planted("slow", 7, 7 + (window + 10 * MS * least) / (least - 1) * (3 * least - 1), 3 * least)
    planted("across", 2 * window - 9, 2 * window + 8, least, found=True)  # of the edge of a bucket
    key = _keys(kind, "repeats")
    for n, at in _spread(7, 17, least - 1):
        make(at, n, **key)
    EVENTS.extend([EVENTS[-1]] * 3)  # one record, delivered again and again, is one
    key = _keys(kind, "bursts")
    for n, at in [*_spread(0, 10, least), *_spread(5 * window, 5 * window + 20, least + 1)]:
        make(at, n, **key)
    expect(kind.rule, kind.level, least + 1, 0, 5 * window + 20, **_told(kind, key))
    _names(kind)
    if kind.by != "address":
        planted("forged", 7, 17, least - 1)
        planted("forged", 8, 18, least, jwt__verified=False)  # somebody writes the victim's name into a token
        planted("absent-issuer", 30 * window, 30 * window + 17, least, found=True, jwt__iss=None)
        planted("empty-issuer", 30 * window, 30 * window + 17, least, found=True, jwt__iss="")


def _told(kind: _Windowed, key: dict[str, Any]) -> dict[str, Any]:
    """The part of the attributes that a finding names."""
    names = {"token": ("jwt__iss", "jwt__jti"), "subject": ("jwt__iss", "jwt__sub"), "address": ("client__address",)}
    return {one: key[one] for one in names[kind.by]}


def _names(kind: _Windowed) -> None:
    """Half of what would be a finding each, under names that are nearly the same."""
    half, make = (kind.least + 1) // 2, kind.make
    key = _keys(kind, "case")
    (name, value), *rest = reversed(key.items())
    for n, at in _spread(7, 17, kind.least):
        make(at, n, **dict(rest) | {name: value.upper() if n < half else value.lower()})
    if kind.by != "address":
        for n, at in _spread(7, 17, kind.least):
            make(at, n, **{name: f"{kind.rule}.issuers", "jwt__iss": f"https://{n < half}.{kind.rule}.example"})
        for n, at in _spread(7, 17, kind.least):
            make(at, n, **{name: f"{kind.rule}.no-issuer", "jwt__iss": "" if n < half else None})
    for n, at in _spread(7, 17, kind.least * 2):  # nobody's
        make(at, n, **dict.fromkeys(key))
    if kind.by == "token":
        told = {"jwt__iss": f"https://{kind.rule}.fingerprint.example", "jwt__fingerprint": "f1"}
        for n, at in _spread(7, 17, kind.least):
            make(at, n, **told)
        expect(kind.rule, kind.level, kind.least, 7, 17, **told)
    key = _keys(kind, "no-record-id")
    for n, at in _spread(7, 17, kind.least):
        make(at, n, **key, audit__record__id=None)
    expect(kind.rule, kind.level, kind.least, 7, 17, **_told(kind, key))


for _kind in WINDOWED:
    _windows(_kind)


# --- Cases of one rule --------------------------------------------------------------------------------------


def _token(case: str, **more: Any) -> dict[str, Any]:
    return {"jwt__iss": f"https://{case}.example", "jwt__jti": "t"} | more


def _several_regions() -> None:
    """With two user agents it is high, if they are there together with the countries; nothing is no country."""
    together, apart, unknown = (_token(f"agents-{one}") for one in ("together", "apart", "unknown"))
    for at, country, agent in ((0, "DE", "curl"), (900, "FR", "browser")):
        used(at, 0, **together, geo__country__iso_code=country, user_agent__original=agent)
    expect("token-multi-region", "high", 2, 0, 900, **together)
    for at, country, agent in ((0, "DE", "curl"), (900, "FR", "curl"), (3600, "FR", "browser")):
        used(at, 0, **apart, geo__country__iso_code=country, user_agent__original=agent)
    expect("token-multi-region", "medium", 2, 0, 900, **apart)
    for at, country in ((0, "DE"), (60, None), (120, "DE")):
        used(at, 0, **unknown, geo__country__iso_code=country, user_agent__original=f"agent {at}")


def _reasons() -> None:
    """Each reason that counts among failures, and those that do not."""
    reasons = ("expired", "invalid_signature", "invalid_algorithm", "malformed", "revoked")
    for n, reason in enumerate(reasons * 2):
        rejected(n, reason, client__address="all-reasons", **_token(f"reason-{n}"))
    expect("rejected-burst-client", "medium", 10, 0, 9, client__address="all-reasons")
    expect("algorithm-confusion", "high", 2, 2, 7, client__address="all-reasons")
    expect("revoked-token-used", "high", 2, 4, 9, client__address="all-reasons")
    others = ("invalid_audience", "invalid_issuer", "not_yet_valid", "wrong_type", "refused", "key_unavailable")
    for n, reason in enumerate(others * 2):
        rejected(
            n,
            reason,
            client__address="other-reasons",
            **_token("other-reasons", jwt__verified=n % 2 == 0, jwt__sub="Ann"),
        )


def _success() -> None:
    """Five failures and then a success, which is what makes it."""

    def tried(case: str, failures: int, last: float, success: float, found: bool = False) -> None:
        for n, at in _spread(7, last, failures):
            _failure(at, n, client__address=f"guess.{case}")
        accepted(success, client__address=f"guess.{case}", **_token(f"guess.{case}"))
        if found:
            edge = success - 7 == 600
            expect("failures-then-success", "high", failures, 7, success, edge, client__address=f"guess.{case}")

    tried("threshold", 5, 300, 607, found=True)
    tried("across", 5, 595, 605, found=True)
    tried("long", 5, 300, 547, found=True)
    tried("more", 9, 17, 20, found=True)
    tried("one-below", 4, 300, 400)
    tried("outside", 5, 300, 607 + MS)
    tried("before", 5, 17, 6)
    for n, at in _spread(7, 17, 6):
        _failure(at, n, client__address=f"guess.{'Case' if n < 4 else 'case'}")
        _failure(at, n, client__address="guess.denied")
        _failure(at, n)  # of nobody
    accepted(20, client__address="guess.case", **_token("guess.case"))
    denied(20, client__address="guess.denied", **_token("guess.denied"))
    plant(20, "jwt.unverified", client__address="guess.denied", jwt__verified=False)
    accepted(20, **_token("guess.nobody"))


def _revoked() -> None:
    for rule, level, use in (("revoked-token-used", "high", "access"), ("refresh-token-reuse", "critical", "refresh")):
        more = {"jwt__token_use": use, "client__address": f"{rule}.client"}
        for at in (1, 3):
            rejected(at, "revoked", **_token(rule, jwt__verified=True), **more)
        expect(rule, level, 2, 1, 3, **_token(rule))
        printed = _token(rule, jwt__jti=None, jwt__fingerprint="F")
        rejected(1, "revoked", **printed, **more, jwt__verified=True)
        expect(rule, level, 1, 1, 1, jwt__iss=printed["jwt__iss"], jwt__fingerprint="F")
        rejected(2, "revoked", **_token(rule), **more)  # forged: the address has done it, and not the token's holder
        expect(rule, level, 1, 2, 2, client__address=f"{rule}.client")
        rejected(1, "expired", **_token(f"{rule}.expired", jwt__verified=True), **more)
        rejected(1, "revoked", **_token(rule), jwt__token_use=use)  # of nobody
    rejected(1, "revoked", **_token("unknown-use", jwt__verified=True))
    expect("revoked-token-used", "high", 1, 1, 1, **_token("unknown-use"))


def _service() -> None:
    """What the service does: scopes, statuses, expiries, and what it does not verify."""
    lacking = {"jwt__scope__missing": ["admin"]}
    for status in (200, 299):
        denied(status, **_token("gap"), **lacking, http__response__status_code=status)
        rejected(status, "refused", **_token("served", jwt__verified=True), http__response__status_code=status)
    expect("scope-gap", "high", 2, 200, 299, **_token("gap"))
    expect("rejected-but-served", "medium", 2, 200, 299, **_token("served"))
    rejected(5, "refused", **_token("served"), http__response__status_code=204, client__address="served.client")
    expect("rejected-but-served", "medium", 1, 5, 5, client__address="served.client")
    for status in (199, 300, 403, None):
        denied(1, **_token("no-gap"), **lacking, http__response__status_code=status)
        rejected(1, "refused", **_token("not-served", jwt__verified=True), http__response__status_code=status)
    denied(1, **_token("gap-of-a-permission"), http__response__status_code=200)
    denied(1, **_token("gap"), **lacking, http__response__status_code=200, jwt__verified=False)
    for left, case in ((-301, "late"), (-300, "leeway"), (5, "in-time"), (None, "for-ever")):
        accepted(1, **_token(case), jwt__expires_in=left)
    expect("expired-accepted", "medium", 1, 1, 1, **_token("late"))
    rejected(1, "expired", **_token("refused", jwt__verified=True), jwt__expires_in=-4000)
    for at, method in ((1, "GET"), (4, "POST"), (6, None)):
        plant(
            at,
            "jwt.unverified",
            jwt__verified=False,
            client__address="reads",
            http__request__method=method,
            **_token("read"),
        )
    expect("unverified-token", "medium", 2, 1, 4, client__address="reads")
    for at in (1, 2):
        rejected(at, "invalid_algorithm", client__address="forger", **_token("read"))
    expect("algorithm-confusion", "high", 2, 1, 2, client__address="forger")


def _posture() -> None:
    """One finding for each issuer, whoever that is."""
    now = START + 1

    def issued(issuer: str | None, name: str = "jwt.issued", **more: Any) -> None:
        given = {"jwt__iss": issuer, "jwt__jti": f"i{next(_unique)}", "jwt__iat": now, "jwt__exp": now + 900}
        plant(1, name, **given | more)

    for issuer in ("https://lax.example", "https://LAX.example", "", None):
        for _ in range(2):
            issued(issuer, jwt__jti=None)
            issued(issuer, jwt__exp=None)
            issued(issuer, jwt__exp=now + 86_401)
            issued(issuer, jwt__iat=None, jwt__exp=now + 86_401, jwt__token_use="access")
            accepted(1, jwt__iss=issuer, jwt__jti=f"i{next(_unique)}", jwt__validation__checks=["signature"])
            accepted(1, jwt__iss=issuer, jwt__jti=f"i{next(_unique)}", jwt__validation__checks=None)
        for rule, number in (("no-jti", 2), ("no-expiry", 2), ("long-lived", 4), ("no-audience-check", 4)):
            expect(f"posture-{rule}", "low", number, 1, 1, jwt__iss=issuer)
    strict = "https://strict.example"
    issued(strict, jwt__exp=now + 86_400)
    issued(strict, jwt__iat=None, jwt__exp=now + 86_400)
    issued(strict, jwt__exp=now + 10**7, jwt__token_use="refresh")
    issued(strict, "jwt.refreshed", jwt__jti=None, jwt__exp=None)
    denied(1, jwt__iss=strict, jwt__jti="d", jwt__validation__checks=["signature"])


for _cases in (_several_regions, _reasons, _success, _revoked, _service, _posture):
    _cases()
