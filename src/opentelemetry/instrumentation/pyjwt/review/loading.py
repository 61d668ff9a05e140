"""Fills the table ``events`` (:mod:`.columns`) with the events that are found in files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.journal.files import LONGEST, UnreadableError, is_sealed
from opentelemetry.instrumentation.pyjwt.review.columns import TIME, Kind, kind_of, literal, quoted
from opentelemetry.instrumentation.pyjwt.review.database import Database
from opentelemetry.instrumentation.pyjwt.review.sources import Sources

if TYPE_CHECKING:
    from opentelemetry.instrumentation.pyjwt.journal.unsealing import Identities

#: A log record of OTLP JSON, as far as rules look at it. 64-bit integers may be numbers or strings: text takes both.
RECORD: Final = """STRUCT(
  timeUnixNano VARCHAR, observedTimeUnixNano VARCHAR, eventName VARCHAR, body STRUCT(stringValue VARCHAR),
  attributes STRUCT("key" VARCHAR, "value" STRUCT(
    stringValue VARCHAR, intValue VARCHAR, boolValue VARCHAR, doubleValue VARCHAR,
    arrayValue STRUCT("values" STRUCT(stringValue VARCHAR)[])
  ))[]
)"""
#: Column of an archive that holds the whole record.
WHOLE: Final = "record"

_USUAL: Final = 16 * 1024 * 1024
_EVENT: Final = quoted(semconv.EVENT_NAME)
_ID: Final = quoted(semconv.RECORD_ID)
_NAMES: Final = ", ".join(map(literal, semconv.EVENTS))


class Loaded(NamedTuple):
    events: int  #: each once, however often its record was found
    skipped: int  #: lines that hold no log record


def load(
    database: Database,
    sources: Sources,
    attributes: Sequence[str],
    since: int,
    advance: Callable[[float], object],
    past: int = 0,
) -> Loaded:
    """Make the table ``events``, with a column for each of these attributes, and ``trail``, which has the past as well.

    Args:
        database: where it is made.
        sources: what it is made of.
        attributes: record ids among them.
        since: nanoseconds since the epoch; what happened before is left out.
        advance: told how much is newly read, 1 in the end.
        past: nanoseconds before ``since`` that are in ``trail``.

    Raises:
        UnreadableError: a file cannot be read.
    """
    columns = ", ".join(f"{quoted(one)} {kind_of(one).value}" for one in attributes)
    database.rows(f"CREATE TABLE read ({TIME} BIGINT, {_EVENT} VARCHAR, {columns})")
    names = ", ".join(map(quoted, (TIME, semconv.EVENT_NAME, *attributes)))
    wanted = f"({_EVENT} IN ({_NAMES}) AND {TIME} >= {since - past})"
    parts = [f"FROM read WHERE {_EVENT} IS NOT NULL"]
    with readable():
        for files, share in _batches(sources):

            def insert(lines: list[Path], longest: int, share: float = share) -> None:
                database.run(
                    f"INSERT INTO read FROM ({events_of(records_of(lines, RECORD, longest), attributes)}) "
                    f"WHERE {_EVENT} IS NULL OR {wanted}",
                    lambda part: advance(part * share),
                )

            with_lines(database, files, sources.identities, insert)
        for archives, whole in _archives(database, sources.archives, attributes):
            source = f"read_parquet({_listed(archives)}, union_by_name = true, hive_partitioning = false)"
            if whole:
                told = f"SELECT TRY_CAST({WHOLE}::JSON AS {RECORD}) AS r FROM {source}"
                source = f"({events_of(told, attributes)})"
            parts.append(f"SELECT {names} FROM {source} WHERE {wanted}")
        database.rows(f"CREATE VIEW gathered AS {' UNION ALL '.join(parts)}")
        _fold(database, attributes)
        database.rows(f"CREATE VIEW events AS FROM trail WHERE {TIME} >= {since}")
        ((skipped,),) = database.rows(f"SELECT count(*) FROM read WHERE {_EVENT} IS NULL")
        ((events,),) = database.rows("SELECT count(*) FROM events")
    return Loaded(events, skipped)


def with_lines(
    database: Database,
    files: list[Path],
    identities: Identities | None,
    read: Callable[[list[Path], int], object],
) -> None:
    """Reads lines of the usual length or, if some are longer, of any.

    Args:
        database: what reads.
        files: any number of plain ones, or a sealed one.
        identities: what opens that.
        read: told the files as they can be read, and the length.
    """
    import duckdb

    def attempt(longest: int) -> None:
        with _readable_as(database, files, identities) as lines:
            read(lines, longest)

    try:
        attempt(_USUAL)
    except duckdb.InvalidInputException as error:
        if "maximum_object_size" not in str(error):
            raise
        # Each thread has buffers of twice the length.
        ((threads,),) = database.rows("SELECT current_setting('threads')")
        database.rows("SET threads = 1")
        attempt(LONGEST)
        database.rows(f"SET threads = {threads}")


def records_of(files: Iterable[Path], kind: str, longest: int, *, context: bool = False) -> str:
    """A query for each record ``r`` in files of lines; NULL for a line, or a part of it, without any.

    Args:
        files: OTLP JSON lines.
        kind: the type of a record, in SQL.
        longest: bytes of a line.
        context: give ``resource`` and ``scope`` as well, in JSON.
    """
    resource, scope = ("resource JSON, ", "scope JSON, ") if context else ("", "")
    request = f"STRUCT({resource}scopeLogs STRUCT({scope}logRecords {kind}[])[])[]"
    return f"""\
