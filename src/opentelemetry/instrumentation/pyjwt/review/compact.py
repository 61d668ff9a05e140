"""Archives: the trail in Parquet, in a folder for each day, a small part of its size and quick to review.

A file of lines gives one file for each day that it has records of, named after its content: to compact it again gives
the same files. All its records are in there, as they were, and beside them the attributes that rules look at.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.journal.archives import ARCHIVE
from opentelemetry.instrumentation.pyjwt.journal.files import is_sealed
from opentelemetry.instrumentation.pyjwt.journal.locks import is_alive
from opentelemetry.instrumentation.pyjwt.review.columns import TIME, literal, quoted
from opentelemetry.instrumentation.pyjwt.review.database import Database, database
from opentelemetry.instrumentation.pyjwt.review.loading import (
    RECORD,
    WHOLE,
    events_of,
    readable,
    records_of,
    with_lines,
)
from opentelemetry.instrumentation.pyjwt.review.sources import Sources

if TYPE_CHECKING:
    from opentelemetry.instrumentation.pyjwt.journal.unsealing import Identities

#: Rows that are compressed together: with the whole records beside them, they take room in memory in each thread.
_ROWS: Final = 10_240
_EVENT: Final = quoted(semconv.EVENT_NAME)
_DAY: Final = f"strftime(make_timestamp_ns({TIME}), '%Y-%m-%d')"


class Compacted(NamedTuple):
    """What became of the files."""

    files: int  #: of lines that were read
    records: int  #: in them
    skipped: int  #: lines that hold no log record
    open: int  #: segments that are still written, and were left out


def compact(sources: Sources, output: Path, attributes: Sequence[str], advance: Callable[[int], object]) -> Compacted:
    """Write archives of closed segments and of copies; what they are made of stays.

    Args:
        sources: files of lines.
        output: the folder of the archives.
        attributes: those that get a column of their own.
        advance: told how many bytes were read.

    Raises:
        UnreadableError: a file cannot be read.
        OSError: an archive cannot be written.
    """
    files = [*closed(sources), *sources.copies]
    output.mkdir(mode=0o700, parents=True, exist_ok=True)
    counts = []
    with database() as opened, readable():
        for file in files:
            counts.append(_archive(opened, file, sources.identities, output, attributes))
            advance(file.stat().st_size)
    records, skipped = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    return Compacted(len(files), records, skipped, len(sources.segments) - len(files) + len(sources.copies))


def closed(sources: Sources) -> list[Path]:
    """Segments to which nothing will be added: another one of their stream follows, or nobody writes it."""
    last = {(one.folder, one.stream_id): one.path for one in sources.segments}
    writing = {path for (folder, stream_id), path in last.items() if is_alive(folder, stream_id)}
    return [one.path for one in sources.segments if one.path not in writing]


def _archive(
    opened: Database, file: Path, identities: Identities | None, output: Path, attributes: Sequence[str]
) -> tuple[int, int]:
    """Write the archives of one file; gives how many records it has, and how many lines without any."""
    with_lines(
        opened,
        [file],
        identities,
        lambda lines, longest: opened.rows(
            f"CREATE OR REPLACE TABLE archived AS {_records(lines, longest, attributes)}"
        ),
    )
    name = f"{file.name.partition('.')[0]}-{_digest(file, identities)}{ARCHIVE}"
    # Beside the archives, so that each can be moved to its place at once.
    with tempfile.TemporaryDirectory(prefix=".compact-", dir=output) as folder:
        part = Path(folder, name)
        for (day,) in opened.rows(
            f"SELECT DISTINCT {_DAY} AS day FROM archived WHERE {_EVENT} IS NOT NULL ORDER BY day"
        ):
            opened.rows(f"""\
COPY (FROM archived WHERE {_EVENT} IS NOT NULL AND {_DAY} = {literal(day)})
TO {literal(str(part))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROWS})""")
            part.chmod(0o600)
            place = output / f"date={day}"
            place.mkdir(mode=0o700, exist_ok=True)
            part.replace(place / name)
    ((found, skipped),) = opened.rows(f"SELECT count({_EVENT}), count(*) - count({_EVENT}) FROM archived")
    return found, skipped


def _records(files: list[Path], longest: int, attributes: Sequence[str]) -> str:
    """A query for all there is of each record."""
    records = records_of(files, "JSON", longest, context=True)
    read = f"SELECT TRY_CAST(r AS {RECORD}) AS r, r AS {WHOLE}, resource, scope FROM ({records})"
    return events_of(read, attributes, *(f"{one}::VARCHAR AS {one}" for one in (WHOLE, "resource", "scope")))


def _digest(file: Path, identities: Identities | None) -> str:
    """Of what is in the file, sealed or not."""
    digest = hashlib.sha256()
    with identities.open(file) if identities is not None and is_sealed(file) else open(file, "rb") as content:
        while chunk := content.read(1024 * 1024):
            digest.update(chunk)
    return digest.hexdigest()[:16]
