"""Accidents that happen to a journal: each function changes a copy of it in memory, and says what it did.

A journal is a mapping of file names to contents. What the chain does not cover (the resource, the scope, the time of
observation, ``geo.*``) is no part of the record: damage that touches nothing else is drawn anew.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable

from tests.journal.writing import Record, hash_of, line_of

Files = dict[str, bytes]
Place = Callable[[random.Random, Files], tuple[str, list[bytes], int]]  #: a file, its lines and the index of one


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


def the_end(dice: random.Random, files: Files) -> tuple[str, list[bytes], int]:
    """The last record of a stream, which is a checkpoint."""
    stream = stream_of(dice.choice(sorted(files)))
    name = max(name for name in files if stream_of(name) == stream)
    lines = lines_of(files[name])
    return name, lines, len(lines) - 1


def a_checkpoint(dice: random.Random, files: Files) -> tuple[str, list[bytes], int]:
    return dice.choice(
        [
            (name, lines, index)
            for name, content in sorted(files.items())
            for lines in (lines_of(content),)
            for index, line in enumerate(lines)
            if b"jwt.audit.checkpoint" in line
        ]
    )


def flip(dice: random.Random, files: Files, somewhere: Place = place) -> str:
    """One bit."""
    name, lines, index = somewhere(dice, files)
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


def flip_the_end(dice: random.Random, files: Files) -> str:
    return flip(dice, files, the_end)


def flip_a_checkpoint(dice: random.Random, files: Files) -> str:
    return flip(dice, files, a_checkpoint)


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


Mutation = Callable[[random.Random, Files], str]
#: Each with its share.
ACCIDENTS: dict[Mutation, int] = {
    flip: 6,
    flip_the_end: 3,
    flip_a_checkpoint: 2,
    delete: 3,
    delete_segment: 1,
    delete_stream: 1,
    swap: 3,
    swap_segments: 1,
    insert: 4,
    truncate: 3,
    cut_out: 1,
}
