"""The audit of a session in short: one value an event, tokens by their jti, which begins with their use."""

from __future__ import annotations

from typing import NamedTuple

from tests.support import Trail


class Told(NamedTuple):
    """What an event tells, as far as it goes here."""

    body: str
    jti: str | None = None
    use: str | None = None
    parent: str | None = None
    verified: bool | None = None
    asked: bool = False  # whether a revocation list was
    why: str | None = None  # it was revoked


def issued(jti: str) -> Told:
    return Told("jwt.issued", jti, jti.partition("-")[0], verified=True)


def refreshed(jti: str, parent: str) -> Told:
    return Told("jwt.refreshed", jti, jti.partition("-")[0], parent, verified=True)


def validated(jti: str, use: str = "access", asked: bool = True) -> Told:
    return Told("jwt.validated", jti, use, verified=True, asked=asked)


def denied(jti: str) -> Told:
    return validated(jti)._replace(body="jwt.denied")


def rejected(reason: str, jti: str, use: str = "access", *, verified: bool = True, asked: bool = False) -> Told:
    return Told(f"jwt.rejected: {reason}", jti, use, verified=verified, asked=asked)


def revoked(jti: str, why: str) -> Told:
    return Told("jwt.revoked", jti, jti.partition("-")[0], why=why)


def told(trail: Trail) -> list[Told]:
    return [
        Told(
            str(record.log_record.body),
            event.get("jwt.jti"),
            event.get("jwt.token_use"),
            event.get("jwt.parent.jti"),
            event.get("jwt.verified"),
            "revocation" in event.get("jwt.validation.checks", ()),
            event.get("jwt.revocation.reason"),
        )
        for record, event in zip(trail.records, trail.events, strict=True)
    ]
