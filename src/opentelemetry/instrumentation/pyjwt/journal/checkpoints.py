"""Signed checkpoints: what they vouch for, and the keys that tell whether they do.

A checkpoint is a record of the chain whose ``audit.integrity.value`` is a JWT (EdDSA): the record ``number`` of
``stream_id`` is itself, its hash is ``digest``, and that of the record before it is ``hash``.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

from opentelemetry.instrumentation.pyjwt.journal import copies
from opentelemetry.instrumentation.pyjwt.journal.files import UnreadableError, lines
from opentelemetry.instrumentation.pyjwt.journal.reader import Link, NoRecordError, Record

EVENT: Final = "jwt.audit.checkpoint"
VALUE: Final = "audit.integrity.value"

_COMPACT: Final = re.compile(rb"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)


class ForgedError(ValueError):
    """A checkpoint does not say what it should, or its signature is not that of a given key; the text says which."""


class Claims(NamedTuple):
    """What a checkpoint says."""

    stream_id: str
    number: int  #: its own
    hash: str  #: of the record before it
    digest: str | None  #: of the record itself, where it is known

    def fits(self, link: Link) -> bool:
        """Whether this is said of the record with this number."""
        # Whoever takes "hash" for the record's own vouches for the one before it, too, which that is made of.
        return self.hash in (link.prev_hash, link.digest) and self.digest in (None, link.digest)

    def precedes(self, link: Link) -> bool:
        """Whether this is said of the record before this one."""
        return self.digest in (None, link.prev_hash)


class Keys:
    """Public keys; any of them may have signed.

    Args:
        keys: by their RFC 7638 thumbprint; none: signatures are not checked.
    """

    def __init__(self, keys: dict[str, Any] | None = None) -> None:
        self._keys = keys or {}

    @classmethod
    def load(cls, paths: Iterable[Path]) -> Keys:
        """Ed25519 keys from files: PEM, a JWK or a JWK Set.

        Raises:
            UnreadableError: a file cannot be read or holds no such key.
            ModuleNotFoundError: PyJWT or cryptography is not there.
        """
        found = {}
        for path in paths:
            try:
                text = path.read_bytes()
            except OSError as error:
                raise UnreadableError(f"{path} cannot be read: {error.strerror}") from error
            keys = list(_parse(text))
            if not keys:
                raise UnreadableError(f"{path} holds no Ed25519 public key, neither as PEM nor as JWKS")
            found.update({_thumbprint(key): key for key in keys})
        return cls(found)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def claims(self, token: str | bytes) -> Claims:
        """What a checkpoint's token says, its signature checked if there are keys.

        Raises:
            ForgedError: it says nothing, or the signature is not right.
        """
        text = token.encode() if isinstance(token, str) else token
        try:
            header, payload, signature = map(_exactly, text.split(b"."))
            head, said = json.loads(header), json.loads(payload)
            claims = Claims(said["stream_id"], said["number"], said["hash"], said.get("digest"))
            kinds = [str, int, str, str if "digest" in said else type(None)]
            if head["alg"] != "EdDSA" or list(map(type, claims)) != kinds:
                raise ValueError
        except (ValueError, TypeError, LookupError, RecursionError):
            raise ForgedError("its value is not the token of a checkpoint") from None
        if self._keys:
            self._check(head.get("kid"), signature, text.rpartition(b".")[0])
        return claims

    def _check(self, kid: object, signature: bytes, signed: bytes) -> None:
        from cryptography.exceptions import InvalidSignature

        key = self._keys.get(str(kid))
        if key is None:
            raise ForgedError("signed with none of the given keys")
        try:
            key.verify(signature, signed)
        except InvalidSignature:
            raise ForgedError("its signature is wrong") from None


def value_of(record: Record, attributes: dict[str, Any]) -> str | None:
    """The token of a checkpoint; ``None`` for any other record, "" for a checkpoint that lacks it."""
    value = attributes.get(VALUE)
    if value is None and record.get("eventName") != EVENT:
        return None
    return value if isinstance(value, str) and record.get("eventName") == EVENT else ""


def check(token: str, link: Link, keys: Keys) -> None:
    """Raises ForgedError unless the token vouches for the record that carries it."""
    claims = keys.claims(token)
    if claims[:2] != link[:2]:
        raise ForgedError(f"it is that of {claims.stream_id} {claims.number}")
    if not claims._replace(digest=None).fits(link):
        raise ForgedError("the chain was another one when it was signed")
    if not claims.fits(link):
        raise ForgedError("it was another record when it was signed")


def received(path: Path, keys: Keys) -> tuple[dict[str, dict[int, Claims]], list[tuple[str, int, str]]]:
    """The checkpoints in a file, by stream and number: OTLP JSON lines, or the bare token on each line.

    Returns:
        The checkpoints, and those of them that are forged: stream, number and why.

    Raises:
        UnreadableError: the file cannot be read, or a line is neither.
    """
    found: dict[str, dict[int, Claims]] = {}
    forged: list[tuple[str, int, str]] = []
    try:
        for line in lines(path):
            text = line.text.strip()
            if _COMPACT.fullmatch(text):
                claims = keys.claims(text)
                found.setdefault(claims.stream_id, {})[claims.number] = claims
            elif text:
                for record, attributes, link in copies.records(text):
                    token = value_of(record, attributes)
                    if token is None:
                        continue
                    try:
                        check(token, link, keys)
                        claims = Claims(link.stream_id, link.number, link.prev_hash, link.digest)
                        found.setdefault(link.stream_id, {})[link.number] = claims
                    except ForgedError as error:
                        forged.append((link.stream_id, link.number, f"as received elsewhere: {error}"))
    except FileNotFoundError:
        raise UnreadableError(f"{path} is not there") from None
    except (NoRecordError, ForgedError) as error:
        raise UnreadableError(f"{path}, line {line.number}: no checkpoint: {error}") from None
    return found, forged


def _exactly(part: bytes) -> bytes:
    """Base64url without padding, as RFC 7515 has it: no two texts for the same bytes."""
    decoded = base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != part:
        raise ValueError
    return decoded


def _parse(text: bytes) -> Iterable[Any]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        if text.lstrip().startswith(b"{"):
            given = json.loads(text)
            for key in given.get("keys", [given]):
                if key.get("kty") == "OKP" and key.get("crv") == "Ed25519":
                    yield Ed25519PublicKey.from_public_bytes(_exactly(key["x"].encode()))
        else:
            pem = load_pem_public_key(text)
            if isinstance(pem, Ed25519PublicKey):
                yield pem
    except (ValueError, TypeError, LookupError, AttributeError):
        return


def _thumbprint(key: Any) -> str:
    """RFC 7638, with the members of RFC 8037."""
    x = base64.urlsafe_b64encode(key.public_bytes_raw()).rstrip(b"=").decode()
    member = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": x}, separators=(",", ":"))
    return base64.urlsafe_b64encode(sha256(member.encode()).digest()).rstrip(b"=").decode()
