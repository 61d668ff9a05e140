"""Subjects against their own past: where, with what and when their tokens were used before, and how often.

Nobody's past is anybody else's, and a subject with little of it is left alone. What is new of a subject is scored
together: a new country with a new user agent says more than either.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.review.columns import TIME, literal, quoted
from opentelemetry.instrumentation.pyjwt.review.model import LEVELS, Exists, Key, Level, Rule
from opentelemetry.instrumentation.pyjwt.review.sql import mapped


class Sign(NamedTuple):
    """What can be unusual of a subject."""

    name: str
    title: str
    points: int
    days: int  #: days with uses that the past must have at least


#: What is compared; the last is the rate, all others are values that may be new.
SIGNS: Final = (
    Sign("baseline-new-country", "Tokens of a subject used from a country that is new", 3, 3),
    Sign("baseline-new-network", "Tokens of a subject used from a network that is new", 1, 3),
    Sign("baseline-new-agent", "Tokens of a subject used with a user agent that is new", 1, 3),
    Sign("baseline-new-hour", "Tokens of a subject used at an hour of the day that is new", 1, 7),
    Sign("baseline-rate", "Tokens of a subject used far more often than ever", 2, 7),
)
#: The level of all findings of a subject, by the points that they have together; else informational.
SCORES: Final[tuple[tuple[int, Level], ...]] = ((5, "high"), (3, "medium"), (2, "low"))
HOURS_APART: Final = 1  # an hour this near to a known one is not new
#: Seconds, and the uses within them below which no rate is high.
RATES: Final = ((3_600, 60), (86_400, 300))
TIMES: Final = 3  # a high rate is beyond so many times the median,
DEVIATIONS: Final = 6  # and so many standard deviations above it, taken from the median absolute deviation

#: What it looks at.
ATTRIBUTES: Final = (
    semconv.ISS,
    semconv.SUB,
    semconv.VERIFIED,
    semconv.COUNTRY,
    semconv.CLIENT_ADDRESS,
    semconv.USER_AGENT,
)

_SUBJECT: Final = Key((semconv.ISS, semconv.SUB))
_SECOND: Final = 1_000_000_000
_HOUR: Final = 3_600 * _SECOND
_DAY: Final = 86_400 * _SECOND
_ROBUST: Final = 1.4826  # of a normal distribution: its standard deviation by its median absolute deviation
_SHOWN: Final = 80  # characters of a value
_RATE: Final = len(SIGNS) - 1
_USED: Final = ", ".join(map(literal, (semconv.VALIDATED, semconv.DENIED, semconv.REJECTED)))
_RESPONSE: Final = (
    "Ask the subject, by another way than the token, whether it was them: a journey, a new device or a new job explain "
    "it. If not, revoke the tokens (jwt-audit trail tells which) and end the sessions."
)

RULES: Final = tuple(
    Rule(
        name=sign.name,
        id="",
        title=sign.title,
        description="",
        level="informational",
        shape="single",
        condition=Exists(semconv.SUB),
        keys=(_SUBJECT,),
        response=_RESPONSE,
    )
    for sign in SIGNS
)


def query_of(since: int, first: int) -> str:
    """A query of what is unusual since then, in the table ``trail``, which has the past as well.

    Args:
        since: nanoseconds since the epoch: where the past ends.
        first: the number of the first of :data:`RULES`.
    """
    days, points, names = (
        f"[{', '.join(column)}]"
        for column in zip(
            *((str(one.days), str(one.points), literal(one.name.removeprefix("baseline-"))) for one in SIGNS),
            strict=True,
        )
    )
    spans = ", ".join(f"{{'span': {seconds * _SECOND}, 'least': {least}}}" for seconds, least in RATES)
    levels = " ".join(f"WHEN score >= {score} THEN {LEVELS.index(level)}" for score, level in SCORES)
    near = ", ".join(
        f"(TRY_CAST(value AS INTEGER) + {24 + apart}) % 24" for apart in range(-HOURS_APART, HOURS_APART + 1)
    )
    return f"""\
