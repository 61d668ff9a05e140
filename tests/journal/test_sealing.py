"""Segments are encrypted once they are closed and delivered: which, when, to whom, and what a crash leaves."""

from __future__ import annotations

import fcntl
import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from opentelemetry.instrumentation.pyjwt.journal import companion, retention
from opentelemetry.instrumentation.pyjwt.journal.destination import Destination
from opentelemetry.instrumentation.pyjwt.journal.forwarder import Forwarder
from opentelemetry.instrumentation.pyjwt.journal.locks import create_lock
from opentelemetry.instrumentation.pyjwt.journal.sealing import Sealer
from opentelemetry.instrumentation.pyjwt.journal.segments import hold
from tests import isolated
from tests.forwarder import journal as written
from tests.forwarder.receiver import serving
from tests.journal import book
from tests.support import mint

IDENTITY = pyrage.x25519.Identity.generate()
RECIPIENT = str(IDENTITY.to_public())
STREAM, OTHER = written.STREAM, written.OTHER
KILLS = int(os.environ.get("JWT_AUDIT_SEALING_KILLS", "15"))


def opened(path: Path) -> bytes:
    return pyrage.decrypt(path.read_bytes(), [IDENTITY])


def sealed(path: Path) -> Path:
    return path.with_name(path.name + ".age")


def deliver(directory: Path) -> list[str]:
    """Have all of it delivered; gives the ids that were acknowledged."""
    with serving() as receiver, closing(Forwarder(directory, Destination("http/json", receiver.url))) as forwarder:
        forwarder.turn()
        return receiver.acknowledged


def settle(path: Path) -> Path:
    with hold(path) as held:
        assert held is not None
        held.settle(held.size())
    return path


# --- What is sealed ---------------------------------------------------------------------------------------------------


def test_what_is_closed_and_delivered_is_sealed_and_nothing_else(journal: Callable[..., Any], directory: Path) -> None:
    active = journal(rotate_bytes=10_000)
    for number in range(30):
        mint(jti=str(number))
    expected = book.records(directory)
    sealer = Sealer([RECIPIENT])
    assert sealer.round(directory) == 0  # nothing of it is delivered
    *closed, live = sorted(directory.glob("*.jsonl"))
    texts = {path: path.read_bytes() for path in closed}
    assert len(texts) > 3
    assert deliver(directory) == [one["audit.record.id"] for one in expected]
    ages = [path.stat().st_mtime_ns for path in closed]
    assert sealer.round(directory) == len(closed)
    assert sorted(directory.iterdir()) == sorted(
        [*map(sealed, closed), live, live.with_name(f"{live.name}.position"), *directory.glob("*.lock")]
    )
    assert [opened(sealed(path)) for path in closed] == list(texts.values())
    assert [sealed(path).stat().st_mtime_ns for path in closed] == ages  # by which retention goes
    assert {sealed(path).stat().st_mode & 0o777 for path in closed} == {0o600}
    assert (sealer.round(directory), deliver(directory), active.pending()) == (0, [], 0)
    mint(jti="on")
    assert any(b'"on"' in path.read_bytes() for path in directory.glob("*.jsonl"))


def test_a_dead_process_s_last_segment_is_sealed_without_what_was_torn(tmp_path: Path) -> None:
    path = written.write(tmp_path, STREAM, 1, 3, tail=b'{"resourceLogs"')
    written.dead(tmp_path, STREAM)
    text = path.read_bytes()
    assert len(deliver(tmp_path)) == 3
    assert Sealer([RECIPIENT]).round(tmp_path) == 1
    assert opened(sealed(path)) == text
    assert (tmp_path / "torn" / path.name).read_bytes() == b'{"resourceLogs"'


def test_what_somebody_has_in_hand_is_left_and_dead_letters_always_are(tmp_path: Path) -> None:
    path = settle(written.write(tmp_path, STREAM, 1, 3))
    letter = tmp_path / "dead-letter" / path.name
    letter.parent.mkdir()
    letter.write_bytes(b"{}\n")
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert Sealer([RECIPIENT]).round(tmp_path) == 0
    assert Sealer([RECIPIENT]).round(tmp_path) == 1
    assert letter.exists()


def test_every_recipient_can_open_it(tmp_path: Path) -> None:
    other, key = pyrage.x25519.Identity.generate(), Ed25519PrivateKey.generate()
    path = settle(written.write(tmp_path / "journal", STREAM, 1, 3))
    text = path.read_bytes()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    assert Sealer([RECIPIENT, str(other.to_public()), f"{public} me@host"]).round(path.parent) == 1
    for identity in (IDENTITY, other, pyrage.ssh.Identity.from_buffer(secret)):
        assert pyrage.decrypt(sealed(path).read_bytes(), [identity]) == text


