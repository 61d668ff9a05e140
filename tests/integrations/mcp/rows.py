"""The audit of an MCP server as a table: one row an event, tokens by their names."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.integrations.mcp.service import Service
from tests.support import ISSUER, Trail


class Row(NamedTuple):
    """What an event says."""

    event: str  # its name, and the reason if it is a rejection
    token: str
    use: str | None = "access"
    status: int = 200
    verified: bool | None = True  # None: not said of a revoked token
    parent: str | None = None
    scopes: str | None = None  # the outcome of a comparison
    missing: tuple[str, ...] = ()
    actor: str | None = None  # of a revocation


def issued(token: str, use: str | None = "access") -> Row:
    return Row("jwt.issued", token, use)


def refreshed(token: str, parent: str | None, use: str | None = "access") -> Row:
    return Row("jwt.refreshed", token, use, parent=parent)


def presented(token: str, status: int = 200, use: str | None = "refresh") -> Row:
    """Good, and no scope is asked for."""
    return Row("jwt.validated", token, use, status)


def used(token: str, status: int = 200) -> Row:
    """Good for the server itself, which requires a scope."""
    return Row("jwt.validated", token, "access", status, scopes="sufficient")


def denied(token: str, missing: str, status: int = 403, use: str = "access") -> Row:
    return Row("jwt.denied", token, use, status, scopes="insufficient", missing=(missing,))


def rejected(reason: str, token: str, status: int = 401, use: str | None = "access") -> Row:
    return Row(f"jwt.rejected: {reason}", token, use, status)


def revoked(token: str, use: str | None = "access", actor: str = "alice") -> Row:
    return Row("jwt.revoked", token, use, verified=None, actor=actor)


def obtained(number: int = 1, use: str | None = "refresh") -> tuple[Row, ...]:
    return issued(f"access-{number}"), issued(f"refresh-{number}", use)


class Table:
    """Expected rows beside those seen, step by step."""

    def __init__(self, trail: Trail, service: Service) -> None:
        self._trail = trail
        self._names = service.names
        self.expected: list[Row] = []
        self.seen: list[Row] = []

    def expect(self, *rows: Row) -> None:
        """Of what happened since the last call, this is to be seen."""
        self.expected += rows
        self.seen += map(self._row, self._trail.names, self._trail.events)
        self._trail.clear()

    def _row(self, name: str, event: dict[str, Any]) -> Row:
        assert event["jwt.iss"] == ISSUER
        assert event["client.address"] == "203.0.113.9"
        return Row(
            name,
            self._names.get(event["jwt.jti"], event["jwt.jti"]),
            event.get("jwt.token_use"),
            event["http.response.status_code"],
            event.get("jwt.verified"),
            self._names.get(event.get("jwt.parent.jti", ""), event.get("jwt.parent.jti")),
            event.get("jwt.scope.outcome"),
            tuple(event.get("jwt.scope.missing", ())),
            event.get("audit.actor.id"),
        )
