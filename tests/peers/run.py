"""Runs other projects' test suites twice, without and with the instrumentation, and compares them test by test.

    python tests/peers/run.py WHEEL [--constraint FILE] [--only NAME]

For each project and version: its released source, a fresh virtual environment with the project and what its tests
need, and a first run. Then WHEEL and an OpenTelemetry SDK join the same environment for a second run, with
`peers_plugin.py` loaded before anything else. The suites keep their own pytest configuration, warnings included.

Exits with 1 if any test ended differently, if a suite ran no test, if the second run recorded nothing, or if the
instrumentation met an error of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

NEWEST = "newest"
# What secrets.token_urlsafe(32) gives, as a test's first parameter: another in each run.
RANDOM_ID = re.compile(r"\[[\w-]{43}(?=[-\]])")
PLUGIN = Path(__file__).with_name("peers_plugin.py")


class Peer(NamedTuple):
    """A project whose tests must not notice us."""

    name: str
    versions: tuple[str, ...]
    requires: tuple[str, ...]
    package: str
    """Its package in the source tree: hidden, since the installed one is to be tested."""
    start: tuple[str, ...] = ("-m", "pytest")
    """How its maintainers start the suite, after `python`."""


PEERS = (
    # `-b`, as in PyJWT's own tox.ini. Up to 2.10.1 one of the tests fetches keys from a public server: without
    # internet access it fails, in both runs.
    Peer("PyJWT", ("2.8.0", "2.10.1", NEWEST), ("pytest", "cryptography"), "jwt", ("-b", "-m", "pytest")),
    Peer("Flask-JWT-Extended", ("4.5.3", NEWEST), ("pytest", "cryptography", "python-dateutil"), "flask_jwt_extended"),
    # Some of its tests sign ES384 and ES512 with a key of another curve, or verify with a certificate: what newer
    # versions of PyJWT refuse fails in both runs.
    Peer(
        "djangorestframework-simplejwt",
        (NEWEST,),
        ("pytest", "pytest-django", "cryptography", "django", "djangorestframework", "freezegun", "python-jose"),
        "rest_framework_simplejwt",
    ),
    Peer(
        "fastapi-users",
        (NEWEST,),
        (
            "pytest",
            "pytest-asyncio",
            "pytest-mock",
            "httpx",
            "asgi-lifespan",
            "httpx-oauth",
            "redis",
            "fastapi",
            "cryptography",
        ),
        "fastapi_users",
    ),
    Peer(
        "authx",
        (NEWEST,),
        ("pytest", "pytest-asyncio", "pytest-pretty", "httpx", "httpx2", "freezegun", "fastapi", "cryptography"),
        "authx",
    ),
    # Of its thousands of tests, those of the parts that use JWTs, with the project of its own that is made for them.
    Peer(
        "django-allauth",
        (NEWEST,),
        (
            "pytest",
            "pytest-asyncio",
            "pytest-django",
            "django-allauth[headless,headless-spec,idp-oidc,mfa,openid,saml,socialaccount]",
            "django-ninja",
            "djangorestframework",
        ),
        "allauth",
        (
            "-m",
            "pytest",
            "tests/apps/headless",
            "tests/apps/idp",
            "--ds=tests.projects.headless_only.settings",
        ),
    ),
)

Outcomes = dict[str, tuple[str, ...]]


class Comparison(NamedTuple):
    """One suite's two runs."""

    suite: str
    bare: Outcomes
    instrumented: Outcomes
    records: int
    faults: tuple[str, ...] = ()
    """What the instrumentation logged as errors of its own."""

    @property
    def differences(self) -> list[str]:
        return [
            f"{test}: {said(self.bare.get(test))}, with the instrumentation {said(self.instrumented.get(test))}"
            for test in sorted(self.bare.keys() | self.instrumented.keys())
            if self.bare.get(test) != self.instrumented.get(test)
        ]

    @property
    def problems(self) -> list[str]:
        problems = [*self.differences, *self.faults]
        if not self.bare:
            problems.append("no test ran")
        if not self.records:
            problems.append("the instrumentation recorded nothing")
        return [f"{self.suite}: {problem}" for problem in problems]

    def row(self) -> str:
        counts = Counter(kind.partition(" ")[0] for kinds in self.instrumented.values() for kind in kinds)
        failed = counts["failure"] + counts["error"]
        return (
            f"{self.suite:20} {len(self.instrumented):6} {counts['passed']:7} {failed:7} {counts['skipped']:8} "
            f"{self.records:8} {len(self.differences):12}"
        )