@pytest.mark.parametrize(
    ("exporter", "endpoint", "seals"),
    [("none", None, True), (" NONE ", None, True), ("none", "http://127.0.0.1:9", False), ("otlp", None, False)],
)
def test_where_nothing_is_delivered_nothing_waits_for_it(
    exporter: str, endpoint: str | None, seals: bool, journal: Any, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", exporter)
    active = journal(recipients=RECIPIENT, endpoint=endpoint)
    mint()
    written.write(directory, STREAM, 1, 3)
    assert active.sealer.round(directory) == seals
    assert len(list(directory.glob("*.jsonl"))) == 2 - seals  # never what is being written


# --- Recipients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipients", "number"),
    [
        ("age1xx", 1),
        (f"{RECIPIENT},age1xx", 2),
        (str(IDENTITY), 1),
        ("ssh-rsa AAAA", 1),
        (f"{RECIPIENT}, ssh-dss AAAA", 2),
    ],
    ids=["short", "second", "secret", "ssh", "dss"],
)
def test_a_recipient_that_is_none_is_an_error_and_the_journal_is_written_without(
    recipients: str, number: int, journal: Any, directory: Path, messages: Callable[[], list[str]]
) -> None:
    active = journal(recipients=recipients)
    mint()
    assert len(book.records(directory)) == 1
    (message,) = messages()
    assert message.startswith(f"OTEL_PYTHON_PYJWT_JOURNAL_RECIPIENTS: recipient {number} is neither")
    assert message.endswith("the journal is NOT encrypted.")
    assert "SECRET" not in message
    assert active.sealer is None


def test_that_the_library_is_missing_is_an_error(
    journal: Any, messages: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyrage", None)
    assert journal(recipients=RECIPIENT).sealer is None
    (message,) = messages()
    assert "pyrage" in message


def test_without_recipients_nothing_of_it_is_imported(directory: Path) -> None:
    shown = isolated.run(f"""
    import sys
    from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
    PyJWTInstrumentor().instrument(journal={str(directory)!r})
    from tests.support import mint
    mint()
    print("pyrage" in sys.modules)
    """)
    assert shown.stdout == "False\n"


# --- Who does it, and how it ends -------------------------------------------------------------------------------------


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "jwt-audit-sealing"]