WITH uses AS NOT MATERIALIZED (
  SELECT {TIME}, {quoted(semconv.RECORD_ID)} AS id, {quoted(semconv.ISS)} AS iss, {quoted(semconv.SUB)} AS sub,
    {quoted(semconv.EVENT_NAME)} AS event, {quoted(semconv.COUNTRY)} AS country, {network_of()} AS network,
    regexp_replace({quoted(semconv.USER_AGENT)}, '[0-9][0-9._]*', '', 'g') AS agent
  FROM trail
  WHERE {quoted(semconv.VERIFIED)} AND {quoted(semconv.EVENT_NAME)} IN ({_USED}) AND {quoted(semconv.SUB)} IS NOT NULL
), signs AS NOT MATERIALIZED (
  SELECT {TIME}, id, iss, sub, event, unnest(range({_RATE})) AS sign,
    unnest([country, network, agent, ({TIME} // {_HOUR} % 24)::VARCHAR]) AS value
  FROM uses
), past AS NOT MATERIALIZED (  -- what was refused teaches nothing
  SELECT * FROM signs WHERE {TIME} < {since} AND event <> {literal(semconv.REJECTED)} AND value IS NOT NULL
), known AS NOT MATERIALIZED (
  SELECT iss, sub, sign, unnest(if(sign = {_RATE - 1}, [{near}]::VARCHAR[], [value])) AS value FROM past
), fresh AS MATERIALIZED (
  SELECT iss, sub, sign, value, count(*) AS n, min({TIME}) AS first, max({TIME}) AS last,
    min({{'time': {TIME}, 'id': id}}) FILTER (id IS NOT NULL) AS example
  FROM signs
  WHERE {TIME} >= {since} AND value IS NOT NULL
  GROUP BY ALL
), strange AS MATERIALIZED (
  SELECT * FROM fresh ANTI JOIN known
  ON {_alike("fresh", "known")} AND fresh.sign = known.sign AND fresh.value = known.value
), days AS MATERIALIZED (
  SELECT DISTINCT iss, sub, sign, value, {TIME} // {_DAY} AS day
  FROM past SEMI JOIN strange ON {_alike("past", "strange")} AND past.sign = strange.sign
), histories AS (
  SELECT iss, sub, sign, count(DISTINCT day) AS days FROM days GROUP BY ALL
  HAVING count(DISTINCT day) >= {days}[sign + 1]
), before AS (
  SELECT iss, sub, sign, max({{'days': days, 'value': value}}, 5) AS often
  FROM (SELECT iss, sub, sign, value, count(*) AS days FROM days GROUP BY ALL)
  GROUP BY iss, sub, sign
), new AS (
  SELECT strange.iss, strange.sub, strange.sign, sum(n) AS count, min(first) AS first, max(last) AS last,
    [one FOR one IN min(example, 5) FILTER (example IS NOT NULL)] AS examples,
    'first ' || ['from country', 'from network', 'with user agent', 'at hour (UTC)'][strange.sign + 1] || ' '
      || {_listed("max({'n': n, 'value': strange.value}, 3)")} || '; in ' || any_value(histories.days)
      || ' active days before: ' || {_listed("any_value(often)")} AS told
  FROM strange
  JOIN histories ON {_alike("strange", "histories")} AND strange.sign = histories.sign
  JOIN before ON {_alike("strange", "before")} AND strange.sign = before.sign
  GROUP BY strange.iss, strange.sub, strange.sign
), spans AS (
  SELECT unnest([{spans}], recursive := true)
), busy AS MATERIALIZED (
  SELECT iss, sub, span, {TIME} // span AS stretch, count(*) AS n, min({TIME}) AS first, max({TIME}) AS last,
    min({{'time': {TIME}, 'id': id}}, 5) FILTER (id IS NOT NULL) AS examples
  FROM uses, spans
  WHERE {TIME} >= {since}
  GROUP BY iss, sub, span, least, stretch
  HAVING count(*) >= least
), counted AS (
  SELECT iss, sub, span, {TIME} // span AS stretch, any_value({TIME} // {_DAY}) AS day, count(*) AS n
  FROM uses SEMI JOIN busy ON {_alike("uses", "busy")}, spans
  WHERE {TIME} < {since}
  GROUP BY iss, sub, span, stretch
), usual AS (
  SELECT iss, sub, span, median(n) AS middle, mad(n) AS deviation
  FROM counted
  GROUP BY iss, sub, span
  HAVING count(DISTINCT day) >= {SIGNS[_RATE].days}
), rates AS (
  SELECT busy.iss, busy.sub, {_RATE} AS sign, max(n) AS count, min(first) AS first, max(last) AS last,
    arg_max(examples, n / middle) AS examples,
    arg_max(n || ' uses in one ' || if(busy.span = {_HOUR}, 'hour', 'day') || '; the median of before is '
      || round(middle, 1) || ' (median absolute deviation ' || round(deviation, 1) || ')', n / middle) AS told
  FROM busy JOIN usual ON {_alike("busy", "usual")} AND busy.span = usual.span
  WHERE n > {TIMES} * middle AND n > middle + {DEVIATIONS * _ROBUST} * deviation
  GROUP BY busy.iss, busy.sub
), scored AS (
  SELECT *, sum({points}[sign + 1]) OVER same AS score,
    array_to_string(list_sort(list({names}[sign + 1]) OVER same), ', ') AS together
  FROM (FROM new UNION ALL BY NAME FROM rates)
  WINDOW same AS (PARTITION BY iss, sub)
)
SELECT {first} + sign AS rule, CASE {levels} ELSE 0 END AS level,
  {mapped(_SUBJECT)} AS key, count, first, last, [one.id FOR one IN coalesce(examples, [])] AS sample,
  told || '; score ' || score || ' (' || together || ')' AS why
FROM (SELECT *, iss AS {quoted(semconv.ISS)}, sub AS {quoted(semconv.SUB)} FROM scored)"""


def _alike(one: str, other: str) -> str:
    return f"{one}.iss IS NOT DISTINCT FROM {other}.iss AND {one}.sub = {other}.sub"


def _listed(values: str) -> str:
    return f"array_to_string([left(one.value, {_SHOWN}) FOR one IN {values}], ', ')"


def network_of() -> str:
    """The /24 or /48 of the client's address; what is no address, as it is."""
    address = quoted(semconv.CLIENT_ADDRESS)
    four = f"regexp_extract({address}, '^(?:::ffff:)?([0-9]+\\.[0-9]+\\.[0-9]+)\\.[0-9]+$', 1, 'i')"
    groups = f"(string_split(split_part(lower({address}), '::', 1), ':') || ['0', '0', '0'])[:3]"
    plain = f"array_to_string([coalesce(nullif(ltrim(one, '0'), ''), '0') FOR one IN {groups}], ':')"
    six = f"if(contains({address}, ':'), {plain} || '::/48', {address})"
    return f"if({four} <> '', {four} || '.0/24', {six})"
