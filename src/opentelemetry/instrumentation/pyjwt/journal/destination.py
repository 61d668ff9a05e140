"""Where the journal is forwarded to, and how: our own settings, or else OpenTelemetry's variables for logs."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.util.re import parse_env_headers

_logger = logging.getLogger("opentelemetry.instrumentation.pyjwt")

PROTOCOLS: Final = ("http/json", "http/protobuf", "grpc")
_COMPRESSIONS: Final = ("gzip", "deflate", "none")
_TIMEOUT: Final = 10.0  # seconds, as OpenTelemetry has it
_PATH: Final = "/v1/logs"


@dataclass(frozen=True)
class Destination:
    """A receiver of OTLP."""

    protocol: str
    #: It may hold credentials, and so may the headers.
    endpoint: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Seconds one request may take.
    timeout: float = _TIMEOUT
    compression: str = "gzip"
    #: PEM files: authorities to trust, and what to show of ourselves.
    certificate: str | None = None
    client_key: str | None = None
    client_certificate: str | None = None
    #: Without TLS; for gRPC, whose endpoint need not be a URL.
    insecure: bool = False

    @classmethod
    def load(cls, endpoint: str | None, protocol: str | None, environ: Mapping[str, str] = os.environ) -> Destination:
        """The destination by the settings ``journal_endpoint`` and ``journal_protocol`` and the environment.

        Raises:
            ValueError: nothing can be sent there; the message says why.
        """

        def variable(name: str) -> str | None:
            return _given(environ, f"OTEL_EXPORTER_OTLP_LOGS_{name}") or _given(environ, f"OTEL_EXPORTER_OTLP_{name}")

        usual = variable("PROTOCOL")
        if usual == "grpc" and endpoint and _is_of_http(endpoint):
            usual = None  # the distribution sets it where nobody has said anything
        protocol = protocol or usual or "http/json"
        if protocol not in PROTOCOLS:
            raise ValueError(f"protocol {protocol!r} is none of {', '.join(PROTOCOLS)}")
        url = (_grpc_endpoint if protocol == "grpc" else _http_endpoint)(endpoint, environ)
        return cls(
            protocol=protocol,
            endpoint=url,
            headers=parse_env_headers(variable("HEADERS") or "", liberal=True),
            timeout=_seconds(variable("TIMEOUT")),
            compression=_compression(variable("COMPRESSION")),
            certificate=variable("CERTIFICATE"),
            client_key=variable("CLIENT_KEY"),
            client_certificate=variable("CLIENT_CERTIFICATE"),
            insecure=url.startswith("http://")
            or (not url.startswith("https://") and (variable("INSECURE") or "").lower() == "true"),
        )


def without_secrets(url: str) -> str:
    """A URL as it may be logged: without credentials and query."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def _given(environ: Mapping[str, str], name: str) -> str | None:
    return environ.get(name, "").strip() or None


def _is_of_http(endpoint: str) -> bool:
    """Whether nobody speaks gRPC there: it has a path, or the port that OTLP has for HTTP."""
    parts = urlsplit(endpoint)
    return bool(parts.path.strip("/")) or parts.netloc.endswith(":4318")


def _http_endpoint(endpoint: str | None, environ: Mapping[str, str]) -> str:
    if endpoint:  # ours: a base or the whole
        url = endpoint if urlsplit(endpoint).path.strip("/") else endpoint.rstrip("/") + _PATH
    elif logs := _given(environ, "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"):  # the whole, by OpenTelemetry's specification
        url = logs
    else:
        url = (_given(environ, "OTEL_EXPORTER_OTLP_ENDPOINT") or "http://localhost:4318").rstrip("/") + _PATH
    parts = urlsplit(url)
    try:
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # the port
        usable = False
    if not usable:
        raise ValueError(f"endpoint {without_secrets(url)!r} is no http(s) URL")
    return url


def _grpc_endpoint(endpoint: str | None, environ: Mapping[str, str]) -> str:
    return (
        endpoint
        or _given(environ, "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT")
        or _given(environ, "OTEL_EXPORTER_OTLP_ENDPOINT")
        or "http://localhost:4317"
    )


def _seconds(text: str | None) -> float:
    """OpenTelemetry's Python SDK reads the variable as seconds, so do we."""
    try:
        seconds = float(text or _TIMEOUT)
        if 0 < seconds < float("inf"):
            return seconds
    except ValueError:
        pass
    _logger.warning("OTLP timeout %r is no number of seconds; using %g.", text, _TIMEOUT)
    return _TIMEOUT


def _compression(text: str | None) -> str:
    compression = (text or "gzip").lower()
    if compression in _COMPRESSIONS:
        return compression
    _logger.warning("OTLP compression %r is none of %s; using gzip.", text, ", ".join(_COMPRESSIONS))
    return "gzip"
