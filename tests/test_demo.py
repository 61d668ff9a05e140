"""The demo, end to end: a real service under OpenTelemetry's own command, real requests, and what is printed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

DEMO = Path(__file__).parents[1] / "examples" / "demo"
SECONDS = 150  # far more than it takes, for busy machines

pytestmark = pytest.mark.skipif(
    not entry_points(group="opentelemetry_instrumentor", name="pyjwt") and not os.environ.get("JWT_AUDIT_REQUIRE_ALL"),
    reason="OpenTelemetry's command finds installed packages only, and this one is not installed",
)


def start(*arguments: object, folder: Path = DEMO) -> subprocess.Popen[str]:
    command = [sys.executable, str(folder / "run.py"), *map(str, arguments)]
    # In a session of its own, so that whoever is left at the end can be found.
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def end(demo: subprocess.Popen[str]) -> str:
    """Its output, once it has ended; nothing it started may be left then."""
    try:
        output, _ = demo.communicate(timeout=SECONDS)
    finally:
        try:
            os.killpg(demo.pid, signal.SIGKILL)
        except ProcessLookupError:
            left = False
        else:
            left = True
    assert not left, "the demo left processes"
    return output


def records(path: Path) -> list[dict[str, Any]]:
    """The log records in the journal, each of which is the only one in its line."""
    requests = [json.loads(line) for segment in path.glob("*.jsonl") for line in segment.read_text().splitlines()]
    found = []
    for request in requests:
        (resource,) = request["resourceLogs"]
        (scope,) = resource["scopeLogs"]
        (record,) = scope["logRecords"]
        found.append(record)
    return found


@pytest.mark.parametrize("options", [(), ("--proxied",)], ids=["by address", "by proxy"])
def test_the_demo_shows_the_trail_and_what_stands_out(options: tuple[str, ...], tmp_path: Path) -> None:
    journal, picture = tmp_path / "journal", tmp_path / "demo.svg"
    demo = start("--journal", journal, "--svg", picture, *options)
    output = end(demo)
    assert demo.returncode == 0, output

    for pattern in (
        r"alice +127\.0\.0\.11 +\w{8} +POST /login +issued +access token for 15 min +200",
        r"alice +127\.0\.0\.11 +(\w{8}) +POST /refresh +validated .*\n.* refreshed +access token from \1 +200",
        r"bob +127\.0\.0\.12 +\w{8} +POST /orders +denied +lacks orders:write +403",
        r"bob +127\.0\.0\.12 +\w{8} +GET /orders +denied +lacks orders:read \(refresh token\) +401",
        r"unverified: admin +127\.0\.0\.66 +\w{8} +GET /admin +rejected +invalid_algorithm \(none\) +401",
        r"kiosk +127\.0\.0\.13 +\w{8} +GET /orders +rejected +expired.* 401",
        r"high +failures-then-success +client\.address 127\.0\.0\.66 +5 ",
        r"high +algorithm-confusion +client\.address 127\.0\.0\.66 +2 ",
        r"medium +token-many-addresses +jwt\.iss https://shop\.example +5 ",
        r"medium +unverified-token +client\.address 127\.0\.0\.66 +1 ",
        r"jwt\.jti=.*jwt\.iss=https://shop\.example",  # on the span
        r"✓ All 25 verdicts the clients expect are there, and no other",
        r"✓ The review names each attack, and no honest client",
        r"✓ jwt-audit verify: intact \(26 records, 1 stream, 1 checkpoint\)",
        r"✓ With one word of line (\d+) changed in a copy: TAMPERED WITH: 1 problem .*\n +changed: .* record \1: ",
        r"✓ No token, signature, password or key is in the journal, the spans, the service's output",
    ):
        assert re.search(pattern, output), f"{pattern} is not in\n{output}"
    assert all(len(line) <= 120 for line in output.splitlines() if str(journal) not in line)

    written = records(journal)
    assert Counter(record["eventName"] for record in written) == {
        "jwt.issued": 6,
        "jwt.refreshed": 1,
        "jwt.validated": 8,
        "jwt.denied": 3,
        "jwt.rejected": 6,
        "jwt.unverified": 1,
        "jwt.audit.checkpoint": 1,
    }
    for record in written:
        if record["eventName"] == "jwt.audit.checkpoint":
            continue
        assert re.fullmatch("[0-9a-f]{32}", record["traceId"])
        assert re.fullmatch("[0-9a-f]{16}", record["spanId"])
        assert record["timeUnixNano"].isdecimal()

    drawn = picture.read_text()
    ElementTree.fromstring(drawn)
    assert len(drawn) < 100_000
    assert not re.search("@import|@font-face|href|url\\((?!#)", drawn), "the picture needs something from elsewhere"


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("traffic.py", '"rejected: expired"', '"validated"', "✗ Missing: validated, GET /orders by kiosk"),
        ("traffic.py", "forged=True)\n", "forged=False)\n", "✗ Missing: rejected: malformed, GET /admin by alice"),
        ("service.py", "    try:\n", "    print(token)\n    try:\n", "key is in the service's output"),
        ("proof.py", "line.replace(old, new)", "line", "✗ With one word of line 14 changed in a copy: intact"),
        (
            "traffic.py",
            '"unverified-token": MALLORY',
            '"unverified-token": BOB',
            "✗ The review: unverified-token names 127.0.0.66",
        ),
        ("service.py", 'HTTPException(403, "Not', 'HTTPException(418, "Not', "✗ POST /orders was answered with 418"),
        ("service.py", "app = FastAPI", "app = Flask", "NameError: name 'Flask' is not defined"),
    ],
    ids=[
        "another verdict",
        "another user",
        "a leak",
        "nothing changed",
        "an honest one",
        "another answer",
        "no service",
    ],
)
def test_the_demo_fails_with(file: str, old: str, new: str, message: str, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    shutil.copytree(DEMO, folder, ignore=shutil.ignore_patterns("__pycache__"))
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    demo = start("--journal", tmp_path / "journal", folder=folder)
    output = end(demo)
    assert demo.returncode == 1, output
    assert message in output


def test_the_demo_takes_its_service_along_when_it_is_told_to_end(tmp_path: Path) -> None:
    demo = start("--journal", tmp_path / "journal")
    assert demo.stdout is not None
    for line in demo.stdout:
        if "clients call it at" in line:
            demo.terminate()
            break
    end(demo)
    assert demo.returncode == 128 + signal.SIGTERM
