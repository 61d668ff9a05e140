"""Events as lines of OTLP JSON: one export request with one record each.

A record is written in its canonical form (:mod:`.chain`) to begin with, and what is not chained is put before it: the
bytes that are hashed are the bytes that are written. Records of one shape (the same names with values of the same
types) differ in their values alone, so a shape's text is made once, with a place for each value; likewise that of
lists, which are few and come again with each token.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.bounds import as_value, text
from opentelemetry.instrumentation.pyjwt.events import ERROR, INFO, WARN, AuditEvent
from opentelemetry.instrumentation.pyjwt.journal.accountable import accountable, telling
from opentelemetry.instrumentation.pyjwt.journal.chain import OBSERVED, chained, number, order, quoted
from opentelemetry.instrumentation.pyjwt.version import __version__

#: Of a span: trace id, span id, trace flags.
SpanIds = tuple[int, int, int]

_SEVERITY_NUMBERS: Final = {INFO: 9, WARN: 13, ERROR: 17}  # OTLP's SeverityNumber
_SHAPES: Final = 256  # known at a time; names of captured claims and of a hook may make many
_LISTS: Final = 64  # likewise: they may be long
_SEQUENCE: Final = "audit.sequence."
_BETWEEN: Final = '},{"stringValue":'
_PLACE: Final = "\0"  # of the sequence in a text; JSON has this character as an escape alone
_OPENING: Final = '{"attributes":['


class Draft(NamedTuple):
    """A record that lacks its place in a stream."""

    chained: bytes  #: its canonical form, with a mark where the sequence belongs
    unchained: bytes  #: attributes that are not chained, each with a comma behind it


class _Shape(NamedTuple):
    pick: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    renderers: tuple[Callable[[Any], str], ...]
    parts: list[str]  # every other one is a value's, and empty
    unchained: tuple[str, ...]


class Drafter:
    """Makes drafts of events."""

    def __init__(self) -> None:
        self._shapes: dict[object, _Shape] = {}

    def draft(self, event: AuditEvent, span: SpanIds | None = None) -> Draft:
        """The record of ``event``, which happened within ``span``."""
        name, time_unix_nano, severity, body, attributes = event
        key = (name, body, severity, telling(attributes), tuple(attributes), tuple(map(type, attributes.values())))
        shape = self._shapes.get(key)
        if shape is None:
            if len(self._shapes) >= _SHAPES:
                self._shapes.clear()
            shape = self._shapes[key] = _shape(event)
        flags = span_text = trace_text = ""
        if span is not None:
            trace_id, span_id, trace_flags = span
            flags = f'"flags":{trace_flags},'
            span_text = f'"spanId":"{span_id.to_bytes(8, "big").hex()}",'
            trace_text = f',"traceId":"{trace_id.to_bytes(16, "big").hex()}"'
        values = [render(value) for render, value in zip(shape.renderers, shape.pick(attributes))]  # noqa: B905  # strict costs time
        values += (flags, span_text, str(time_unix_nano), trace_text)
        parts = shape.parts.copy()
        parts[1::2] = values
        unchained = [f"{attribute_text(one, attributes[one])}," for one in shape.unchained]
        return Draft(_bytes("".join(parts)), _bytes("".join(unchained)))


def sequenced(draft: Draft, stream_id: str, sequence: int, prev_hash: str) -> bytes:
    """The draft at its place in a stream: what is hashed."""
    place = (
        f'{{"key":"audit.sequence.number","value":{{"intValue":"{sequence}"}}}},'
        f'{{"key":"audit.sequence.prev_hash","value":{{"stringValue":"{prev_hash}"}}}},'
        f'{{"key":"audit.sequence.stream_id","value":{{"stringValue":"{stream_id}"}}}}'
    )
    return draft.chained.replace(_PLACE.encode(), place.encode(), 1)


def line(envelope: tuple[bytes, bytes], draft: Draft, canonical: bytes, observed_unix_nano: int) -> bytes:
    """What is written: the canonical form, preceded by what is not chained, in its envelope."""
    observed = f'{{"{OBSERVED}":"{observed_unix_nano}","attributes":['
    return b"".join((envelope[0], observed.encode(), draft.unchained, canonical[len(_OPENING) :], envelope[1]))


def vouched(draft: Draft, proof: str) -> Draft:
    """The draft with the proof of what it is hashed as."""
    return draft._replace(unchained=_bytes(f"{attribute_text(semconv.INTEGRITY, proof)},"))


def envelope(resource: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """What of an export request stands before and behind its record, the line's end included."""
    attributes = ",".join([attribute_text(name, value) for name, value in resource.items()])
    scope = f'{{"name":"opentelemetry.instrumentation.pyjwt","version":{quoted(__version__)}}}'
    before = (
        f'{{"resourceLogs":[{{"resource":{{"attributes":[{attributes}]}},"scopeLogs":[{{"scope":{scope},"logRecords":['
    )
    return _bytes(before), b"]}]}]}\n"


