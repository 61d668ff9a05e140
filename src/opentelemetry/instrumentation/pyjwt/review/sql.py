"""A rule as a query of DuckDB's over the table ``events`` (:mod:`.columns`).

Each row of the answer is a finding: ``level`` (its place among the levels), ``key``, ``count``, ``first``, ``last`` and
``sample``. A window ends at an event, so that none is missed wherever it begins: ``RANGE`` takes in both ends, and the
events of one moment together. Since sorting costs most, keys are first left out that have not enough in all the trail.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.review.columns import TIME, Kind, kind_of, literal, quoted
from opentelemetry.instrumentation.pyjwt.review.model import (
    LEVELS,
    LIFETIME,
    And,
    Compare,
    Condition,
    Equals,
    Exists,
    Key,
    Level,
    Not,
    Or,
    Rule,
    Scalar,
    StartsWith,
)
from opentelemetry.instrumentation.pyjwt.review.plan import groups

SAMPLE: Final = 5  #: record ids that are told of a finding
_SECOND: Final = 1_000_000_000
_ID: Final = quoted(semconv.RECORD_ID)
_NONE: Final = "SELECT 0 AS level, MAP {'': ''} AS key, 0 AS count, 0 AS first, 0 AS last, [''] AS sample WHERE false"


def query_of(rule: Rule) -> str:
    """The findings of a rule."""
    condition = Or((rule.condition, rule.then)) if rule.then else rule.condition
    asked = {"single": _single, "value_count": _values}.get(rule.shape, _windows)
    return "\nUNION ALL\n".join(asked(rule, key, wanted) for key, wanted in groups(rule, condition)) or _NONE


# --- Conditions ---------------------------------------------------------------------------------------------


def written(condition: Condition) -> str:
    """The condition in SQL. What is neither true nor false is as good as false, but within a negation."""
    match condition:
        case And(parts):
            return f"({' AND '.join(map(written, parts))})"
        case Or(parts):
            return f"({' OR '.join(map(written, parts))})"
        case Not(Exists(field)):
            return f"{_column(field)} IS NULL"
        case Not(part):
            return f"NOT coalesce({written(part)}, false)"
        case Exists(field):
            return f"{_column(field)} IS NOT NULL"
        case Compare(field, operator, value):
            return f"{_number(field)} {operator} {value}"
        case StartsWith(field, prefixes):
            return _any_of([f"starts_with({_column(field)}, {literal(one)})" for one in prefixes])
        case Equals(field, values):
            return _equals(field, values)
    raise AssertionError(condition)


def _equals(field: str, values: tuple[Scalar, ...]) -> str:
    kind, column = kind_of(field), _column(field)
    texts = [literal(one) for one in values if isinstance(one, str)]
    truths = [one for one in values if isinstance(one, bool)]
    numbers = [str(one) for one in values if not isinstance(one, (str, bool))]
    if field == LIFETIME:
        kind = Kind.INTEGER
    if kind is Kind.OWN:
        texts += [literal(str(one).lower()) for one in truths]
    tests = []
    if kind is Kind.BOOLEAN:
        tests += [f"{column} = {str(one).lower()}" for one in truths]
    if kind is Kind.LIST and texts:
        tests.append(f"list_has_any({column}, [{', '.join(texts)}])")
    if kind in (Kind.TEXT, Kind.OWN) and texts:
        tests.append(f"{column} = {texts[0]}" if len(texts) == 1 else f"{column} IN ({', '.join(texts)})")
    if kind in (Kind.INTEGER, Kind.OWN) and numbers:
        tests.append(f"{_number(field)} IN ({', '.join(numbers)})")
    return _any_of(tests)  # of another kind than the attribute, a value equals nothing


def _any_of(tests: list[str]) -> str:
    if not tests:
        return "false"
    return tests[0] if len(tests) == 1 else f"({' OR '.join(tests)})"


def _column(field: str) -> str:
    if field != LIFETIME:
        return quoted(field)
    return f"({quoted(semconv.EXP)} - coalesce({quoted(semconv.IAT)}, {TIME} // {_SECOND}))"


def _number(field: str) -> str:
    if field == LIFETIME or kind_of(field) is Kind.INTEGER:
        return _column(field)
    return f"TRY_CAST({_column(field)} AS DOUBLE)"


# --- Shapes -------------------------------------------------------------------------------------------------


def _single(rule: Rule, key: Key, condition: Condition) -> str:
    return f"""\