def test_a_thread_does_it_and_ends_with_the_process(
    journal: Any, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, real = threading.Event(), Sealer.round
    over: list[Callable[[], bool]] = []

    def observed(self: Sealer, folder: Path, asked: Callable[[], bool]) -> int:
        over.append(asked)
        if count := real(self, folder, asked):
            done.set()
        return count

    monkeypatch.setattr(Sealer, "round", observed)
    monkeypatch.setattr(companion, "_SEAL", 0.05)
    journal(recipients=RECIPIENT)
    path = settle(written.write(directory, STREAM, 1, 3))
    assert threads() == []
    mint()
    assert done.wait(20)
    assert sealed(path).exists()
    assert not over[0]()
    started = time.monotonic()
    PyJWTInstrumentor().uninstrument()
    assert time.monotonic() - started < 2
    assert over[0]()
    assert threads() == []


def test_what_cannot_be_sealed_is_said_and_holds_nothing_else_up(
    journal: Any, directory: Path, messages: Callable[[], list[str]]
) -> None:
    active = journal(recipients=RECIPIENT)
    first, second = (settle(written.write(directory, stream, 1, 3)) for stream in (STREAM, OTHER))
    obstacle = first.with_name(f"{first.name}.age.tmp")
    obstacle.symlink_to("/dev/full")
    clockwork = companion._sealing(active)
    assert clockwork is not None
    clockwork._tick()
    (message,) = messages()
    assert f"journal in {directory} can be sealed" in message
    assert first.exists()
    assert not sealed(first).exists()
    assert opened(sealed(second))


def test_a_full_disk_leaves_the_plain_segment_and_no_part_of_another(tmp_path: Path) -> None:
    path = settle(written.write(tmp_path, STREAM, 1, 200))
    shown = isolated.run(f"""
    import resource, signal
    from pathlib import Path
    from opentelemetry.instrumentation.pyjwt.journal.sealing import Sealer
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        Sealer([{RECIPIENT!r}]).round(Path({str(tmp_path)!r}))
    except OSError as error:
        print(error)
    """)
    assert "File too large" in shown.stdout
    assert sorted(tmp_path.iterdir()) == [path, path.with_name(f"{path.name}.position")]


def test_it_stops_in_the_midst_of_a_segment(tmp_path: Path) -> None:
    path = settle(written.write(tmp_path, STREAM, 1, 200))
    asked: list[bool] = []

    def over() -> bool:
        asked.append(len(asked) > 3)
        return asked[-1]

    assert Sealer([RECIPIENT]).round(tmp_path, over) == 0
    assert sorted(tmp_path.iterdir()) == [path, path.with_name(f"{path.name}.position")]


def test_the_plain_one_goes_when_the_other_is_on_the_disk_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = settle(written.write(tmp_path, STREAM, 1, 3))
    real, seen = os.fsync, []

    def observed(descriptor: int) -> None:
        seen.append(
            (os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")), path.exists(), sealed(path).exists())
        )
        real(descriptor)

    monkeypatch.setattr(os, "fsync", observed)
    Sealer([RECIPIENT]).round(tmp_path)
    assert seen == [(f"{path.name}.age.tmp", True, False), (tmp_path.name, True, True)]
    assert (path.exists(), sealed(path).exists()) == (False, True)


def test_where_both_are_there_it_is_done_again(tmp_path: Path) -> None:
    """A crash between the two; and the sealed one that counts is the one of the plain one that is there."""
    path = settle(written.write(tmp_path, STREAM, 1, 3))
    text = path.read_bytes()
    sealed(path).write_bytes(b"another")
    path.with_name(f"{path.name}.age.tmp").write_bytes(b"a part")
    lock = create_lock(tmp_path, OTHER)
    assert Sealer([RECIPIENT]).round(tmp_path) == 1
    os.close(lock)
    assert opened(sealed(path)) == text
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted([f"{OTHER}.lock", sealed(path).name])


def test_a_position_that_a_crash_left_goes_with_the_segment(tmp_path: Path) -> None:
    path = settle(written.write(tmp_path, STREAM, 1, 3))
    path.rename(sealed(path))
    os.utime(sealed(path), (0, 0))
    retention.sweep(tmp_path, 86400)
    assert list(tmp_path.iterdir()) == []


def test_killed_at_any_moment_each_segment_is_there(tmp_path: Path) -> None:
    program = Path(__file__).with_name("killed_sealing.py")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([*filter(None, sys.path), str(isolated.ROOT)])}
    command = [sys.executable, program, tmp_path, str(KILLS)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60 + KILLS, check=False)
    assert done.returncode == 0, done.stderr
    # Segments that were found plain, sealed and both: kills came before, after and in the midst.
    plain, whole, parts = map(int, done.stdout.split())
    assert plain > KILLS
    assert whole > KILLS
    assert parts > 0


def test_a_large_segment_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    text = written.line(STREAM, 1)
    path = tmp_path / f"{STREAM}.{1:012d}.jsonl"
    path.write_bytes(text * (32 * 2**20 // len(text)))
    (tmp_path / "identity").write_text(str(IDENTITY))
    shown = isolated.run(f"""
    import pathlib, pyrage
    from opentelemetry.instrumentation.pyjwt.journal import files
    from opentelemetry.instrumentation.pyjwt.journal.sealing import Sealer
    from opentelemetry.instrumentation.pyjwt.journal.unsealing import Identities
    def peak():
        status = pathlib.Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0])
    folder = pathlib.Path({str(tmp_path)!r})
    identities = Identities.load([folder / "identity"])
    before = peak()
    assert Sealer([{RECIPIENT!r}], undelivered=True).round(folder) == 1
    (segment,) = files.find([folder], identities).segments
    print(sum(1 for _ in files.lines(segment.path, None, identities)), peak() - before)
    """)
    count, grown = map(int, shown.stdout.split())
    assert count == 32 * 2**20 // len(text)
    assert grown < 8 * 1024  # KiB


def test_each_file_is_age_s_format_and_of_no_other_size(tmp_path: Path) -> None:
    path = settle(written.write(tmp_path, STREAM, 1, 3))
    size = path.stat().st_size
    Sealer([RECIPIENT]).round(tmp_path)
    data = sealed(path).read_bytes()
    assert data.startswith(b"age-encryption.org/v1\n-> X25519 ")
    assert size < len(data) < size + 1000
    plain = io.BytesIO()
    pyrage.decrypt_io(io.BytesIO(data), plain, [IDENTITY])
    assert plain.getvalue().count(b"\n") == 3
