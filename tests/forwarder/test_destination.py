"""Where to, by our settings and by OpenTelemetry's variables."""

from __future__ import annotations

import pytest

from opentelemetry.instrumentation.pyjwt.config import Settings
from opentelemetry.instrumentation.pyjwt.journal.destination import Destination

OTLP = "OTEL_EXPORTER_OTLP_"
OURS = "OTEL_PYTHON_PYJWT_JOURNAL_"


def load(environ: dict[str, str]) -> Destination:
    settings = Settings.load({}, environ)
    return Destination.load(settings.journal_endpoint, settings.journal_protocol, environ)


@pytest.mark.parametrize(
    ("environ", "protocol", "endpoint"),
    [
        ({}, "http/json", "http://localhost:4318/v1/logs"),
        ({OTLP + "ENDPOINT": "http://c:1"}, "http/json", "http://c:1/v1/logs"),
        ({OTLP + "ENDPOINT": "http://c:1/otlp/"}, "http/json", "http://c:1/otlp/v1/logs"),
        ({OTLP + "ENDPOINT": "http://c:1", OTLP + "LOGS_ENDPOINT": "http://l:2/in"}, "http/json", "http://l:2/in"),
        (
            {OTLP + "LOGS_ENDPOINT": "http://l:2/in", OURS + "ENDPOINT": "https://o:3"},
            "http/json",
            "https://o:3/v1/logs",
        ),
        ({OURS + "ENDPOINT": "https://o:3/"}, "http/json", "https://o:3/v1/logs"),
        ({OURS + "ENDPOINT": "https://o:3/in?x=y"}, "http/json", "https://o:3/in?x=y"),
        ({OTLP + "PROTOCOL": "http/protobuf"}, "http/protobuf", "http://localhost:4318/v1/logs"),
        ({OTLP + "PROTOCOL": "grpc"}, "grpc", "http://localhost:4317"),
        ({OTLP + "PROTOCOL": "grpc", OTLP + "ENDPOINT": "c:1"}, "grpc", "c:1"),
        (
            {OTLP + "PROTOCOL": "grpc", OTLP + "LOGS_PROTOCOL": "http/json"},
            "http/json",
            "http://localhost:4318/v1/logs",
        ),
        (
            {OTLP + "LOGS_PROTOCOL": "grpc", OURS + "PROTOCOL": "HTTP/JSON"},
            "http/json",
            "http://localhost:4318/v1/logs",
        ),
        ({OURS + "PROTOCOL": "grpc", OURS + "ENDPOINT": "https://o:3"}, "grpc", "https://o:3"),
        ({OTLP + "PROTOCOL": "grpc", OURS + "ENDPOINT": "http://o:4318"}, "http/json", "http://o:4318/v1/logs"),
        ({OTLP + "PROTOCOL": "grpc", OURS + "ENDPOINT": "http://o:3/in"}, "http/json", "http://o:3/in"),
        ({OTLP + "PROTOCOL": "grpc", OURS + "ENDPOINT": "http://o:3"}, "grpc", "http://o:3"),
        ({OURS + "PROTOCOL": "grpc", OURS + "ENDPOINT": "http://o:4318"}, "grpc", "http://o:4318"),
        (
            {OTLP + "PROTOCOL": "http/protobuf", OURS + "ENDPOINT": "http://o:4318"},
            "http/protobuf",
            "http://o:4318/v1/logs",
        ),
        ({OTLP + "ENDPOINT": " ", OTLP + "PROTOCOL": ""}, "http/json", "http://localhost:4318/v1/logs"),
    ],
)
def test_ours_comes_first_then_that_of_logs_then_the_general_one(environ, protocol: str, endpoint: str) -> None:
    destination = load(environ)
    assert (destination.protocol, destination.endpoint) == (protocol, endpoint)


@pytest.mark.parametrize("of", ["", "LOGS_"])
def test_the_rest_is_as_for_the_exporters(of: str) -> None:
    given = {
        "HEADERS": "authorization=Basic%20abc, X-Tenant=t",
        "TIMEOUT": "2.5",
        "COMPRESSION": "Deflate",
        "CERTIFICATE": "/ca.pem",
        "CLIENT_KEY": "/key.pem",
        "CLIENT_CERTIFICATE": "/client.pem",
    }
    other = {f"{OTLP}{name}": "60" for name in given} if of else {}
    destination = load({**other, **{f"{OTLP}{of}{name}": value for name, value in given.items()}})
    assert destination.headers == {"authorization": "Basic abc", "x-tenant": "t"}
    assert (destination.timeout, destination.compression) == (2.5, "deflate")
    assert destination.certificate == "/ca.pem"
    assert (destination.client_key, destination.client_certificate) == ("/key.pem", "/client.pem")
    assert "abc" not in repr(destination)


def test_by_default_it_is_compressed_and_has_ten_seconds() -> None:
    destination = load({})
    assert (destination.timeout, destination.compression, dict(destination.headers)) == (10, "gzip", {})


@pytest.mark.parametrize(
    ("endpoint", "insecure", "plain"),
    [("http://c:1", "", True), ("https://c:1", "true", False), ("c:1", "", False), ("c:1", "true", True)],
)
def test_grpc_is_encrypted_unless_it_is_said_not_to_be(endpoint: str, insecure: str, plain: bool) -> None:
    environ = {OTLP + "PROTOCOL": "grpc", OTLP + "ENDPOINT": endpoint, OTLP + "INSECURE": insecure}
    assert load(environ).insecure is plain


@pytest.mark.parametrize(("name", "used"), [("TIMEOUT", 10), ("COMPRESSION", "gzip")])
@pytest.mark.parametrize("text", ["soon", "-1", "inf", "nan"])
def test_a_bad_value_costs_a_warning(name: str, used: object, text: str, caplog) -> None:
    assert getattr(load({OTLP + name: text}), name.lower()) == used
    assert len(caplog.records) == 1
    assert text in caplog.text


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({OTLP + "PROTOCOL": "http/xml"}, "http/xml"),
        ({OTLP + "ENDPOINT": "ftp://c"}, "ftp://c"),
        ({OTLP + "ENDPOINT": "collector:4318"}, "no http"),
        ({OURS + "ENDPOINT": "http://"}, "no http"),
        ({OURS + "ENDPOINT": "http://c:port"}, "port"),
        ({OURS + "ENDPOINT": "ftp://me:secret@c/x"}, "ftp://c/x"),
    ],
)
def test_what_cannot_be_sent_to_is_said(environ: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        load(environ)
    assert "secret" not in str(caught.value)
