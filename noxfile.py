"""What `make` does not do: other versions of PyJWT and Python, other projects' suites, the built wheel."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import nox

sys.path.insert(0, str(Path(__file__).parent))
from tests.support_report import DISTRIBUTIONS

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["lint", "types", "tests", "wheel", "oldest", "libraries", "peers"]
# A machine without the oldest or the newest Python still runs the rest, in CI too.
nox.options.error_on_missing_interpreters = False

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
NEWEST = "newest"

# PyJWT as it was when its API last changed under us, the oldest on the oldest Python there is here; then the newest of
# both. The newest on the Python at hand is what `make test` runs.
MATRIX = [
    (PYTHONS[0] if shutil.which(f"python{PYTHONS[0]}") else HERE, "2.8.0"),
    *((HERE, pyjwt) for pyjwt in ("2.10.1", "2.11.0")),
    (PYTHONS[-1], NEWEST),
]

# How a framework serves a request does not depend on PyJWT: older ones are tried with a few of them.
NOT_WITH_OLDER = ("aiohttp", "falcon", "litestar", "ninja", "pyramid", "quart", "sanic", "tornado")

# A journal has next to nothing to do with PyJWT, and others' programs have with neither it nor the Python.
JOURNAL = ("tests/journal", "tests/forwarder", "tests/cli", "tests/review")
ONCE = (
    "tests/collector",
    "tests/forwarder/test_service.py",
    "tests/journal/test_servers.py",
    "tests/review/replay",
    "tests/test_demo.py",
)

# Libraries on top of PyJWT, which say which versions of it they can do with; 4.7.3 does not say that it needs 2.11.
ON_TOP = ("Flask-JWT-Extended != 4.7.3",)

# Groups of the oldest releases that are supported, each with what those need about them.
OLDEST = [name for name in PROJECT["dependency-groups"] if name.startswith("oldest-")]


def pins(python: str) -> str:
    """The constraints file for that Python."""
    own = ROOT / f"constraints-{python}.txt"
    return str(own if own.exists() else ROOT / "constraints.txt")


def group(name: str) -> list[str]:
    """The requirements of a dependency group; the pip of a fresh venv may be too old to read them itself."""
    return nox.project.dependency_groups(PROJECT, name)


def folders_of(requirements: list[str]) -> list[str]:
    """The folders under tests/integrations that are about these distributions."""
    names = {re.split(r"[ =<>!~\[]", one)[0] for one in requirements}
    return [folder for folder, name in DISTRIBUTIONS.items() if name in names]


def build_wheel(session: nox.Session) -> Path:
    folder = Path(session.create_tmp()).resolve() / "dist"
    for old in folder.glob("*.whl"):
        old.unlink()
    session.run("python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    return wheel


@nox.session
@nox.parametrize("python,pyjwt", list(dict.fromkeys(MATRIX)))
def tests(session: nox.Session, pyjwt: str) -> None:
    """The project's tests on an installed copy, with that PyJWT: it goes in last, since the pins name another.

    Libraries that need a newer PyJWT than that go back to their last release that does not, or stay away.
    """
    libraries, chosen = group("libraries"), []
    if pyjwt != NEWEST:
        libraries, chosen = [], ["-k", f"not ({' or '.join(NOT_WITH_OLDER)})"]
    session.install("--constraint", pins(str(session.python)), str(ROOT), *group("test"), *libraries)
    session.install(*(["--upgrade", "PyJWT"] if pyjwt == NEWEST else [f"PyJWT=={pyjwt}", *ON_TOP]))
    session.run("python", "-c", "import jwt; print('PyJWT', jwt.__version__)")
    apart = [*ONCE, *(JOURNAL if session.python == HERE else ())]
    chosen += [f"--ignore={folder}" for folder in apart]
    session.run("python", "-m", "pytest", "--numprocesses", "auto", *chosen, *session.posargs)


@nox.session
def libraries(session: nox.Session) -> None:
    """The oldest release that is supported of each library and framework, one group after another."""
    session.install("--constraint", pins(HERE), str(ROOT), *group("test"), *group("libraries"))
    for name in OLDEST:
        session.install(*group(name))
        folders = [str(ROOT / "tests/integrations" / folder) for folder in folders_of(group(name))]
        session.run("python", "-m", "pytest", "--numprocesses", "auto", *folders, *session.posargs)


@nox.session
def peers(session: nox.Session) -> None:
    """Other projects' own tests, bare and under the instrumentation, compared test by test."""
    arguments = [str(build_wheel(session)), "--constraint", pins(HERE), *session.posargs]
    # Nox would have temporary files in this repository, and suites without a pytest configuration would find ours.
    session.run("python", "tests/peers/run.py", *arguments, env={"TMPDIR": None})


@nox.session
def oldest(session: nox.Session) -> None:
    """The wheel with the oldest release of each dependency that the project promises to work with."""
    requirements = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["instruments"]]
    api = next(one for one in requirements if one.startswith("opentelemetry-api"))
    requirements.append(api.replace("-api", "-sdk"))
    session.install(str(build_wheel(session)), *(one.replace(">=", "==") for one in requirements))
    with session.chdir(session.create_tmp()):
        session.run("python", "-W", "error", str(ROOT / "tests/oldest.py"))


@nox.session
def lint(session: nox.Session) -> None:
    session.install("--constraint", pins(HERE), *group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    session.install("--constraint", pins(HERE), "--editable", str(ROOT), *group("dev"))
    session.run("mypy")


@nox.session
def wheel(session: nox.Session) -> None:
    """The wheel as a user gets it: it installs, is found, and leaves the shared namespace whole when it goes."""
    built = build_wheel(session)
    session.install("--constraint", pins(HERE), f"{built}[instruments]")
    with session.chdir(session.create_tmp()):  # away from the sources
        session.run("python", str(ROOT / "tests/wheel.py"), "installed", str(built))
        session.run("python", "-m", "pip", "uninstall", "--quiet", "--yes", PROJECT["project"]["name"])
        session.run("python", str(ROOT / "tests/wheel.py"), "gone")
