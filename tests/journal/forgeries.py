"""What somebody does to a journal who knows the format; as in :mod:`.mutations`."""

from __future__ import annotations

import json
import random

import jwt

from tests.journal.mutations import (
    Files,
    Mutation,
    OutsideError,
    Place,
    a_checkpoint,
    attribute,
    lines_of,
    place,
    record_in,
    stream_of,
    the_end,
)
from tests.journal.writing import START, Signer, Stream, hash_of, line_of, request_of

ATTACKER = Signer()


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


def change_the_end(dice: random.Random, files: Files) -> str:
    """What the last record says; its token is as it was, or is gone with all that told a checkpoint."""
    name, lines, index = the_end(dice, files)
    record = record_in(lines[index])
    kind = dice.choice(("time", "body", "severity", "id", "more", "less", "span", "event"))
    if kind == "time":
        record["timeUnixNano"] = str(int(record["timeUnixNano"]) + dice.choice((-1, 1, 10**12)))
    elif kind == "body":
        record["body"]["stringValue"] += "!"
    elif kind == "severity":
        record["severityNumber"] += 1
    elif kind == "id":
        attribute(record, "audit.record.id")["stringValue"] = f"{dice.getrandbits(128):032x}"
    elif kind == "more":
        record["attributes"].append({"key": "jwt.sub", "value": {"stringValue": "bob"}})
    elif kind == "less":
        record["attributes"] = [one for one in record["attributes"] if one["key"] != "audit.record.id"]
    elif kind == "span":
        record["traceId"] = f"{dice.getrandbits(128):032x}"
    else:
        record |= {"eventName": "jwt.validated", "body": {"stringValue": "jwt.validated"}}
        record["attributes"] = [one for one in record["attributes"] if "integrity" not in one["key"]]
    lines[index] = line_of(record)
    files[name] = b"".join(lines)
    return f"{kind} of {name} line {index + 1}"


def rewrite(
    dice: random.Random, files: Files, somewhere: Place = place, *, sign: bool = False, drop: bool = False
) -> str:
    """Change a record and make the chain fit from there on; with checkpoints kept, signed anew or left out."""
    name, lines, index = somewhere(dice, files)
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
                    token = ATTACKER.sign(stream_id=stream_of(name), number=number, hash=before, digest=hash_of(record))
                    attribute(record, "audit.integrity.value")["stringValue"] = token
            prev_hash = hash_of(record)
            lines[at] = line_of(record)
        files[one] = b"".join(lines)
    return f"from {name} line {index + 1} on"


def rewrite_and_sign(dice: random.Random, files: Files) -> str:
    return rewrite(dice, files, sign=True)


def rewrite_from_a_checkpoint(dice: random.Random, files: Files) -> str:
    return rewrite(dice, files, a_checkpoint)


def rewrite_without_checkpoints(dice: random.Random, files: Files) -> str:
    return rewrite(dice, files, drop=True)


def forge(dice: random.Random, files: Files) -> str:
    """A checkpoint's token: another's, another key's, no signature, other claims, none at all."""
    name, lines, index = a_checkpoint(dice, files)
    record = record_in(lines[index])
    holder = attribute(record, "audit.integrity.value")
    token = holder["stringValue"]
    claims = jwt.decode(token, options={"verify_signature": False})
    header, payload, signature = token.split(".")
    kind = dice.choice(("another", "key", "kid", "none", "claims", "signature", "absent", "mac", "junk"))
    if kind == "another":
        other, others, at = a_checkpoint(dice, files)
        if (other, at) == (name, index):
            raise OutsideError
        token = attribute(record_in(others[at]), "audit.integrity.value")["stringValue"]
    elif kind == "key":
        token = jwt.encode(claims, ATTACKER.private, "EdDSA", headers={"kid": ATTACKER.kid})
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
    attribute(record, "audit.integrity.value")["stringValue"] = ATTACKER.sign(
        stream_id=stream_of(name), number=number, hash=prev_hash, digest=hash_of(record)
    )
    lines.insert(index, json.dumps(request_of(record)).encode() + b"\n")
    files[name] = b"".join(lines)
    return f"before line {index + 1} of {name}"


#: Each with its share.
FORGERIES: dict[Mutation, int] = {
    change_the_end: 3,
    copy_stream: 1,
    copy_segment: 1,
    rename_segment: 1,
    rewrite: 1,
    rewrite_from_a_checkpoint: 1,
    rewrite_and_sign: 1,
    rewrite_without_checkpoints: 1,
    forge: 3,
    insert_checkpoint: 1,
}