SELECT {_level(rule.level)} AS level, {mapped(key)} AS key, count(*) AS count, min({TIME}) AS first,
  max({TIME}) AS last, {sample_of(f"'time': {TIME}, 'id': {_ID}")} AS sample
FROM events
WHERE {written(condition)}
GROUP BY {_columns(key)}"""


class _Measure(NamedTuple):
    """What a window is measured by."""

    columns: dict[str, str]  #: of events, for what follows
    candidates: str  #: of a key: whether there may be a full window at all
    number: str  #: of a window
    since: str  #: time of the first event that was counted in it
    full: str  #: of a window: whether it is a finding
    place: str  #: of an event among those that are shown of a window; least is first


def _windows(rule: Rule, key: Key, condition: Condition) -> str:
    columns = _columns(key)
    measure = _measure(rule)
    level, other, others = _escalation(rule)
    return f"""\
FROM (
  WITH found AS NOT MATERIALIZED (
    SELECT {_selected(key, measure.columns | other)}
    FROM events
    WHERE {written(condition)}
  ), candidates AS MATERIALIZED (
    SELECT hashed FROM found GROUP BY hashed HAVING {measure.candidates}
  ), windows AS (
    SELECT *, {measure.number} AS number, {measure.since} AS since{others}
    FROM found
    WHERE hashed IN (SELECT hashed FROM candidates)
    {_past(rule, key)}
  ), fullest AS MATERIALIZED (
    SELECT {columns}, {level} AS level, max(number) AS count, min(since) AS first, max({TIME}) AS last,
      arg_max({{'since': since, 'until': {TIME}}}, {{'number': number, 'age': -{TIME}}}) AS shown,
      any_value(hashed) AS hashed
    FROM windows
    WHERE {measure.full}
    GROUP BY {columns}
  ), shown AS (
    SELECT fullest.*, {measure.place} AS place, found.{TIME} AS moment, found.{_ID} AS id
    FROM fullest JOIN found ON {_same(key, "found", "fullest")}
      AND found.{TIME} BETWEEN fullest.shown.since AND fullest.shown.until
  )
  SELECT level, {mapped(key)} AS key, count, first, last,
    {sample_of("'place': place, 'time': moment, 'id': id", "id")} AS sample
  FROM shown
  GROUP BY {columns}, level, count, first, last
)"""


def _values(rule: Rule, key: Key, condition: Condition) -> str:
    """Of the events with one value, the first and the last in each stretch as long as a window are enough.

    Whichever window has one of these events, has its first or its last: no number is another one for that. Windows in
    between, which have but fewer values, may be full before all these or after them: so their times are looked up.
    """
    columns, window = _columns(key), rule.window * _SECOND
    enough = f"{rule.comparison} {rule.threshold}"
    several = " AND min(value) <> max(value)" if rule.least > 1 else ""
    level, other, others = _escalation(rule)
    alike = ", ".join([columns, "hashed", "value", *other])
    return f"""\
