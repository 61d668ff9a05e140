"""The audit of requests as a table: one row an event, tokens and users by their names."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.support import Trail


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
    scope: str | None = None  # what came of a comparison
    required: tuple[str, ...] = ()


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


class Table:
    """Expected rows beside those seen, request by request.

    Args:
        trail: what was recorded.
        names: names of tokens by their jti or, without one, their fingerprint; may grow.
        users: names of users by their id.
        issuer: of all tokens but those rejected.
    """

    def __init__(self, trail: Trail, names: dict[str, str], users: dict[str, str], issuer: str | None = None) -> None:
        self._trail = trail
        self._names = names
        self._users = users
        self._issuer = issuer
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
        assert event["event"] == "jwt.rejected" or event.get("jwt.iss") == self._issuer, event
        token, parent = event.get("jwt.jti", event.get("jwt.fingerprint", "")), event.get("jwt.parent.jti")
        return Row(
            name,
            self._names.get(token, token),
            event.get("jwt.token_use"),
            event["http.response.status_code"],
            event.get("jwt.verified"),
            self._names.get(parent or "", parent),
            "revocation" in event.get("jwt.validation.checks", ()),
            event.get("jwt.revocation.reason"),
            self._users.get(event.get("audit.actor.id", ""), event.get("audit.actor.id")),
            event.get("jwt.scope.outcome"),
            tuple(event.get("jwt.scope.required", ())),
        )


def assert_lineage_is_whole(rows: list[Row]) -> None:
    """Each token was minted once, and only from one minted before; only such tokens were presented."""
    minted: list[str] = []
    for row in rows:
        if row.event in ("jwt.issued", "jwt.refreshed"):
            assert row.token not in minted
            assert (row.parent is None) is (row.event == "jwt.issued")
            assert row.parent is None or row.parent in minted
            minted.append(row.token)
        else:
            assert row.token in minted
