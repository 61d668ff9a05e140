"""Damage done to a journal at random: each function changes a copy of it in memory, and says what it did.

A journal is a mapping of file names to contents. What the chain does not cover (the resource, the scope, the time of
observation, ``geo.*``) is no part of the record: damage that touches nothing else is drawn anew.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable

import jwt

from tests.journal.writing import START, Record, Signer, Stream, hash_of, line_of, request_of

Files = dict[str, bytes]
ATTACKER = Signer()


class OutsideError(Exception):
    """What was done touches nothing that is chained."""


def stream_of(name: str) -> str:
    return name.partition(".")[0]


def lines_of(content: bytes) -> list[bytes]:
    return content.splitlines(keepends=True)


def record_in(line: bytes) -> Record:
    return json.loads(line)["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]


def attribute(record: Record, name: str) -> dict[str, str] | None:
    return next((one["value"] for one in record["attributes"] if one["key"] == name), None)


def meaning(content: bytes) -> list[object]:
    """What is protected of a segment."""
    return [
        (hash_of(record := record_in(line)), attribute(record, "audit.integrity.value")) for line in lines_of(content)
    ]


def place(dice: random.Random, files: Files) -> tuple[str, list[bytes], int]:
    """A random segment, its lines and the index of one of them."""
    name = dice.choice([name for name in sorted(files) if files[name]])
    lines = lines_of(files[name])
    return name, lines, dice.randrange(len(lines))


# --- Accidents, and the simple things ---------------------------------------------------------------------


def flip(dice: random.Random, files: Files) -> str:
    """One bit."""
    name, lines, index = place(dice, files)
    line = bytearray(lines[index])
    at = dice.randrange(len(line))
    line[at] ^= 1 << dice.randrange(8)
    try:
        outside = meaning(bytes(line)) == meaning(lines[index])
    except (ValueError, LookupError, TypeError, AttributeError):
        outside = False
    if outside:
        raise OutsideError
    lines[index] = bytes(line)
    files[name] = b"".join(lines)
    return f"a bit of byte {at} of {name} line {index + 1}"


def delete(dice: random.Random, files: Files) -> str:
    """Some records in a row."""
    name, lines, index = place(dice, files)
    count = dice.choice((1, 1, 1, 2, 5, 40))
    del lines[index : index + count]
    files[name] = b"".join(lines)
    return f"{count} lines from {index + 1} of {name}"


def delete_segment(dice: random.Random, files: Files) -> str:
    """A segment, but not the oldest: that is what retention does."""
    names = [name for name in sorted(files) if not name.endswith(".000000000001.jsonl")]
    name = dice.choice(names)
    del files[name]
    return name


def delete_stream(dice: random.Random, files: Files) -> str:
    stream = stream_of(dice.choice(sorted(files)))
    for name in [name for name in files if stream_of(name) == stream]:
        del files[name]
    return stream


def swap(dice: random.Random, files: Files) -> str:
    """Two records, neighbours or not, of one segment or of two."""
    (one, lines, first), (other, others, second) = place(dice, files), place(dice, files)
    if one == other or dice.random() < 0.5:
        other, others = one, lines
        second = min(first + 1, len(lines) - 1) if dice.random() < 0.5 else dice.randrange(len(lines))
    if (one, first) == (other, second):
        raise OutsideError
    lines[first], others[second] = others[second], lines[first]
    files[one], files[other] = b"".join(lines), b"".join(others)
    return f"{one} line {first + 1} and {other} line {second + 1}"


def swap_segments(dice: random.Random, files: Files) -> str:
    one, other = dice.sample(sorted(files), 2)
    files[one], files[other] = files[other], files[one]
    return f"{one} and {other}"


def insert(dice: random.Random, files: Files) -> str:
    """A record that is elsewhere in the journal, something that is no record, or one that fits."""
    name, lines, index = place(dice, files)
    kind = dice.choice(("copy", "copy", "block", "junk", "blank", "forged", "plain"))
    if kind == "copy":
        _, others, other = place(dice, files)
        new = [others[other]]
    elif kind == "block":
        _, others, other = place(dice, files)
        new = others[other : other + dice.randrange(2, 30)]
    elif kind == "junk":
        new = [dice.randbytes(dice.randrange(1, 300)).replace(b"\n", b"") + b"\n"]
    elif kind == "blank":
        new = [dice.choice((b"\n", b" \n", b"{}\n", b"null\n", b'{"resourceLogs":[]}\n'))]
    else:
        record = copy.deepcopy(record_in(lines[index]))
        record["body"]["stringValue"] = "jwt.validated: forged"
        if kind == "plain":
            record["attributes"] = [one for one in record["attributes"] if "audit." not in one["key"]]
        elif index:
            # It follows the record before it as it should.
            record["attributes"] = [one for one in record["attributes"] if one["key"] != "audit.integrity.value"]
        new = [line_of(record)]
    lines[index:index] = new
    files[name] = b"".join(lines)
    return f"{kind} before line {index + 1} of {name}"


def truncate(dice: random.Random, files: Files) -> str:
    """The end of a segment, at any byte or between two records."""
    name, lines, index = place(dice, files)
    before = b"".join(lines[:index])
    cut = before if dice.random() < 0.5 else before + lines[index][: dice.randrange(len(lines[index]))]
    files[name] = cut
    return f"{name} at {len(cut)}"


def cut_out(dice: random.Random, files: Files) -> str:
    """Bytes from the middle."""
    name, _, _ = place(dice, files)
    content = files[name]
    at = dice.randrange(len(content))
    count = dice.randrange(1, 4_000)
    changed = content[:at] + content[at + count :]
    try:
        if meaning(changed) == meaning(content):
            raise OutsideError
    except (ValueError, LookupError, TypeError, AttributeError):
        pass
    files[name] = changed
    return f"{count} bytes from {at} of {name}"


# --- Somebody who knows the format ------------------------------------------------------------------------


def copy_stream(dice: random.Random, files: Files) -> str:
    """A stream under another name; names alone, or records and hashes with it."""
    stream = stream_of(dice.choice(sorted(files)))
    new = f"{dice.getrandbits(128):032x}"
    names = [name for name in sorted(files) if stream_of(name) == stream]
    adapt = dice.random() < 0.5
    prev_hash = "0" * 64
    for name in names:
        content = files[name]
        if adapt:
            lines = []
            for line in lines_of(content):
                record = json.loads(line.replace(stream.encode(), new.encode()))["resourceLogs"][0]["scopeLogs"][0][
                    "logRecords"
                ][0]
                attribute(record, "audit.sequence.prev_hash")["stringValue"] = prev_hash
                prev_hash = hash_of(record)
                lines.append(line_of(record))
            content = b"".join(lines)
        files[name.replace(stream, new)] = content
    return f"{stream} as {new}, {'adapted' if adapt else 'as it is'}"


def copy_segment(dice: random.Random, files: Files) -> str:
    """A segment once more, under the name of another place in its stream."""
    name = dice.choice(sorted(files))
    first = dice.randrange(2, 5_000)
    new = f"{stream_of(name)}.{first:012d}.jsonl"
    if new in files:
        raise OutsideError
    files[new] = files[name]
    return f"{name} as {new}"


def rename_segment(dice: random.Random, files: Files) -> str:
    name = dice.choice(sorted(files))
    new = f"{stream_of(name)}.{dice.randrange(1, 5_000):012d}.jsonl"
    if new in files:
        raise OutsideError
    files[new] = files.pop(name)
    return f"{name} to {new}"


def rewrite(dice: random.Random, files: Files, *, sign: bool = False, drop: bool = False) -> str:
    """Change a record and make the chain fit from there on; with checkpoints kept, signed anew or left out."""
    name, lines, index = place(dice, files)
    names = [one for one in sorted(files) if stream_of(one) == stream_of(name) and one >= name]
    prev_hash = None
    for one in names:
        lines = lines_of(files[one])
        for at in range(index if one == name else 0, len(lines)):
            record = record_in(lines[at])
            if prev_hash is None:
                record["timeUnixNano"] = str(START + dice.randrange(10**9))
            else:
                attribute(record, "audit.sequence.prev_hash")["stringValue"] = prev_hash
            if record["eventName"] == "jwt.audit.checkpoint":
                before = attribute(record, "audit.sequence.prev_hash")["stringValue"]
                number = int(attribute(record, "audit.sequence.number")["intValue"])
                if drop:
                    record |= {"eventName": "jwt.validated", "body": {"stringValue": "jwt.validated"}}
                    record["attributes"] = [one for one in record["attributes"] if "integrity" not in one["key"]]
                elif sign:
                    token = ATTACKER.sign(stream_of(name), number, before)
                    attribute(record, "audit.integrity.value")["stringValue"] = token
            prev_hash = hash_of(record)
            lines[at] = line_of(record)
        files[one] = b"".join(lines)
    return f"from {name} line {index + 1} on"


def rewrite_and_sign(dice: random.Random, files: Files) -> str:
    return rewrite(dice, files, sign=True)


def rewrite_without_checkpoints(dice: random.Random, files: Files) -> str:
    return rewrite(dice, files, drop=True)


def forge(dice: random.Random, files: Files) -> str:
    """A checkpoint's token: another's, another key's, no signature, other claims, none at all."""
    places = [
        (name, index)
        for name, content in sorted(files.items())
        for index, line in enumerate(lines_of(content))
        if b"jwt.audit.checkpoint" in line
    ]
    name, index = dice.choice(places)
    lines = lines_of(files[name])
    record = record_in(lines[index])
    holder = attribute(record, "audit.integrity.value")
    token = holder["stringValue"]
    claims = jwt.decode(token, options={"verify_signature": False})
    header, payload, signature = token.split(".")
    kind = dice.choice(("another", "key", "kid", "none", "claims", "signature", "absent", "mac", "junk"))
    if kind == "another":
        other, at = dice.choice([one for one in places if one != (name, index)])
        token = attribute(record_in(lines_of(files[other])[at]), "audit.integrity.value")["stringValue"]
    elif kind == "key":
        token = ATTACKER.sign(claims["stream_id"], claims["number"], claims["hash"])
    elif kind == "kid":
        token = jwt.encode(claims, ATTACKER.private, "EdDSA", headers={"kid": jwt.get_unverified_header(token)["kid"]})
    elif kind == "none":
        token = jwt.encode(claims, None, "none")
    elif kind == "mac":
        token = jwt.encode(claims, "x" * 32, "HS256", headers={"kid": jwt.get_unverified_header(token)["kid"]})
    elif kind == "claims":
        claims[dice.choice(("number", "iat"))] += 1
        token = f"{header}.{jwt.encode(claims, ATTACKER.private, 'EdDSA').split('.')[1]}.{signature}"
    elif kind == "signature":
        at = dice.randrange(len(signature))
        other = dice.choice([one for one in "abcXYZ019-_" if one != signature[at]])
        token = f"{header}.{payload}.{signature[:at]}{other}{signature[at + 1 :]}"
    elif kind == "absent":
        record["attributes"] = [one for one in record["attributes"] if one["key"] != "audit.integrity.value"]
    else:
        token = dice.choice(("", "a.b.c", token + "=", token[:-1], "." + token, payload))
    holder["stringValue"] = token
    lines[index] = line_of(record)
    files[name] = b"".join(lines)
    return f"{kind} in {name} line {index + 1}"


