"""A directory that others could read or change, or that cannot be written to, is refused, loudly."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import isolated
from tests.journal import book
from tests.support import Trail, mint

FOREIGN = 65534  # somebody else's user id


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701, 0o770, 0o740])
def test_a_directory_that_others_can_look_into_is_refused(
    mode: int, directory: Path, instrument: Callable[..., Trail], messages: Callable[[], list[str]]
) -> None:
    """Loudly, and the events go through the log."""
    directory.mkdir()
    directory.chmod(mode)
    trail = instrument(journal=directory)
    mint()
    assert trail.names == ["jwt.issued"]
    assert list(directory.iterdir()) == []
    (message,) = messages()
    assert f"{directory} is open to others (mode {mode:04o}): chmod 0700 it" in message


def test_a_file_is_no_directory(
    directory: Path, instrument: Callable[..., Trail], messages: Callable[[], list[str]]
) -> None:
    directory.write_text("")
    trail = instrument(journal=directory / "journal")
    mint()
    assert trail.names == ["jwt.issued"]
    assert "cannot be made" in messages()[0]


AS_SOMEBODY_ELSE = """
import os, sys
from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from opentelemetry.instrumentation.pyjwt.sinks import journal
import jwt
from tests.support import Trail, mint
trail = Trail()
PyJWTInstrumentor().instrument()  # what it takes is imported now: the libraries may be for us alone to read
PyJWTInstrumentor().uninstrument()
if os.geteuid() == 0:
    os.seteuid(65534)
PyJWTInstrumentor().instrument(journal=sys.argv[1], logger_provider=trail.logger_provider)
mint()
print(trail.names)
"""


@pytest.mark.parametrize(
    ("owner", "mode", "said"), [(0, 0o700, "belongs to user"), (FOREIGN, 0o500, "cannot be written to")]
)
def test_a_directory_of_somebody_else_or_one_that_is_read_only_is_refused(owner: int, mode: int, said: str) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are for nobody else to enter
        os.chmod(folder, 0o755)
        (directory := Path(folder, "journal")).mkdir()
        directory.chmod(mode)
        if os.geteuid() == 0:
            os.chown(directory, owner, owner)
        elif owner == 0:
            directory = Path("/")
        script = AS_SOMEBODY_ELSE.replace("sys.argv[1]", repr(str(directory)))
        shown = isolated.run(script, OTEL_LOGS_EXPORTER="none")
    assert said in shown.stderr
    assert shown.stdout == "['jwt.issued']\n"


def test_a_directory_that_is_removed_is_made_again(
    journal: Any, directory: Path, messages: Callable[[], list[str]]
) -> None:
    active = journal()
    mint(jti="a")
    shutil.rmtree(directory)
    active.tick()
    assert "Somebody has removed" in messages()[0]
    mint(jti="b")
    assert [one["jwt.jti"] for one in book.records(directory)] == ["b"]
