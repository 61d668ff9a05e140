"""The scope policy: what each route requires, told in a file by those whose framework does not declare it.

A file in TOML or YAML holds one table, ``scopes``: methods and route, and the scopes they require. The first rule
that matches a request counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

_TABLE: Final = "scopes"
_TOML: Final = (".toml",)
_YAML: Final = (".yaml", ".yml")
# `{item}`, `<int:item>`: one segment of a path; `{rest:path}`, `<path:rest>`, `**`: any number of them.
_PLACEHOLDER: Final = re.compile(
    r"(?P<rest>/\*\*$)|(?P<any>\*\*|\{\w+:path\}|<path:\w+>)|(?P<one>\{[^{}/]*\}|<[^<>/]*>)|\*"
)
_EXPRESSIONS: Final = {"rest": "(?:/.*)?", "any": ".*", "one": "[^/]+", None: "[^/]*"}


class Rule(NamedTuple):
    """Requests, and the scopes they require."""

    methods: frozenset[str]  # none: any method
    route: str
    path: re.Pattern[str]
    scopes: tuple[str, ...]

    def matches(self, method: object, path: str, route: object) -> bool:
        if self.methods and method not in self.methods:
            return False
        return (isinstance(route, str) and _bare(route) == self.route) or bool(self.path.fullmatch(_bare(path)))


class ScopePolicy:
    """Rules in the order of the file.

    Args:
        scopes: by ``"GET /orders/{id}"``, ``"GET,HEAD /orders/*"`` or, for any method, ``"/orders/**"``: the scopes,
            as a list or as one string (RFC 6749 §3.3). An empty list requires none.

    Raises:
        ValueError: with the key at fault and what is wrong with it.
    """

    def __init__(self, scopes: Mapping[str, str | Iterable[str]]) -> None:
        self.rules = tuple(_rule(key, value) for key, value in scopes.items())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ScopePolicy) and self.rules == other.rules

    def __hash__(self) -> int:
        return hash(self.rules)

    def required(self, method: object, path: str, route: object = None) -> tuple[str, ...]:
        """Scopes that a request requires.

        Args:
            method: HTTP method.
            path: path of its URL.
            route: its route's template, where the framework knows one.
        """
        return next((rule.scopes for rule in self.rules if rule.matches(method, path, route)), ())


def load_policy(source: object) -> ScopePolicy:
    """The policy in a file, or in a mapping as the file would hold it under ``scopes``.

    Raises:
        ValueError: with the line and what is wrong there.
    """
    if isinstance(source, ScopePolicy):
        return source
    if isinstance(source, Mapping):
        return ScopePolicy(source)
    path = Path(str(source))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot be read: {error}") from None
    suffix = path.suffix.lower()
    if suffix not in _TOML + _YAML:
        raise ValueError("expected a file named .toml, .yaml or .yml")
    document = _toml(text) if suffix in _TOML else _yaml(text)
    if not isinstance(document, dict) or set(document) != {_TABLE} or not isinstance(document[_TABLE], dict):
        stray = next((key for key in document if key != _TABLE), None) if isinstance(document, dict) else None
        raise ValueError(f"{_line_of(text, stray)}expected one table, {_TABLE!r}")
    try:
        return ScopePolicy(document[_TABLE])
    except _RuleError as error:
        raise ValueError(f"{_line_of(text, error.key)}{error}") from None


class _RuleError(ValueError):
    def __init__(self, key: object, reason: str) -> None:
        super().__init__(f"{key!r}: {reason}")
        self.key = key


def _rule(key: object, value: object) -> Rule:
    if not isinstance(key, str):
        raise _RuleError(key, "expected methods and a route, such as 'GET /orders/{id}'")
    methods, _, route = key.strip().rpartition(" ")
    names = [name.strip() for name in methods.split(",")] if methods.strip() else []
    if not all(name.isalpha() and name.isupper() for name in names):
        raise _RuleError(key, "expected methods in capitals, separated by commas, then a route")
    if not route.startswith("/"):
        raise _RuleError(key, "expected a route that starts with /")
    scopes = value.split() if isinstance(value, str) else value
    if not isinstance(scopes, (list, tuple, set, frozenset)) or not all(isinstance(one, str) and one for one in scopes):
        raise _RuleError(key, "expected scopes as a list of strings, or as one string")
    if "GET" in names:
        names.append("HEAD")  # which is a GET without the body (RFC 9110 §9.3.2)
    return Rule(frozenset(names), _bare(route), _path(_bare(route)), tuple(dict.fromkeys(scopes)))


def _path(route: str) -> re.Pattern[str]:
    parts, end = [], 0
    for match in _PLACEHOLDER.finditer(route):
        parts.append(re.escape(route[end : match.start()]))
        parts.append(_EXPRESSIONS[match.lastgroup])
        end = match.end()
    return re.compile("".join(parts) + re.escape(route[end:]), re.DOTALL)


def _bare(path: str) -> str:
    """Without the slash at its end, and with one at its beginning: Django writes routes without."""
    return "/" + path.strip("/")


def _toml(text: str) -> Any:
    try:
        tomllib = import_module("tomllib")
    except ModuleNotFoundError:  # Python 3.10
        tomllib = _optional("tomli")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason, _, place = str(error).partition(" (at ")
        number = re.match(r"line (\d+)", place)
        # Without a number it is the end of the document.
        raise ValueError(f"line {number[1] if number else len(text.splitlines())}: {reason}") from None


def _yaml(text: str) -> Any:
    yaml = _optional("yaml")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark is not None else ""
        raise ValueError(f"{line}{getattr(error, 'problem', None) or error}") from None


def _optional(module: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError:
        raise ValueError(
            f"reading it takes {module}: pip install 'opentelemetry-instrumentation-pyjwt[policy]'"
        ) from None


def _line_of(text: str, key: object) -> str:
    """Where a key stands in the file, if it can be found there as it is."""
    if key is not None:
        for number, line in enumerate(text.splitlines(), 1):
            if str(key) in line:
                return f"line {number}: "
    return ""