def insert_checkpoint(dice: random.Random, files: Files) -> str:
    """A checkpoint that nobody wrote, in its place in the chain."""
    name, lines, index = place(dice, files)
    after = record_in(lines[index])
    number = int(attribute(after, "audit.sequence.number")["intValue"])
    prev_hash = attribute(after, "audit.sequence.prev_hash")["stringValue"]
    forger = Stream(ATTACKER, stream_of(name))
    record = forger.checkpoint()
    for key, content in (("number", {"intValue": str(number)}), ("prev_hash", {"stringValue": prev_hash})):
        attribute(record, f"audit.sequence.{key}").update(content)
    attribute(record, "audit.integrity.value")["stringValue"] = ATTACKER.sign(stream_of(name), number, prev_hash)
    lines.insert(index, json.dumps(request_of(record)).encode() + b"\n")
    files[name] = b"".join(lines)
    return f"before line {index + 1} of {name}"


Mutation = Callable[[random.Random, Files], str]
# Each with its share.
ALL: dict[Mutation, int] = {
    flip: 6,
    delete: 3,
    delete_segment: 1,
    delete_stream: 1,
    swap: 3,
    swap_segments: 1,
    insert: 4,
    truncate: 3,
    cut_out: 1,
    copy_stream: 1,
    copy_segment: 1,
    rename_segment: 1,
    rewrite: 1,
    rewrite_and_sign: 1,
    rewrite_without_checkpoints: 1,
    forge: 3,
    insert_checkpoint: 1,
}