SELECT unnest(if(len(s.logRecords) > 0, s.logRecords, [NULL])) AS r{", resource, s.scope AS scope" if context else ""}
FROM (
  SELECT unnest(if(len(q.scopeLogs) > 0, q.scopeLogs, [NULL])) AS s{", q.resource AS resource" if context else ""}
  FROM (
    SELECT unnest(if(len(resourceLogs) > 0, resourceLogs, [NULL])) AS q
    FROM read_json({_listed(files)}, columns = {{resourceLogs: {literal(request)}}}, format = 'newline_delimited',
      records = true, ignore_errors = true, hive_partitioning = false, maximum_object_size = {longest})
  )
)"""


def events_of(records: str, attributes: Sequence[str], *more: str) -> str:
    """A query for records ``r`` as events; where there is none, its event has no name, not even an empty one."""
    # Many an exporter loses the name of the event; a pipeline copies it, and the body begins with it.
    copied = f"{_value(semconv.EVENT_NAME)}.stringValue"
    name = f"coalesce(nullif(r.eventName, ''), {copied}, split_part(r.body.stringValue, ':', 1), '')"
    time = "coalesce(nullif(TRY_CAST(r.timeUnixNano AS BIGINT), 0), TRY_CAST(r.observedTimeUnixNano AS BIGINT), 0)"
    columns = [f"{_read(one)} AS {quoted(one)}" for one in attributes]
    return f"""\
