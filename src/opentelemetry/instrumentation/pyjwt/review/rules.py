"""Rules from files in Sigma: one ``detection``, or a ``correlation`` of those that stand in the same file.

Fields of our own, beside Sigma's: ``x-group-by`` (the key, where no correlation names it), ``x-else-group-by`` (further
keys, for events that lack the first), ``x-times`` (how often the first rule of ``temporal_ordered`` must have matched),
``x-escalation`` (a higher level if so many values are in the window too) and ``x-response`` (what to do).

An attribute must be one of ours or a captured claim; any other, which a hook or a pipeline adds, is named under
``fields``. A rule whose ``status`` is ``deprecated`` or ``unsupported`` is left out.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.review import conditions
from opentelemetry.instrumentation.pyjwt.review.conditions import Wrong, mapping
from opentelemetry.instrumentation.pyjwt.review.documents import Document, RuleError, documents_of
from opentelemetry.instrumentation.pyjwt.review.model import (
    LEVELS,
    LIFETIME,
    LISTS,
    Comparison,
    Condition,
    Escalation,
    Key,
    Level,
    Rule,
    Shape,
)

#: The rules that come with the package.
DEFAULTS: Final = Path(__file__).with_name("sigma")

_SHAPES: Final[tuple[Shape, ...]] = ("event_count", "value_count", "temporal_ordered")
_COMPARISONS: Final[dict[str, Comparison]] = {"gte": ">=", "gt": ">"}
_OURS: Final = {"x-group-by", "x-else-group-by", "x-times", "x-escalation", "x-response"}
_OUT: Final = ("deprecated", "unsupported")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_TIMESPAN: Final = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def load(*paths: Path) -> tuple[Rule, ...]:
    """The rules in these files and folders (``.yml``, ``.yaml``), or else those that come with the package.

    A rule replaces the one of its name in an earlier path.

    Raises:
        RuleError: for the first rule that cannot be used.
        OSError: if a path cannot be read.
    """
    rules: dict[str, Rule] = {}
    for path in paths or (DEFAULTS,):
        files = sorted(one for one in path.rglob("*") if one.suffix in (".yml", ".yaml")) if path.is_dir() else [path]
        if not files:
            raise RuleError(path, "*.yml", "there is no rule in this folder")
        found: dict[str, Rule | None] = {}
        for file in files:
            for name, rule in _in_file(file):
                if name in found:
                    raise RuleError(file, f"{name}.name", "is the name of another rule as well")
                found[name] = rule
        for name, rule in found.items():
            rules.pop(name, None)
            if rule is not None:
                rules[name] = rule
    return tuple(rules.values())


def _in_file(file: Path) -> Iterator[tuple[str, Rule | None]]:
    """Names and rules; no rule for a name that is to be left out."""
    documents = documents_of(file)
    by_name = {str(one[key]): one for one in documents for key in ("id", "name") if key in one}
    correlations = [one["correlation"] for one in documents if isinstance(one.get("correlation"), Mapping)]
    parts = [id(by_name.get(str(name))) for one in correlations for name in _listed(one.get("rules"))]
    # Correlations first: one that is wrong would leave its parts to be taken for rules.
    for place, document in sorted(enumerate(documents, 1), key=lambda one: "correlation" not in one[1]):
        if id(document) in parts:
            continue
        try:
            yield _rule(document, by_name, file.name)
        except Wrong as wrong:
            raise RuleError(file, f"{document.get('name', f'rule {place}')}.{wrong.where}", wrong.reason) from None
        except RecursionError:
            raise RuleError(file, f"{document.get('name', f'rule {place}')}", "is nested too deeply") from None


# --- One rule -----------------------------------------------------------------------------------------------


def _rule(document: Document, by_name: Mapping[str, Document], source: str) -> tuple[str, Rule | None]:
    name = _text(document, "name", required=True)
    if not _NAME.fullmatch(name):
        raise Wrong("name", "must be letters, digits, '-', '_' and '.', 64 at most")
    if unknown := sorted(one for one in document if str(one).startswith("x-") and one not in _OURS):
        raise Wrong(unknown[0], f"is not known; {', '.join(sorted(_OURS))} are")
    if document.get("status") in _OUT:
        return name, None
    own = set(_texts(document, "fields"))
    if "correlation" in document:
        shape, parts = _correlated(document, by_name, own)
    else:
        _only(document, "x-group-by", "x-else-group-by", "x-response", where="a rule without correlation")
        condition = _detected(document, own)
        shape, parts = "single", {"condition": condition, "keys": _keys(document, document.get("x-group-by"), own)}
    return name, Rule(
        name=name,
        id=_identity(document, name),
        title=_text(document, "title", required=True),
        description=_text(document, "description"),
        level=_level(document.get("level"), "level"),
        shape=shape,
        response=_text(document, "x-response"),
        references=_texts(document, "references"),
        tags=_texts(document, "tags"),
        false_positives=_texts(document, "falsepositives"),
        source=source,
        **parts,
    )


def _detected(document: Document, own: set[str]) -> Condition:
    source = mapping(document.get("logsource"), "logsource")
    if source.get("product") != "pyjwt":
        raise Wrong("logsource.product", "must be pyjwt")
    condition = conditions.condition_of(document["detection"])
    for field in sorted(conditions.fields_of(condition)):
        _known(field, own, "detection")
    return condition


def _correlated(document: Document, by_name: Mapping[str, Document], own: set[str]) -> tuple[Shape, dict[str, Any]]:
    told = mapping(document["correlation"], "correlation")
    if unknown := sorted(told.keys() - {"type", "rules", "group-by", "timespan", "condition"}):
        raise Wrong(f"correlation.{unknown[0]}", "is not supported")
    shape: Shape | None = next((one for one in _SHAPES if one == told.get("type")), None)
    if shape is None:
        raise Wrong("correlation.type", f"must be one of {', '.join(_SHAPES)}")
    detected = list(_parts(told.get("rules"), by_name, own))
    parts: dict[str, Any] = {"window": _timespan(told.get("timespan"))}
    ours = ["x-else-group-by", "x-response"]
    if shape == "temporal_ordered":
        _only(document, *ours, "x-times", where="temporal_ordered")
        if len(detected) != 2 or "condition" in told:
            raise Wrong("correlation.rules", "must be two rules, the first and what comes after, without a condition")
        (first, parts["condition"]), (_, parts["then"]) = detected
        times = mapping(document.get("x-times", {first: 1}), "x-times")
        if set(times) != {first}:
            raise Wrong("x-times", f"must be how often {first} has matched, and nothing else")
        parts["threshold"] = _whole(times[first], f"x-times.{first}", 1)
    else:
        _only(document, *ours, "x-escalation", where=shape)
        parts["condition"] = conditions.any_of(one for _, one in detected)
        values = shape == "value_count"
        parts |= _bound(told.get("condition"), "correlation.condition", own, field=values)
        if "x-escalation" in document:
            bound = dict(mapping(document["x-escalation"], "x-escalation"))
            level = _level(bound.pop("level", None), "x-escalation.level")
            parts["escalation"] = Escalation(level, **_bound(bound, "x-escalation", own, field=True))
    parts["keys"] = _keys(document, told.get("group-by"), own, "correlation.group-by")
    return shape, parts


def _parts(names: object, by_name: Mapping[str, Document], own: set[str]) -> Iterator[tuple[str, Condition]]:
    """The rules that a correlation is of."""
    if not _listed(names):
        raise Wrong("correlation.rules", "must name one rule or several")
    for name in map(str, _listed(names)):
        part = by_name.get(name)
        if part is None:
            raise Wrong("correlation.rules", f"{name} is no rule of this file")
        if "detection" not in part:
            raise Wrong("correlation.rules", f"{name} is itself a correlation, which is not supported")
        own |= set(_texts(part, "fields"))
        yield name, _detected(part, own)


# --- Fields of a rule ---------------------------------------------------------------------------------------


def _keys(document: Document, first: object, own: set[str], where: str = "x-group-by") -> tuple[Key, ...]:
    others = document.get("x-else-group-by", [])
    if isinstance(others, list) and others and not any(isinstance(one, list) for one in others):
        others = [others]
    keys = []
    for place, names in ((where, first), *(("x-else-group-by", one) for one in _listed(others))):
        if not _listed(names) or not all(isinstance(one, str) for one in _listed(names)):
            raise Wrong(place, "must be a list of attributes")
        for one in _listed(names):
            _known(one, own, place, value=True)
        keys.append(Key(tuple(_listed(names))))
    return tuple(keys)


def _bound(value: object, where: str, own: set[str], *, field: bool) -> dict[str, Any]:
    bound = dict(mapping(value, where))
    parts: dict[str, Any] = {}
    if field:
        parts["field"] = _text(bound, "field", required=True, where=f"{where}.field")
        _known(parts["field"], own, f"{where}.field", value=True)
        del bound["field"]
    if len(bound) != 1 or not bound.keys() <= _COMPARISONS.keys():
        raise Wrong(where, "must have one of gte and gt" + (" beside field" if field else " and nothing else"))
    ((comparison, number),) = bound.items()
    parts["comparison"] = _COMPARISONS[comparison]
    parts["threshold"] = _whole(number, f"{where}.{comparison}", 1 if comparison == "gte" else 0)
    return parts


def _known(field: str, own: set[str], where: str, *, value: bool = False) -> None:
    """Raises if there is no such attribute, or none with one plain ``value`` where that is wanted."""
    if value and (field in LISTS or field == LIFETIME):
        raise Wrong(where, f"{field} cannot be grouped or counted by")
    ours = field.startswith(("jwt.", "audit."))
    if field in semconv.ATTRIBUTES or field == LIFETIME or field.startswith(semconv.CLAIM_PREFIX):
        return
    if ours or field not in own:
        raise Wrong(
            where, f"there is no attribute {field}" + ("" if ours else "; one of your own is named under fields")
        )


def _only(document: Document, *allowed: str, where: str) -> None:
    if others := sorted(_OURS.intersection(document).difference(allowed)):
        raise Wrong(others[0], f"has no meaning for {where}")


def _identity(document: Document, name: str) -> str:
    """Its UUID; one that is made of the name where none is given."""
    try:
        return str(uuid.UUID(str(document["id"]))) if "id" in document else str(uuid.uuid5(uuid.NAMESPACE_OID, name))
    except ValueError:
        raise Wrong("id", "must be a UUID") from None


def _level(value: object, where: str) -> Level:
    for level in LEVELS:
        if level == value:
            return level
    raise Wrong(where, f"must be one of {', '.join(LEVELS)}")


def _timespan(value: object) -> int:
    match = _TIMESPAN.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Wrong("correlation.timespan", "must be a number and its unit, as in 90s, 10m, 24h or 7d")
    return int(match[1]) * _SECONDS[match[2]]


def _whole(value: object, where: str, least: int) -> int:
    if type(value) is not int or not least <= value < 2**31:
        raise Wrong(where, f"must be a whole number of {least} or more")
    return value


def _text(document: Document, field: str, *, required: bool = False, where: str = "") -> str:
    value = document.get(field, "")
    if not isinstance(value, str) or (required and not value):
        raise Wrong(where or field, "must be text")
    return value.strip()


def _texts(document: Document, field: str) -> tuple[str, ...]:
    value = document.get(field, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise Wrong(field, "must be a list of texts")
    return tuple(value)


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
