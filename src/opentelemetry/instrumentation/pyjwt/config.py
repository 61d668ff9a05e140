"""Settings: one frozen value, every field beside its environment variable and its default.

A field is set by a keyword of ``PyJWTInstrumentor().instrument()`` or else by its environment variable.
Declarative configuration (``OTEL_CONFIG_FILE``, section ``instrumentation/development: python: pyjwt:``)
reaches us as keywords: ``opentelemetry-configuration`` passes on what stands there. A bad value costs one
warning that names where it came from; the default is used and the application starts.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt.bounds import STRING_LIMIT
from opentelemetry.instrumentation.pyjwt.scope_policy import ScopePolicy, load_policy
from opentelemetry.instrumentation.pyjwt.token import SCOPE_CLAIMS

_logger = logging.getLogger(__name__)

PREFIX: Final = "OTEL_PYTHON_PYJWT_"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


# --- From what an operator writes to a value: each raises ValueError with what is wrong ------------------


def _choice(*allowed: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        chosen = str(value).strip().lower()
        if chosen not in allowed:
            raise ValueError(f"expected one of {', '.join(allowed)}")
        return chosen

    return parse


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    try:
        return words[str(value).strip().lower()]
    except KeyError:
        raise ValueError("expected true or false") from None


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, Iterable):
        raise ValueError("expected names separated by commas")
    return tuple(name for item in value if (name := str(item).strip()))


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("expected a non-empty string")
    return value.strip()


def _secret(value: object) -> bytes:
    if not isinstance(value, (str, bytes)) or not value:
        raise ValueError("expected a non-empty string")
    return value.encode() if isinstance(value, str) else value


def _patterns(value: object) -> re.Pattern[str] | None:
    """Regular expressions separated by commas, searched for in the URL, as the other instrumentations do."""
    try:
        return re.compile("|".join(names)) if (names := _names(value)) else None
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None


def _networks(value: object) -> tuple[Network, ...]:
    # A host's address may stand for its network: 10.0.0.7/24 is 10.0.0.0/24.
    return tuple(ipaddress.ip_network(name, strict=False) for name in _names(value))


def _path(value: object) -> Path:
    if not isinstance(value, (str, bytes, os.PathLike)) or not value:
        raise ValueError("expected a path")
    return Path(os.fsdecode(value)).absolute()


def _quantity(units: Mapping[str, int], example: str) -> Callable[[object], int]:
    """A whole number with a unit, or of the smallest unit without."""

    def parse(value: object) -> int:
        found = re.fullmatch(r"0*([1-9]\d{0,17})\s*([a-z]*)", str(value).strip().lower(), re.ASCII)
        if found is None or (found[2] and found[2] not in units):
            raise ValueError(f"expected a number and its unit, such as {example}")
        return int(found[1]) * units.get(found[2], 1)

    return parse


_duration = _quantity({"s": 1, "m": 60, "h": 3600, "d": 86400}, "30m, 1h or 30d")
_size = _quantity({"b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}, "64MiB or 2GiB")


# OpenTelemetry's own limits; values that are none are the SDK's to complain about.
_LIMITS: Final = (
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
)


def _smallest_limit(environ: Mapping[str, str]) -> int:
    """Ours, or OpenTelemetry's if that is smaller: then we cut, and mark the cut, before the SDK does."""
    given = [int(value) for name in _LIMITS if (value := environ.get(name, "").strip()).isdecimal()]
    return min([STRING_LIMIT, *given])


# --- The settings -----------------------------------------------------------------------------------------


def _setting(default: Any, parse: Callable[[object], Any], *variables: str, secret: bool = False) -> Any:
    return field(default=default, metadata={"variables": variables, "parse": parse, "secret": secret}, repr=not secret)