FROM (
  WITH found AS NOT MATERIALIZED (
    SELECT {_selected(key, {"value": quoted(rule.field)} | other)}
    FROM events
    WHERE {written(condition)}
  ), candidates AS MATERIALIZED (
    SELECT hashed FROM found GROUP BY hashed HAVING count(value) {enough}{several}
  ), kept AS MATERIALIZED (
    SELECT {alike}, unnest([min({TIME}), max({TIME})]) AS {TIME}
    FROM found
    WHERE hashed IN (SELECT hashed FROM candidates)
    GROUP BY {alike}, {TIME} // {window}
  ), windows AS (
    SELECT *, count(DISTINCT value) OVER past AS number{others}
    FROM kept
    {_past(rule, key)}
  ), fullest AS MATERIALIZED (
    SELECT {columns}, {level} AS level, max(number) AS count, min({TIME}) AS first, max({TIME}) AS last,
      arg_max({TIME}, {{'number': number, 'age': -{TIME}}}) AS shown, any_value(hashed) AS hashed
    FROM windows
    WHERE number {enough}
    GROUP BY {columns}
  ), latest AS (
    SELECT fullest.*, value, max(kept.{TIME}) AS latest
    FROM fullest JOIN kept ON {_same(key, "kept", "fullest")}
      AND value IS NOT NULL AND kept.{TIME} BETWEEN last - {window} AND last
    GROUP BY ALL
  ), ends AS MATERIALIZED (
    SELECT * EXCLUDE (value, latest), list_min(max(latest, {rule.least})) + {window} AS until
    FROM latest
    GROUP BY ALL
  ), told AS (
    SELECT ends.*, value, min(found.{TIME}) FILTER (found.{TIME} >= first - {window}) AS since,
      max(found.{TIME}) FILTER (found.{TIME} <= until) AS final,
      min({{'time': found.{TIME}, 'id': {_ID}}}) FILTER (
        value IS NOT NULL AND {_ID} IS NOT NULL AND found.{TIME} BETWEEN shown - {window} AND shown
      ) AS example
    FROM ends JOIN found ON {_same(key, "found", "ends")}
    GROUP BY ALL
  )
  SELECT level, {mapped(key)} AS key, count, min(since) AS first, max(final) AS last,
    {sample_of("'time': example.time, 'id': example.id", "example.id")} AS sample
  FROM told
  GROUP BY {columns}, level, count
)"""


def _selected(key: Key, more: dict[str, str]) -> str:
    """The columns of the events that are found, ``more`` by their names."""
    columns = _columns(key)
    return ", ".join(
        [
            columns,
            TIME,
            _ID,
            *(f"{expression} AS {name}" for name, expression in more.items()),
            f"hash({columns}) AS hashed",
        ]
    )


def _past(rule: Rule, key: Key) -> str:
    return f"""\
WINDOW past AS (
      PARTITION BY {_columns(key)} ORDER BY {TIME}
      RANGE BETWEEN {rule.window * _SECOND} /* {rule.window}s */ PRECEDING AND CURRENT ROW
    )"""


def _same(key: Key, one: str, other: str) -> str:
    """Whether rows of two tables have the same key."""
    equal = (f"{one}.{quoted(name)} IS NOT DISTINCT FROM {other}.{quoted(name)}" for name in key.attributes)
    return " AND ".join([f"{one}.hashed = {other}.hashed", *equal])


def _escalation(rule: Rule) -> tuple[str, dict[str, str], str]:
    """The level of all windows together, a column of the events, and one of the windows, if it depends on them."""
    level, escalation = str(_level(rule.level)), rule.escalation
    if escalation is None:
        return level, {}, ""
    more = f"others {escalation.comparison} {escalation.threshold}"
    return (
        f"max(if({more}, {_level(escalation.level)}, {level}))",
        {"other": quoted(escalation.field)},
        ", count(DISTINCT other) OVER past AS others",
    )


def _measure(rule: Rule) -> _Measure:
    enough = f"{rule.comparison} {rule.threshold}"
    since = f"min({TIME}) OVER past"
    if rule.then is not None:
        before, after = (f"coalesce({written(one)}, false)" for one in (rule.condition, rule.then))
        return _Measure(
            {"before": before, "after": after},
            f"count(*) FILTER (before) {enough} AND bool_or(after)",
            "count(*) FILTER (before) OVER past - before::INTEGER",  # it does not come after itself
            f"min({TIME}) FILTER (before) OVER past",
            f"after AND number {enough}",
            f"(found.{TIME} <> fullest.shown.until)::INTEGER",
        )
    return _Measure({}, f"count(*) {enough}", "count(*) OVER past", since, f"number {enough}", "0")


def _level(level: Level) -> int:
    return LEVELS.index(level)


def _columns(key: Key) -> str:
    return ", ".join(map(quoted, key.attributes))


def mapped(key: Key) -> str:
    pairs = [f"{literal(one)}: {quoted(one)}::VARCHAR" for one in key.attributes]
    return f"MAP {{{', '.join(pairs)}}}"


def sample_of(order: str, identity: str = _ID) -> str:
    return f"[one.id FOR one IN coalesce(min({{{order}}}, {SAMPLE}) FILTER ({identity} IS NOT NULL), [])]"
