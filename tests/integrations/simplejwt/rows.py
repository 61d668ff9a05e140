"""The audit of requests as a table: one row an event, tokens and users by their names."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.integrations.simplejwt.service import Service
from tests.support import ISSUER, Trail


class Row(NamedTuple):
    """What an event says."""

    event: str  # its name, and the reason if it is a rejection
    token: str
    use: str | None = None
    status: int = 200
    verified: bool | None = True  # None: not said of a revoked token
    parent: str | None = None
    list_asked: bool = False  # whether a revocation list was
    reason: str | None = None  # of a revocation
    actor: str | None = None  # of a revocation


def issued(token: str, use: str | None) -> Row:
    return Row("jwt.issued", token, use)


def refreshed(token: str, use: str | None, parent: str) -> Row:
    return Row("jwt.refreshed", token, use, parent=parent)


def validated(token: str, use: str | None = "access", status: int = 200, *, list_asked: bool = False) -> Row:
    return Row("jwt.validated", token, use, status, list_asked=list_asked)


def rejected(
    reason: str, token: str, use: str | None = "access", status: int = 401, *, list_asked: bool = False
) -> Row:
    return Row(f"jwt.rejected: {reason}", token, use, status, list_asked=list_asked)


def revoked(token: str, reason: str, actor: str, use: str | None = "refresh") -> Row:
    return Row("jwt.revoked", token, use, verified=None, reason=reason, actor=actor)


# What it is to obtain the first pair.
OBTAINED = (issued("refresh-1", "refresh"), issued("access-1", "access"))


class Table:
    """Expected rows beside those seen, request by request."""

    def __init__(self, trail: Trail, service: Service, users: dict[str, str]) -> None:
        self._trail = trail
        self._service = service
        self._users = users  # name by id
        self.expected: list[Row] = []
        self.seen: list[Row] = []

    def expect(self, *rows: Row) -> None:
        """Of what happened since the last call, this is to be seen."""
        self.expected += rows
        self.seen += map(self._row, self._trail.names, self._trail.events)
        self._trail.clear()

    def overlook(self) -> None:
        """What happened since the last call is not this table's affair."""
        self._trail.clear()

    def _row(self, name: str, event: dict[str, Any]) -> Row:
        assert event["event"] == "jwt.rejected" or event["jwt.iss"] == ISSUER, event
        return Row(
            name,
            self._service.names.get(event["jwt.jti"], event["jwt.jti"]),
            event.get("jwt.token_use"),
            event["http.response.status_code"],
            event.get("jwt.verified"),
            self._service.names.get(event.get("jwt.parent.jti", ""), event.get("jwt.parent.jti")),
            "revocation" in event.get("jwt.validation.checks", ()),
            event.get("jwt.revocation.reason"),
            self._users.get(event.get("audit.actor.id", ""), event.get("audit.actor.id")),
        )
