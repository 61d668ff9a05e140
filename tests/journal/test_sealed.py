"""Sealed segments are verified and told of as they are, with an identity; and what is wrong with them is said."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import pyrage
import pytest

from opentelemetry.instrumentation.pyjwt.journal import files, trail
from opentelemetry.instrumentation.pyjwt.journal.checkpoints import Keys
from opentelemetry.instrumentation.pyjwt.journal.files import UnreadableError, find
from opentelemetry.instrumentation.pyjwt.journal.sealing import Sealer
from opentelemetry.instrumentation.pyjwt.journal.unsealing import Identities
from opentelemetry.instrumentation.pyjwt.journal.verify import Report, verify
from tests.journal.writing import Signer, Stream, some

IDENTITY, STRANGER = (pyrage.x25519.Identity.generate() for _ in range(2))
SIGNER = Signer()


@pytest.fixture
def stream() -> Stream:
    """Of three segments: 1 to 250, to 500, to 600."""
    return some(Stream(SIGNER), 600)


@pytest.fixture
def journal(stream: Stream, tmp_path: Path) -> Path:
    """All of it sealed."""
    stream.save(tmp_path / "journal")
    assert seal(tmp_path / "journal") == 3
    return tmp_path / "journal"


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    (tmp_path / "audit.pub").write_bytes(SIGNER.pem)
    return Keys.load([tmp_path / "audit.pub"])


def seal(directory: Path) -> int:
    return Sealer([str(IDENTITY.to_public())], undelivered=True).round(directory)


def identities(*given: pyrage.x25519.Identity) -> Identities:
    return Identities(given or (IDENTITY,))


def sealed(journal: Path, stream: Stream, segment: int) -> Path:
    return journal / f"{stream.name(segment)}.age"


def found(report: Report) -> list[tuple[str, int | None]]:
    return [(problem.kind, problem.sequence) for problem in report.problems]


def test_it_is_verified_as_if_it_were_not_sealed(journal: Path, keys: Keys) -> None:
    read: list[int] = []
    report = verify(find([journal], identities(STRANGER, IDENTITY)), keys, advance=read.append)
    assert report == Report(600, 1, 7, 0, [])
    assert sum(read) == pytest.approx(find([journal], identities()).size, rel=0.01)


def test_some_of_it_may_be_sealed_and_some_not(stream: Stream, journal: Path, keys: Keys) -> None:
    last = sealed(journal, stream, 2)
    last.with_suffix("").write_bytes(pyrage.decrypt(last.read_bytes(), [IDENTITY]))
    assert verify(find([journal], identities()), keys).intact  # both are there, as within sealing
    last.unlink()
    report = verify(find([journal], identities()), keys)
    assert (report.records, report.intact) == (600, True)


def test_a_segment_that_is_sealed_while_it_is_read_about_is_found(stream: Stream, keys: Keys, tmp_path: Path) -> None:
    stream.save(tmp_path / "live")
    files = find([tmp_path / "live"], identities())
    size = files.size
    seal(tmp_path / "live")
    assert files.size > size
    assert verify(files, keys) == Report(600, 1, 7, 0, [])
    with closing(trail.tell(files, trail.By.JTI, "t1")) as story:
        assert len(story) > 0
    with pytest.raises(UnreadableError, match="is sealed"):
        verify(files._replace(identities=None), keys)


def test_what_was_done_to_the_records_before_they_were_sealed_is_seen(stream: Stream, tmp_path: Path) -> None:
    paths = stream.save(tmp_path)
    paths[1].write_bytes(paths[1].read_bytes().replace(b"\xc3\xa1lice", b"mallory", 1))
    seal(tmp_path)
    ((kind, sequence),) = found(verify(find([tmp_path], identities()), Keys()))
    assert (kind, 250 < (sequence or 0) <= 500) == ("changed", True)


def test_a_sealed_segment_that_is_gone_is_missed(stream: Stream, journal: Path, keys: Keys) -> None:
    sealed(journal, stream, 1).unlink()
    assert found(verify(find([journal], identities()), keys)) == [("removed", 251)]


@pytest.mark.parametrize("how", ["flipped", "cut", "cut at once", "longer", "emptied"])
@pytest.mark.parametrize("segment", [0, 1, 2])
def test_a_damaged_one_is_tampering(how: str, segment: int, stream: Stream, journal: Path, keys: Keys) -> None:
    """Wherever the damage is, all before it counts, and nothing behind it does."""
    path = sealed(journal, stream, segment)
    data = path.read_bytes()
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    path.write_bytes(
        {
            "flipped": bytes(flipped),
            "cut": data[:-100],
            "cut at once": data[:1000],
            "longer": data + b"x",
            "emptied": b"",
        }[how]
    )
    report = verify(find([journal], identities()), keys)
    (problem,) = report.problems
    first = (1, 251, 501)[segment]
    assert problem.kind == "changed"
    assert problem.sequence is not None
    assert first <= problem.sequence <= first + 250
    assert "damaged" in problem.detail
    assert path.name in problem.detail
    with pytest.raises(UnreadableError, match="damaged"):
        trail.tell(find([journal], identities()), trail.By.JTI, "t1")


def test_a_flip_of_any_bit_is_noticed(stream: Stream, tmp_path: Path) -> None:
    short = Stream()
    short.write(jwt__jti="a")
    short.save(tmp_path)
    seal(tmp_path)
    (path,) = tmp_path.glob("*.age")
    data = path.read_bytes()
    said = set()
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        try:
            assert not verify(find([tmp_path], identities()), Keys()).intact
        except UnreadableError as error:  # of the part that says to whom it is sealed
            said.add(str(error))
    assert said == {f"{path} is sealed to none of the identities given, or its header is damaged"}
    path.write_bytes(data)
    assert verify(find([tmp_path], identities()), Keys()).intact


def test_an_identity_that_opens_none_of_it_is_said_with_the_file(journal: Path, keys: Keys) -> None:
    files = find([journal], identities(STRANGER))
    with pytest.raises(UnreadableError, match=r"jsonl\.age is sealed to none of the identities given"):
        verify(files, keys)
    with pytest.raises(UnreadableError, match="sealed to none"):
        trail.tell(files, trail.By.JTI, "t1")


def test_a_story_is_told_of_it(stream: Stream, journal: Path, tmp_path: Path) -> None:
    stream.save(tmp_path / "plain")
    told = []
    for folder in (journal, tmp_path / "plain"):
        with closing(trail.tell(find([folder], identities()), trail.By.JTI, "t1")) as story:
            told.append(list(story))
    assert told[0] == told[1] != []


def test_a_sealed_copy_is_read_too(stream: Stream, tmp_path: Path, keys: Keys) -> None:
    path = stream.save(tmp_path)[0]
    copy = tmp_path / "copy.json.age"
    copy.write_bytes(pyrage.encrypt(path.read_bytes(), [IDENTITY.to_public()]))
    assert verify(find([copy], identities()), keys).records == 250


def test_no_thread_and_no_file_is_left_of_what_is_not_read_to_its_end(journal: Path, stream: Stream) -> None:
    before = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        lines = files.lines(sealed(journal, stream, 0), None, identities())
        assert next(lines).number == 1
        lines.close()
    assert (threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))) == before