SELECT {TIME}, {_EVENT}, {", ".join([*columns, *more])}
FROM (
  SELECT *, if(r IS NULL, NULL, {name}) AS {_EVENT}, {time} AS {TIME}
  FROM (SELECT *, [one."key" FOR one IN r.attributes] AS keys FROM ({records}))
)"""


def _value(attribute: str) -> str:
    return f'r.attributes[list_position(keys, {literal(attribute)})]."value"'


def _read(attribute: str) -> str:
    value, kind = _value(attribute), kind_of(attribute)
    texts = f'[one.stringValue FOR one IN {value}.arrayValue."values"]'
    match kind:
        case Kind.TEXT:
            return f"{value}.stringValue"
        case Kind.INTEGER:
            return f"TRY_CAST({value}.intValue AS BIGINT)"
        case Kind.BOOLEAN:
            return f"TRY_CAST({value}.boolValue AS BOOLEAN)"
        case Kind.LIST:
            return texts
        case Kind.OWN:
            kinds = (f"{value}.{one}Value" for one in ("string", "int", "bool", "double"))
            return f"coalesce({', '.join(kinds)}, to_json({texts})::VARCHAR)"


def _fold(database: Database, attributes: Sequence[str]) -> None:
    """Records that are there several times, from retries, copies and archives, become one.

    What one copy lacks comes from another: a pipeline may have added the country.
    """
    database.rows(
        f"CREATE TABLE repeated AS SELECT hash({_ID}) AS hashed FROM gathered WHERE {_ID} IS NOT NULL "
        "GROUP BY hashed HAVING count(*) > 1"
    )
    if not database.rows("FROM repeated LIMIT 1"):
        database.rows("CREATE VIEW trail AS FROM gathered")
        return
    others = [quoted(one) for one in (semconv.EVENT_NAME, *attributes) if one != semconv.RECORD_ID]
    merged = ", ".join(f"max({one}) AS {one}" for one in others)
    among = f"hash({_ID}) IN (FROM repeated)"
    database.rows(f"""\
CREATE TABLE trail AS
FROM gathered WHERE {_ID} IS NULL OR NOT {among}
UNION ALL BY NAME
SELECT {_ID}, min({TIME}) AS {TIME}, {merged} FROM gathered WHERE {_ID} IS NOT NULL AND {among} GROUP BY {_ID}""")


# --- Files --------------------------------------------------------------------------------------------------


def _batches(sources: Sources) -> Iterator[tuple[list[Path], float]]:
    """Files that are read at once, with their share of all: the plain ones, and one by one the sealed ones."""
    size = max(sources.size, 1)
    sealed = [file for file in sources.lines if is_sealed(file)]
    if together := [file for file in sources.lines if not is_sealed(file)]:
        yield together, 1 - sum(file.stat().st_size for file in sealed) / size
    for file in sealed:
        yield [file], file.stat().st_size / size


@contextmanager
def _readable_as(database: Database, files: list[Path], identities: Identities | None) -> Iterator[list[Path]]:
    """The files under names that DuckDB can read; of a sealed one, a pipe of what is in it, to be read once."""
    if identities is None or not is_sealed(files[0]):
        yield plain(database, files)
        return
    with identities.open(files[0]) as content:
        yield [Path(f"/dev/fd/{content.fileno()}")]
        content.read()  # nothing is left but what was wrong with it


def plain(database: Database, files: Iterable[Path]) -> list[Path]:
    """The files under names that are no patterns, as DuckDB takes names for."""
    found = []
    for place, file in enumerate(files):
        if any(character in str(file) for character in "*?["):
            link = database.folder / f"{place}{''.join(file.suffixes[-2:])}"
            link.unlink(missing_ok=True)
            link.symlink_to(file)
            file = link
        found.append(file)
    return found


def _archives(database: Database, files: list[Path], attributes: Sequence[str]) -> Iterator[tuple[list[Path], bool]]:
    """Archives with a column for each attribute, and those of which whole records must be read."""
    wanted = {TIME, semconv.EVENT_NAME, *attributes}
    ready: list[Path] = []
    whole: list[Path] = []
    for file in plain(database, files):
        names = {name for (name,) in database.rows(f"SELECT name FROM parquet_schema({literal(str(file))})")}
        if not wanted <= names and WHOLE not in names:
            raise UnreadableError(f"{file} is no archive of the trail: jwt-audit compact makes them")
        (ready if wanted <= names else whole).append(file)
    if ready:
        yield ready, False
    if whole:
        yield whole, True


def _listed(files: Iterable[Path]) -> str:
    return f"[{', '.join(literal(str(file)) for file in files)}]"


@contextmanager
def readable() -> Iterator[None]:
    """Tells in our words that DuckDB cannot read a file, or has not the room for it."""
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException:
        raise UnreadableError("the memory that DuckDB may take is not enough") from None
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise UnreadableError(str(error).partition("\n")[0]) from None
