"""A scope policy beside applications that declare nothing: what a route requires is in the verdict."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.adapters import ADAPTERS, Adapter
from tests.integrations.checks import check_events
from tests.integrations.expectations import UP_TO_EXP, denied, negative, rejected, validated
from tests.integrations.servers import PATIENCE
from tests.integrations.steps import fails, verify
from tests.support import KEY, Trail, mint

POLICY = """\
[scopes]
"POST /items/{item}" = "items:write"
"GET /items/*" = ["items:read", "items:list"]
"""
REQUIRED = {"items:read", "items:list"}
SUFFICIENT = {
    "jwt.scope.required": REQUIRED,
    "jwt.scope.outcome": "sufficient",
    "jwt.scope.missing": None,
}
INSUFFICIENT = {
    "jwt.scope.required": REQUIRED,
    "jwt.scope.granted": {"items:read"},
    "jwt.scope.missing": {"items:list"},
    "jwt.scope.outcome": "insufficient",
}
by_name = pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: adapter.name)


@by_name
@pytest.mark.parametrize(
    ("scope", "status", "expected"),
    [
        ("items:list items:read", 200, validated(**SUFFICIENT)),
        ("items:list items:read", 404, validated(**SUFFICIENT)),
        ("items:read", 403, denied(**INSUFFICIENT)),
        ("items:read", 200, denied(**INSUFFICIENT)),
    ],
)
def test_outcome(
    scope: str,
    status: int,
    expected: dict[str, Any],
    adapter: Adapter,
    instrument: Callable[..., Trail],
    tmp_path: Path,
) -> None:
    def run(tokens: list[str]) -> int:
        verify(tokens[0])
        return status

    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY, encoding="utf-8")
    trail = instrument(scope_policy=policy)
    token = mint(scope=scope)
    with adapter.serve(run) as app:
        trail.clear()
        assert adapter.get(app, token).status == status
    check_events(trail, [expected], route=adapter.route, status=status)


BARE = next(adapter for adapter in ADAPTERS if adapter.name == "flask-sync-none")
ROLES = sorted(REQUIRED)


@pytest.mark.parametrize(
    ("claims", "scope_claims", "outcome"),
    [
        ({"roles": ROLES}, "scope,roles", "sufficient"),
        ({"roles": ROLES}, None, "insufficient"),
        ({"realm_access": {"roles": ROLES}}, "realm_access.roles", "sufficient"),
        ({"realm_access": "none"}, "realm_access.roles", "insufficient"),
        ({"https://a.example/roles": " ".join(ROLES)}, "https://a.example/roles", "sufficient"),
        ({"scope": " ".join(ROLES)}, "roles", "insufficient"),
    ],
)
def test_claims_that_grant(
    claims: dict[str, Any], scope_claims: str | None, outcome: str, instrument: Callable[..., Trail]
) -> None:
    trail = instrument(scope_policy={"/items/*": ROLES}, scope_claims=scope_claims)
    token = mint(**claims)
    with BARE.serve(lambda tokens: verify(tokens[0]) and 200) as app:
        trail.clear()
        BARE.get(app, token)
    (event,) = trail.events
    assert event["jwt.scope.outcome"] == outcome
    assert set(event.get("jwt.scope.missing", ())) == (set() if outcome == "sufficient" else REQUIRED)


def test_a_token_that_was_not_accepted_has_no_outcome(instrument: Callable[..., Trail]) -> None:
    def run(tokens: list[str]) -> int:
        fails(verify, tokens[0])
        return 401

    trail = instrument(scope_policy={"/items/*": "items:read"})
    token = mint(exp=1, scope="items:read")
    with BARE.serve(run) as app:
        trail.clear()
        BARE.get(app, token)
    expected = rejected("expired", UP_TO_EXP, **{"jwt.scope.required": None, "jwt.expires_in": negative})
    check_events(trail, [expected], route=BARE.route, status=401)


SERVICE = """\
import threading

import jwt
from flask import Flask, request
from werkzeug.serving import make_server

app = Flask(__name__)


@app.get("/orders/<int:number>")
def order(number):
    claims = jwt.decode(request.headers["authorization"].split()[1], KEY, ["HS256"])
    if number == 1 and "orders:read" not in claims["scope"].split():
        return "", 403
    return claims["sub"]


server = make_server("127.0.0.1", 0, app)
print(server.server_port, flush=True)
threading.Thread(target=lambda: (input(), server.shutdown())).start()
server.serve_forever()
"""


def test_service_with_nothing_but_flask_and_pyjwt(tmp_path: Path) -> None:
    """Its own process, no line of code: the policy is named by the variable."""
    (tmp_path / "service.py").write_text(f"KEY = {KEY!r}\n{SERVICE}", encoding="utf-8")
    (tmp_path / "policy.yaml").write_text("scopes:\n  GET /orders/<int:number>: orders:read\n", encoding="utf-8")
    environ = {
        **os.environ,
        "OTEL_PYTHON_PYJWT_SCOPE_POLICY": str(tmp_path / "policy.yaml"),
        "OTEL_LOGS_EXPORTER": "console",
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
    }
    command = [str(Path(sys.executable).with_name("opentelemetry-instrument")), sys.executable, "service.py"]
    requests = [
        (1, "orders:read", 200, "jwt.validated", "sufficient"),
        (1, "orders:list", 403, "jwt.denied", "insufficient"),
        (2, "orders:list", 200, "jwt.denied", "insufficient"),
    ]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environ,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline())
            for number, scope, status, _, _ in requests:
                client = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
                token = mint(scope=scope, jti=f"token-{scope}")
                client.request("GET", f"/orders/{number}", headers={"Authorization": f"Bearer {token}"})
                assert client.getresponse().status == status
                client.close()
            out, _ = process.communicate("\n", timeout=PATIENCE)
        finally:
            process.kill()
    seen = [
        (one["event_name"], one["attributes"]["jwt.scope.outcome"])
        for one in _objects(out)
        if (one.get("event_name") or "").startswith("jwt.")
    ]
    assert seen == [(name, outcome) for *_, name, outcome in requests]


def _objects(text: str) -> list[Any]:
    """The console exporter writes one indented object after another."""
    decoder, found, position = json.JSONDecoder(), [], text.find("{")
    while position >= 0:
        one, end = decoder.raw_decode(text, position)
        found.append(one)
        position = text.find("{", end)
    return found
