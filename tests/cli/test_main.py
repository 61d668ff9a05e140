"""What each command says of an extra that is missing, and that nothing of it all is there in plain mode."""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests import isolated
from tests.journal.writing import Signer, Stream, some

RUN = """
    import sys
    for name in {absent}:
        sys.modules[name] = None
    sys.argv = ["jwt-audit", *{arguments}]
    from opentelemetry.instrumentation.pyjwt.cli import main
    main()
"""


@pytest.mark.parametrize("command", ["verify", "trail"])
@pytest.mark.parametrize("absent", ["typer", "rich"])
def test_an_extra_that_is_missing(command: str, absent: str) -> None:
    names = [absent, "rich.console", "rich.progress"] if absent == "rich" else [absent]
    done = isolated.run(RUN.format(absent=names, arguments=[command, "x"]), check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert 'is not installed: pip install "opentelemetry-instrumentation-pyjwt[cli]"' in done.stderr


def test_cryptography_is_needed_for_keys_only(tmp_path: Path) -> None:
    signer = Signer()
    some(Stream(signer), 10).save(tmp_path / "journal")
    (tmp_path / "key.pem").write_bytes(signer.pem)
    absent = ["cryptography", "cryptography.hazmat.primitives.asymmetric.ed25519", "cryptography.exceptions"]
    arguments = ["verify", str(tmp_path / "journal")]
    assert isolated.run(RUN.format(absent=absent, arguments=arguments)).stdout.startswith("intact")
    arguments += ["--public-key", str(tmp_path / "key.pem")]
    done = isolated.run(RUN.format(absent=absent, arguments=arguments), check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "opentelemetry-instrumentation-pyjwt[cli]" in done.stderr


def test_nothing_of_it_is_imported_in_plain_mode() -> None:
    shown = isolated.run("""
    import json, sys
    from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
    PyJWTInstrumentor().instrument()
    import jwt
    jwt.decode(jwt.encode({"sub": "a"}, "k" * 32), "k" * 32, ["HS256"])
    ours = [name.split("pyjwt.")[1] for name in sys.modules if "instrumentation.pyjwt." in name]
    print(json.dumps([name for name in ours if name.startswith(("journal", "cli"))]))
    """)
    assert json.loads(shown.stdout) == []


def test_the_command_is_installed() -> None:
    (script,) = entry_points(group="console_scripts", name="jwt-audit")
    assert script.value == "opentelemetry.instrumentation.pyjwt.cli:main"
