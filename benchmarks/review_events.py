"""Makes trails to review, fast: records as the journal writes them, of a day of a busy service.

A token lives for some twenty uses of one user at one address; one in fifty changes the address. A hundredth of the
uses is of ten tokens of services, each on eight hosts. Some tokens are refused, some denied, some minted; and thirty of
every 10,000 events are forged tokens from one address, which is a finding.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import duckdb

from opentelemetry.instrumentation.pyjwt.events import INFO, AuditEvent
from opentelemetry.instrumentation.pyjwt.journal import record
from opentelemetry.instrumentation.pyjwt.review.columns import Kind, kind_of, quoted

PART = 1_000_000  # records a file

# Numbers that stand for what differs; texts stand in the form @name@.
_PLACES = {1_111_111_111_111_111_111: "time", 2_222_222_222: "iat", 3_333_333_333: "exp", 4_444_444_444: "status"}
_RESOURCE = {
    "service.name": "shop",
    "service.instance.id": "0d4f7b60-8a0b-4e0c-8f6b-5a3c1f2e9d77",
    "host.name": "web-1",
}
_ROWS = """\
SELECT *, 'user-' || owner AS sub, 't-' || lpad(token::VARCHAR, 34, '0') AS jti, uuid()::VARCHAR AS id,
  CASE WHEN forging THEN '192.0.2.' || n // 10_000 % 200 WHEN service THEN '198.51.100.' || turn % 8
    ELSE '203.' || owner % 199 || '.' || owner // 199 % 199 || '.' ||
    if(token % 50 = 0, turn % 2, 0) END AS address,
  ['DE', 'FR', 'US', 'JP'][1 + owner % 4] AS country,
  'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/' || owner % 40 AS agent,
  time // 1_000_000_000 - 60 AS iat, time // 1_000_000_000 + 840 AS exp, sha256(n::VARCHAR) AS prev
FROM (
  SELECT n, 1_790_000_000_000_000_000 + n * (86_400_000_000_000 // {total}) AS time, hash(n) % 1000 AS kind,
    n % 10_000 < 30 AS forging,
    hash(n + 7) % 100 AS turn, hash(n + 3) % 100 = 0 AS service,
    if(hash(n + 3) % 100 = 0, hash(n + 5) % 10, 100 + n // 1000 * 50 + hash(n + 5) % 50)::BIGINT AS token,
    token % (10 + {total} // 200) AS owner
  FROM range({first}, {last}) AS numbers(n)
)"""


def _events() -> list[tuple[str, AuditEvent]]:
    """What there is of each thousand: the condition, and the event."""
    token: dict[str, Any] = {
        "jwt.jti": "@jti@",
        "jwt.sub": "@sub@",
        "jwt.iss": "https://issuer.example/realms/shop",
        "jwt.aud": ["orders", "account"],
        "jwt.client_id": "web",
        "jwt.sid": "0d4f7b60-8a0b-4e0c-8f6b-5a3c1f2e9d77",
        "jwt.iat": 2_222_222_222,
        "jwt.nbf": 2_222_222_222,
        "jwt.exp": 3_333_333_333,
        "jwt.alg": "RS256",
        "jwt.kid": "qYJ8H2a0b1",
        "jwt.typ": "at+jwt",
        "jwt.scope.granted": ["orders:read", "orders:write", "openid"],
        "http.request.method": "GET",
        "http.route": "/orders/{order_id}",
        "http.response.status_code": 4_444_444_444,
        "client.address": "@address@",
        "user_agent.original": "@agent@",
        "geo.country.iso_code": "@country@",
        "audit.record.id": "@id@",
    }
    used = {"jwt.verified": True, "user.id": "@sub@", "jwt.expires_in": 840}
    valid = {
        **used,
        "jwt.validation.outcome": "valid",
        "jwt.validation.checks": ["signature", "exp", "nbf", "iat", "aud"],
    }
    refused = {"jwt.validation.outcome": "invalid", "jwt.validation.reason": "expired", **used}
    forged = {**refused, "jwt.validation.reason": "invalid_signature", "jwt.verified": False}
    lacking = {**valid, "jwt.scope.required": ["admin"], "jwt.scope.missing": ["admin"]}
    kinds = [
        ("forging", "jwt.rejected", forged),
        ("kind < 20", "jwt.issued", {"jwt.token_use": "access"}),
        ("kind < 30", "jwt.rejected", refused),
        ("kind < 35", "jwt.denied", lacking),
        ("true", "jwt.validated", valid),
    ]
    time = 1_111_111_111_111_111_111
    return [(when, AuditEvent(name, time, INFO, name, {**token, **more})) for when, name, more in kinds]


def _line(event: AuditEvent) -> str:
    """Its line, as an expression of SQL."""
    draft = record.Drafter().draft(event)
    canonical = record.sequenced(draft, "0" * 32, 1, "@prev@")
    text = record.line(record.envelope(_RESOURCE), draft, canonical, 1_111_111_111_111_111_111).decode().rstrip("\n")
    return _filled(text)


def _filled(text: str) -> str:
    for number, name in _PLACES.items():
        text = text.replace(str(number), f"@{name}@")
    parts = re.split("@([a-z]+)@", text)
    return f"concat({', '.join(one if place % 2 else _text(one) for place, one in enumerate(parts))})"


def _text(value: str) -> str:
    doubled = value.replace("'", "''")
    return f"'{doubled}'"


def _value(attribute: str, value: Any) -> str:
    kind = kind_of(attribute)
    if value is None:
        return f"NULL::{kind.value}"
    if kind is Kind.LIST:
        return f"[{', '.join(map(_text, value))}]"
    if kind is Kind.INTEGER:
        return _PLACES.get(value, str(value))
    return str(value).lower() if kind is Kind.BOOLEAN else _filled(value)


def make(folder: Path, total: int, attributes: list[str]) -> tuple[list[Path], list[Path]]:
    """Files of lines, and archives of the same kind of events: what :mod:`compact` makes, but for the whole records."""
    folder.mkdir(parents=True)
    lines, archives = [], []
    events = _events()
    status = _case(
        [("forging OR kind BETWEEN 20 AND 29", "401"), ("kind < 20", "201"), ("kind < 35", "403"), ("true", "200")]
    )
    with duckdb.connect(config={"preserve_insertion_order": False}) as connection:
        for first in range(0, total, PART):
            rows = _ROWS.format(total=total, first=first, last=min(first + PART, total))
            source = f"FROM (SELECT *, {status} AS status FROM ({rows}))"
            written = _case([(when, _line(event)) for when, event in events])
            lines.append(folder / f"{first:09d}.jsonl")
            plain = "FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01'"
            connection.execute(f"COPY (SELECT {written} {source}) TO '{lines[-1]}' ({plain})")
            archives.append(folder / f"{first:09d}.parquet")
            columns = [f"{_case([(when, _text(event.name)) for when, event in events])} AS {quoted('event.name')}"]
            columns += [
                f"{_case([(when, _value(one, event.attributes.get(one))) for when, event in events])} AS {quoted(one)}"
                for one in attributes
            ]
            select = f"SELECT time, {', '.join(columns)} {source}"
            connection.execute(f"COPY ({select}) TO '{archives[-1]}' (FORMAT parquet, COMPRESSION zstd)")
    return lines, archives


def _case(cases: list[tuple[str, str]]) -> str:
    return f"CASE {' '.join(f'WHEN {when} THEN {then}' for when, then in cases)} END"
