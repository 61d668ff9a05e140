"""``jwt-audit seal`` and ``decrypt``, and ``--identity``: words, JSON and exit codes."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from typer.testing import CliRunner, Result

from opentelemetry.instrumentation.pyjwt.cli.app import app
from tests import isolated
from tests.forwarder import journal as written
from tests.journal.writing import Signer, Stream, some

IDENTITY = pyrage.x25519.Identity.generate()
PUBLIC = str(IDENTITY.to_public())


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    path = tmp_path / "identity"
    path.write_text(f"# created: 2026-11-24T00:00:00Z\n# public key: {PUBLIC}\n{IDENTITY}\n")
    return path


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Sealed."""
    some(Stream(Signer()), 600).save(tmp_path / "journal")
    done = run("seal", tmp_path / "journal", "--recipient", PUBLIC, "--undelivered", "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"sealed": 3})
    return tmp_path / "journal"


# --- seal -------------------------------------------------------------------------------------------------------------


def test_what_is_not_delivered_is_not_sealed_unless_one_says_so(tmp_path: Path) -> None:
    written.write(tmp_path, written.STREAM, 1, 3)
    assert run("seal", tmp_path, "--recipient", PUBLIC).stdout == "0 sealed\n"
    assert run("seal", tmp_path, "--recipient", PUBLIC, "--undelivered").stdout == "1 sealed\n"


@pytest.mark.parametrize(
    ("path", "recipient"),
    [("none", PUBLIC), (".", "age1xx"), (".", str(IDENTITY))],
    ids=["no directory", "no recipient", "a secret"],
)
def test_what_cannot_be_sealed_is_said(path: str, recipient: str, tmp_path: Path) -> None:
    done = run("seal", tmp_path / path, "--recipient", recipient)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "SECRET" not in done.stderr


# --- decrypt ----------------------------------------------------------------------------------------------------------


def test_it_is_printed_in_order(journal: Path, identity: Path) -> None:
    done = run("decrypt", journal, "--identity", identity)
    assert done.exit_code == 0
    numbers = [
        next(
            int(one["value"]["intValue"])
            for one in json.loads(line)["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["attributes"]
            if one["key"] == "audit.sequence.number"
        )
        for line in done.stdout.splitlines()
    ]
    assert numbers == list(range(1, 601))


def test_it_is_written_to_a_directory_for_its_owner_alone(journal: Path, identity: Path, tmp_path: Path) -> None:
    target = tmp_path / "plain" / "here"
    done = run("decrypt", journal, "--identity", identity, "--output", target, "--json")
    names = sorted(path.name.removesuffix(".age") for path in journal.glob("*.age"))
    assert json.loads(done.stdout) == {"decrypted": [str(target / name) for name in names]}
    assert sorted(path.name for path in target.iterdir()) == names
    assert {path.stat().st_mode & 0o777 for path in target.iterdir()} == {0o600}
    assert target.stat().st_mode & 0o777 == 0o700
    assert run("verify", target).exit_code == 0
    again = run("decrypt", journal, "--identity", identity, "--output", target)
    assert (again.exit_code, "is there already" in again.stderr) == (2, True)


def test_an_ssh_key_will_do(tmp_path: Path) -> None:
    for number, key in enumerate((Ed25519PrivateKey.generate(), generate_rsa_key(65537, 2048))):
        path = written.write(tmp_path / str(number), written.STREAM, 1, 3)
        text = path.read_bytes()
        public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        assert run("seal", path.parent, "--recipient", public, "--undelivered").exit_code == 0
        (secret := tmp_path / "id").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        done = run("decrypt", path.with_name(f"{path.name}.age"), "--identity", secret)
        assert (done.exit_code, done.stdout_bytes) == (0, text)


def test_the_wrong_identity_is_said_with_the_file(journal: Path, tmp_path: Path) -> None:
    (stranger := tmp_path / "stranger").write_text(str(pyrage.x25519.Identity.generate()))
    first = min(journal.glob("*.age"))
    for command in (["decrypt"], ["decrypt", "--output", tmp_path / "out"], ["verify"], ["trail", "--jti", "t1"]):
        done = run(*command, journal, "--identity", stranger)
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert f"{first} is sealed to none of the identities given" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_a_damaged_one_is_said_and_the_others_are_decrypted(journal: Path, identity: Path, tmp_path: Path) -> None:
    first, second, third = sorted(journal.glob("*.age"))
    second.write_bytes(second.read_bytes()[:-1])
    done = run("decrypt", journal, "--identity", identity, "--output", tmp_path / "out")
    assert (done.exit_code, done.stderr) == (1, f"jwt-audit: {second} is damaged, or cut off\n")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [first.stem, third.stem]
    assert run("decrypt", journal, "--identity", identity).exit_code == 1
    verified = run("verify", journal, "--identity", identity, "--json")
    assert verified.exit_code == 1
    assert [one["kind"] for one in json.loads(verified.stdout)["problems"]] == ["changed"]


PASSPHRASE = BestAvailableEncryption(b"secret")


def protected_ssh_key() -> bytes:
    """As ssh-keygen writes it; ``cryptography`` would need bcrypt for that."""

    def field(text: bytes) -> bytes:
        return len(text).to_bytes(4, "big") + text

    derivation = field(os.urandom(16)) + (16).to_bytes(4, "big")
    public = field(b"ssh-ed25519") + field(os.urandom(32))
    parts = [field(b"aes256-ctr"), field(b"bcrypt"), field(derivation), (1).to_bytes(4, "big"), field(public)]
    text = base64.encodebytes(b"openssh-key-v1\0" + b"".join(parts) + field(os.urandom(160)))
    return b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + text + b"-----END OPENSSH PRIVATE KEY-----\n"


ED25519 = Ed25519PrivateKey.generate()
NO_IDENTITIES = {
    "nothing": b"",
    "comments": b"# created: today\n\n",
    "text": b"hello\n",
    "bytes": b"\xff\xfe",
    "a recipient": PUBLIC.encode(),
    "cut": str(IDENTITY).encode()[:-1],
    "protected": pyrage.passphrase.encrypt(str(IDENTITY).encode(), "secret"),
    "protected, as text": b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCA=\n",
    "SSH, protected": protected_ssh_key(),
    "PEM, protected": ED25519.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, PASSPHRASE),
    "SSH, ECDSA": generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
}


@pytest.mark.parametrize("text", NO_IDENTITIES.values(), ids=NO_IDENTITIES)
def test_what_is_no_identity_is_said_with_the_file_and_without_the_key(
    text: bytes, journal: Path, tmp_path: Path
) -> None:
    (path := tmp_path / "key").write_bytes(text)
    done = run("decrypt", journal, "--identity", path)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert str(path) in done.stderr
    assert "AGE-SECRET" not in done.stderr
    if text.startswith((b"age-", b"-----BEGIN AGE")):
        assert "is protected by a passphrase: decrypt it first (age -d)" in done.stderr
    elif b"OPENSSH" in text:
        assert ("must be decrypted first" in done.stderr) is (text == NO_IDENTITIES["SSH, protected"])


def test_several_identities_may_be_tried(journal: Path, identity: Path, tmp_path: Path) -> None:
    (stranger := tmp_path / "stranger").write_text(str(pyrage.x25519.Identity.generate()))
    assert run("verify", journal, "--identity", stranger, "--identity", identity).exit_code == 0
    assert run("trail", journal, "--jti", "t1", "--identity", stranger, "--identity", identity).exit_code == 0


@pytest.mark.parametrize("command", [["verify"], ["trail", "--jti", "t1"]])
def test_without_an_identity_what_is_missing_is_said(command: list[str], journal: Path) -> None:
    done = run(*command, journal)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "is sealed: name the file of an identity that opens it (--identity)" in done.stderr


@pytest.mark.parametrize("more", [["--json"], ["--output", "identity"], ["--identity", "none"]])
def test_what_cannot_be_decrypted_is_said(
    more: list[str], journal: Path, identity: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(identity.parent)
    done = run("decrypt", journal, "--identity", identity, *more)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(("output", "said"), [("/dev/full", "jwt-audit: standard output: No space"), (None, "")])
def test_an_output_that_takes_no_more_is_said_and_one_that_is_closed_is_not(
    output: str | None, said: str, journal: Path, identity: Path
) -> None:
    arguments = ["jwt-audit", "decrypt", str(journal), "--identity", str(identity)]
    shown = isolated.run(
        f"""
        import os, sys
        reading, writing = os.pipe()
        os.close(reading)
        output = {output!r} and os.open({output!r}, os.O_WRONLY) or writing
        os.dup2(output, 1)
        sys.argv = {arguments!r}
        from opentelemetry.instrumentation.pyjwt.cli import main
        main()
        """,
        check=False,
    )
    assert shown.returncode != 0
    assert shown.stderr.startswith(said)
    assert shown.stderr.count("\n") == bool(said)


def test_where_nothing_is_sealed_that_is_said(identity: Path, tmp_path: Path) -> None:
    path = written.write(tmp_path / "journal", written.STREAM, 1, 3)
    for given in (path, path.parent):
        done = run("decrypt", given, "--identity", identity)
        assert (done.exit_code, "nothing is sealed in" in done.stderr) == (2, True)


@pytest.mark.parametrize("command", ["decrypt", "verify", "seal"])
def test_without_the_library_the_extra_is_named(command: str, journal: Path, identity: Path) -> None:
    option = ["--recipient", PUBLIC] if command == "seal" else ["--identity", str(identity)]
    shown = isolated.run(
        f"""
        import sys
        sys.modules["pyrage"] = None
        sys.argv = {["jwt-audit", command, str(journal), *option]!r}
        from opentelemetry.instrumentation.pyjwt.cli import main
        main()
        """,
        check=False,
    )
    assert (shown.returncode, shown.stdout) == (2, "")
    assert 'pyrage is not installed: pip install "opentelemetry-instrumentation-pyjwt[journal]"' in shown.stderr