def attribute_text(name: str, value: Any) -> str:
    """One attribute as OTLP JSON."""
    template, render = _rendering(value)
    return f'{{"key":{quoted(text(name))},"value":{template % render(value)}}}'


def _bytes(whole: str) -> bytes:
    # A lone surrogate may come with the environment's resource, or a route: better a "?" than no record.
    return whole.encode("utf-8", "replace")


# --- Shapes -------------------------------------------------------------------------------------------------


def _shape(event: AuditEvent) -> _Shape:
    """The text of records like that of ``event``: with attributes of these names and types."""
    name, _, severity, body, attributes = event
    words, copies = accountable(name, attributes)
    # Each attribute, and the one of the event that has its value. The sequence is the stream's to say.
    sources = {one: one for one in attributes if not one.startswith(_SEQUENCE)} | copies
    outside = [one for one in attributes if not chained(text(one))]
    constants, picked, renderers = [_OPENING], [], []
    for one in sorted({_SEQUENCE, *words, *sources} - set(outside), key=_place):
        if one == _SEQUENCE:
            constants[-1] += _PLACE
        elif one in words:
            constants[-1] += attribute_text(one, words[one])
        else:
            template, render = _rendering(attributes[sources[one]])
            before, _, behind = template.partition("%s")
            constants[-1] += f'{{"key":{quoted(text(one))},"value":{before}'
            constants.append(f"{behind}}}")
            picked.append(sources[one])
            renderers.append(render)
        constants[-1] += ","
    constants[-1] = (
        f'{constants[-1][:-1]}],"body":{{"stringValue":{quoted(body)}}},"eventName":{quoted(name)},'  # flags
    )
    constants += (
        f'"severityNumber":{_SEVERITY_NUMBERS[severity]},"severityText":"{severity}",',  # the span's id
        '"timeUnixNano":"',  # the time
        '"',  # the trace's id
        "}",
    )
    parts = [""] * (2 * len(constants) - 1)
    parts[::2] = constants
    return _Shape(_picker(picked), tuple(renderers), parts, tuple(outside))


def _place(name: str) -> bytes:
    return order(text(name))  # a hook's name may hold anything


def _picker(names: list[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    if len(names) > 1:  # or else itemgetter does not give a tuple
        return itemgetter(*names)
    return lambda attributes: tuple([attributes[name] for name in names])


def _rendering(value: Any) -> tuple[str, Callable[[Any], str]]:
    """The text around a value like this one, and what makes the text of such values."""
    for kind, template, render in _RENDERINGS:
        if isinstance(value, kind):
            return template, render
    return '{"stringValue":%s}', lambda value: quoted(str(as_value(str(value)) or ""))


def _array(values: Any) -> str:
    if not values:
        return ""
    try:  # as nearly all are: of strings
        return _strings(tuple(values))
    except TypeError:
        pass
    return ",".join([template % render(value) for value in values for template, render in (_rendering(value),)])


@lru_cache(_LISTS)
def _strings(values: tuple[str, ...]) -> str:
    return f'{{"stringValue":{_BETWEEN.join(map(quoted, values))}}}'


def _double(value: float) -> str:
    if math.isfinite(value):
        return number(value)
    return '"NaN"' if math.isnan(value) else '"Infinity"' if value > 0 else '"-Infinity"'


_RENDERINGS: Final[tuple[tuple[Any, str, Callable[[Any], str]], ...]] = (
    (str, '{"stringValue":%s}', quoted),
    (bool, '{"boolValue":%s}', {True: "true", False: "false"}.__getitem__),  # before int, which it is, too
    (int, '{"intValue":"%s"}', int.__repr__),
    (float, '{"doubleValue":%s}', _double),
    ((list, tuple), '{"arrayValue":{"values":[%s]}}', _array),
)