HEADER = f"{'suite':20} {'tests':>6} {'passed':>7} {'failed':>7} {'skipped':>8} {'records':>8} {'differences':>12}"


def said(outcome: tuple[str, ...] | None) -> str:
    return " + ".join(outcome) if outcome else "not run"


def outcomes(report: Path) -> Outcomes:
    """Test id to outcome, from a JUnit report.

    A test has more than one outcome when, say, its teardown failed too. What was skipped keeps its kind: an expected
    failure is not the same as a missing requirement.
    """
    found: Outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):
        test = RANDOM_ID.sub("[*", f"{case.get('classname')}::{case.get('name')}")
        kinds = [
            f"{child.tag} {child.get('type')}" if child.tag == "skipped" else child.tag
            for child in case
            if child.tag in {"failure", "error", "skipped"}
        ]
        found[test] = (*found.get(test, ()), *(kinds or ["passed"]))
    return found


def source(peer: Peer, version: str, folder: Path) -> Path:
    """The released source of `peer`, unpacked; without its package, and outside any other project's configuration."""
    wanted = peer.name if version == NEWEST else f"{peer.name}=={version}"
    pip(sys.executable, "download", "--no-deps", "--no-binary", peer.name, "--dest", str(folder), wanted)
    (archive,) = folder.glob("*.tar.gz")
    shutil.unpack_archive(archive, folder)
    tree = folder / archive.name.removesuffix(".tar.gz")
    shutil.rmtree(tree / peer.package)
    return tree


def pip(python: str, *arguments: str) -> None:
    subprocess.run([python, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments], check=True)


def suite(python: str, peer: Peer, tree: Path, report: Path, *options: str, **variables: str) -> Outcomes:
    """One run of the suite. That tests fail is a result; that pytest could not do its work is an error."""
    ours = ("OTEL_", "PYTEST_", "PYTHON")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    # Parameters that come from a set keep their order, and with it their test ids, in both runs.
    environment |= {"PYTHONHASHSEED": "0", **variables}
    command = [python, *peer.start, *options, f"--junitxml={report}"]
    done = subprocess.run(command, cwd=tree, env=environment, text=True, capture_output=True, check=False)
    report.with_suffix(".txt").write_text(done.stdout + done.stderr)
    if done.returncode not in (0, 1):
        sys.exit(f"{peer.name}: pytest ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return outcomes(report)


def compare(peer: Peer, version: str, wheel: Path, constraint: list[str], folder: Path) -> Comparison:
    folder.mkdir()
    tree = source(peer, version, folder)
    version = tree.name.rpartition("-")[2]

    venv.create(folder / "venv", with_pip=True)
    python = str(folder / "venv" / "bin" / "python")
    pip(python, "install", *constraint, *peer.requires)
    pip(python, "install", f"{peer.name}=={version}")
    bare = suite(python, peer, tree, folder / "bare.xml")

    pip(python, "install", *constraint, str(wheel), "opentelemetry-sdk")
    seen = folder / "seen.json"
    instrumented = suite(
        python,
        peer,
        tree,
        folder / "instrumented.xml",
        "-p",
        PLUGIN.stem,
        PYTHONPATH=str(PLUGIN.parent),
        PEERS_SEEN=str(seen),
    )
    counted = json.loads(seen.read_text())
    return Comparison(f"{peer.name} {version}", bare, instrumented, counted["records"], tuple(counted["faults"]))


def main() -> int:
    parser = argparse.ArgumentParser(description="Other projects' tests, without and with the instrumentation.")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--constraint", help="pins for everything but the projects under test")
    parser.add_argument("--only", help="the one project to run")
    arguments = parser.parse_args()
    constraint = ["--constraint", arguments.constraint] if arguments.constraint else []

    folder = Path(tempfile.mkdtemp(prefix="peers-"))
    chosen = [(peer, version) for peer in PEERS if arguments.only in (None, peer.name) for version in peer.versions]
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        runs = [
            workers.submit(compare, peer, version, arguments.wheel, constraint, folder / f"{peer.name}-{version}")
            for peer, version in chosen
        ]
        compared = [run.result() for run in runs]
    print(HEADER, *(comparison.row() for comparison in compared), sep="\n")

    problems = [problem for comparison in compared for problem in comparison.problems]
    if problems or not compared:
        print("", *(problems or ["no suite of that name"]), f"What pytest said is in {folder}", sep="\n")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