@dataclass(frozen=True)
class Settings:
    """What the operator decided. Built by :meth:`load`; a bare ``Settings()`` is all defaults."""

    #: How subjects are recorded: ``plain``, ``hmac`` (a keyed pseudonym) or ``omit``.
    subject: str = _setting("plain", _choice("plain", "hmac", "omit"), PREFIX + "SUBJECT")
    #: Key of the pseudonyms, and of fingerprints when subjects are not plain. Unset: random, for this process.
    pseudonym_key: bytes | None = _setting(None, _secret, PREFIX + "PSEUDONYM_KEY", secret=True)
    #: Names of further claims to record as ``jwt.claims.<name>``.
    capture_claims: tuple[str, ...] = _setting((), _names, PREFIX + "CAPTURE_CLAIMS")
    #: Claims that hold the scopes a token grants; ``realm_access.roles`` leads into a claim that is an object.
    scope_claims: tuple[str, ...] = _setting(SCOPE_CLAIMS, _names, PREFIX + "SCOPE_CLAIMS")
    #: What routes require, where the framework does not declare it: a file in TOML or YAML, or a mapping like it.
    scope_policy: ScopePolicy | None = _setting(None, load_policy, PREFIX + "SCOPE_POLICY")
    #: ``False``: no ``jwt.validated`` events; spans, metrics and every other event stay.
    capture_validated: bool = _setting(True, _boolean, PREFIX + "CAPTURE_VALIDATED")
    #: Requests whose URL this matches leave no trace at all.
    excluded_urls: re.Pattern[str] | None = _setting(
        None, _patterns, PREFIX + "EXCLUDED_URLS", "OTEL_PYTHON_EXCLUDED_URLS"
    )
    #: Peers whose ``Forwarded`` or ``X-Forwarded-For`` is believed.
    trusted_proxies: tuple[Network, ...] = _setting((), _networks, PREFIX + "TRUSTED_PROXIES")
    #: Directory of the audit journal: events go there, and not through the SDK's log pipeline.
    journal: Path | None = _setting(None, _path, PREFIX + "JOURNAL")
    #: When the disk must have a record: ``never`` said, at an ``interval`` (1 s), or ``always``, before the response.
    journal_fsync: str = _setting("interval", _choice("never", "interval", "always"), PREFIX + "JOURNAL_FSYNC")
    #: A segment of the journal is closed after this many seconds, and at this size in bytes.
    journal_rotate: int = _setting(3600, _duration, PREFIX + "JOURNAL_ROTATE")
    journal_rotate_bytes: int = _setting(64 * 2**20, _size, PREFIX + "JOURNAL_ROTATE_BYTES")
    #: Seconds for which closed segments are kept once they are delivered.
    journal_retention: int = _setting(30 * 86400, _duration, PREFIX + "JOURNAL_RETENTION")
    #: The most the journal may hold, in bytes; then records are dropped (``drop``), or what they tell of is refused
    #: (``refuse``).
    journal_max_bytes: int = _setting(2 * 2**30, _size, PREFIX + "JOURNAL_MAX_BYTES")
    journal_on_full: str = _setting("drop", _choice("drop", "refuse"), PREFIX + "JOURNAL_ON_FULL")
    #: File of the Ed25519 private key (PEM) that signs checkpoints.
    journal_signing_key: Path | None = _setting(None, _path, PREFIX + "JOURNAL_SIGNING_KEY")
    #: Public keys of age, or of SSH: segments are encrypted to them once they are closed and delivered.
    journal_recipients: tuple[str, ...] = _setting((), _names, PREFIX + "JOURNAL_RECIPIENTS")
    #: Where the journal is forwarded to; unset: where OpenTelemetry's variables say.
    journal_endpoint: str | None = _setting(None, _text, PREFIX + "JOURNAL_ENDPOINT")
    #: ``http/json``, ``http/protobuf`` or ``grpc``; unset: as OpenTelemetry's variables say, or else ``http/json``.
    journal_protocol: str | None = _setting(
        None, _choice("http/json", "http/protobuf", "grpc"), PREFIX + "JOURNAL_PROTOCOL"
    )
    #: Longest attribute value, in characters; no option, but 256 or OpenTelemetry's own limit if that is smaller.
    string_limit: int = STRING_LIMIT

    @classmethod
    def load(cls, options: Mapping[str, object] | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
        """Settings from keywords and environment; never raises.

        Args:
            options: keywords of ``instrument()``; an unknown one is named in a warning.
            environ: environment variables.
        """
        options = dict(options or {})
        settings = [setting for setting in fields(cls) if setting.metadata]
        for name in sorted(options.keys() - {setting.name for setting in settings}):
            _logger.warning("Unknown option %r of the PyJWT instrumentation is ignored.", name)
        values: dict[str, Any] = {"string_limit": _smallest_limit(environ)}
        for setting in settings:
            name, metadata = setting.name, setting.metadata
            if options.get(name) is not None:
                origin, raw = f"Option {name!r}", options[name]
            else:
                variable = next((one for one in metadata["variables"] if environ.get(one, "").strip()), None)
                if variable is None:
                    continue
                origin, raw = variable, environ[variable]
            try:
                values[name] = metadata["parse"](raw)
            except (ValueError, TypeError) as error:
                shown = "" if metadata["secret"] else f" {raw!r}"
                _logger.warning("%s: bad value%s (%s); using the default.", origin, shown, error)
        return cls(**values)
