"""What tests of ``verify`` share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from opentelemetry.instrumentation.pyjwt.journal.checkpoints import Keys
from opentelemetry.instrumentation.pyjwt.journal.files import find
from opentelemetry.instrumentation.pyjwt.journal.verify import Report, verify
from tests.journal.writing import Signer, Stream, copied, line_of

SIGNER = Signer()


def checked(*paths: Path, key: bool = True, received: Path | None = None, tmp: Path | None = None) -> Report:
    keys = Keys()
    if key:
        file = (tmp or paths[0].parent) / "key.pem"
        file.write_bytes(SIGNER.pem)
        keys = Keys.load([file])
    return verify(find(paths), keys, [received] if received else [])


def found(report: Report) -> list[tuple[str, int | None]]:
    return [(problem.kind, problem.sequence) for problem in report.problems]


def lines_in(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def edit(path: Path, change: Any) -> None:
    lines = lines_in(path)
    change(lines)
    path.write_bytes(b"".join(lines))


def received_from(stream: Stream, path: Path, *, bare: bool = False) -> Path:
    tokens = [one["attributes"][-1]["value"]["stringValue"].encode() + b"\n" for one in stream.checkpoints()]
    path.write_bytes(b"".join(tokens if bare else [line_of(copied(one)) for one in stream.checkpoints()]))
    return path
