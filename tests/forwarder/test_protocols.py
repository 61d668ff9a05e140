"""How it is sent: encodings, compression, headers, TLS, gRPC."""

from __future__ import annotations

import base64
import json
import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from opentelemetry.instrumentation.pyjwt.journal import encoding
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from tests import isolated
from tests.forwarder import journal
from tests.forwarder.collector import collector
from tests.forwarder.journal import STREAM, ids
from tests.forwarder.receiver import Reply, ids_of, serving

COUNT = 25


@pytest.mark.parametrize("protocol", ["http/json", "http/protobuf"])
@pytest.mark.parametrize("compression", ["gzip", "deflate", "none"])
def test_requests_are_what_they_say(protocol: str, compression: str, forwarding, tmp_path: Path) -> None:
    """The receiver decodes by what the headers say."""
    journal.write(tmp_path, STREAM, 1, COUNT)
    headers = {"Authorization": "Bearer x", "X-Tenant": "t"}
    with serving() as receiver:
        forwarding(tmp_path, receiver.url, protocol, compression=compression, headers=headers).turn()
    assert receiver.acknowledged == ids(STREAM, 1, COUNT)
    (request,) = receiver.requests
    sent = request.headers
    assert (
        sent["content-type"] == {"http/json": "application/json", "http/protobuf": "application/x-protobuf"}[protocol]
    )
    assert sent.get("content-encoding", "none") == compression
    assert (int(sent["content-length"]) < request.size / 4) is (compression != "none")
    assert (sent["authorization"], sent["x-tenant"]) == ("Bearer x", "t")
    assert sent["user-agent"].startswith("opentelemetry-instrumentation-pyjwt/")


def test_credentials_in_the_url_are_sent_and_not_logged(forwarding, tmp_path: Path, caplog) -> None:
    journal.write(tmp_path, STREAM, 1, 1)
    with serving(lambda request: Reply(500)) as receiver:
        forwarding(tmp_path, receiver.url.replace("//", "//me:s%3Acret@") + "?key=s:cret").turn()
        assert receiver.requests[0].headers["authorization"] == "Basic " + base64.b64encode(b"me:s:cret").decode()
    assert receiver.url in caplog.text
    assert "cret" not in caplog.text


def test_both_encodings_say_the_same() -> None:
    """And the official parser reads the JSON."""
    lines = [journal.line(STREAM, number).rstrip(b"\n") for number in range(1, 4)]
    message = encoding.Protobuf().message(lines)
    parsed = json_format.Parse(encoding.Json().request(lines), logs_service_pb2.ExportLogsServiceRequest())
    record = message.resource_logs[0].scope_logs[0].log_records[0]
    assert record.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert record.span_id.hex() == "b7ad6b7169203331"
    assert record.time_unix_nano == 1790000000123456789
    for resource in parsed.resource_logs:
        for one in resource.scope_logs[0].log_records:  # read as base64, of which hexadecimal is a part
            one.trace_id = bytes.fromhex(base64.b64encode(one.trace_id).decode())
            one.span_id = bytes.fromhex(base64.b64encode(one.span_id).decode())
    assert message == parsed


def test_a_partial_success_in_protobuf_is_read(forwarding, tmp_path: Path) -> None:
    segment = journal.write(tmp_path, STREAM, 1, COUNT)
    bad = f"{STREAM}-7"

    def choosy(request: Any) -> Reply:
        response = logs_service_pb2.ExportLogsServiceResponse()
        if bad in request.ids:
            response.partial_success.rejected_log_records = 1
            response.partial_success.error_message = "no"
        return Reply(200, response.SerializeToString(), {"content-type": "application/x-protobuf"})

    with serving(choosy) as receiver:
        forwarding(tmp_path, receiver.url, "http/protobuf").turn()
        assert set(receiver.acknowledged) == set(ids(STREAM, 1, COUNT))
    (letter,) = journal.letters(segment)
    assert letter["reason"] == "partial success: no"
    assert ids_of(letter["request"]) == [bad]


def test_protobuf_that_cannot_be_read_is_no_acknowledgement(forwarding, tmp_path: Path) -> None:
    journal.write(tmp_path, STREAM, 1, 1)
    with serving(lambda request: Reply(200, b"\xff", {"content-type": "application/x-protobuf"})) as receiver:
        forwarder = forwarding(tmp_path, receiver.url, "http/protobuf")
        forwarder.turn()
    assert (forwarder.delivered, forwarder.refused) == (0, 0)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_line_that_is_no_record_is_set_aside_in_protobuf_too(protocol: str, forwarding, tmp_path: Path) -> None:
    strange = [b"{}", b"[]", b"7", b"{", b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"flags":"x"}]}]}]}']
    segment = journal.write(tmp_path, STREAM, 1, 2, tail=b"\n".join([*strange, b""]))
    with serving() as http, collector() as collected:
        url = http.url if protocol == "http/protobuf" else collected.url
        forwarding(tmp_path, url, protocol, insecure=True).turn()
        assert [*http.acknowledged, *collected.acknowledged] == ids(STREAM, 1, 2)
    assert len(journal.letters(segment)) == len(strange)


def test_without_the_packages_for_protobuf_it_is_json(tmp_path: Path) -> None:
    journal.write(tmp_path, STREAM, 1, 2)
    with serving() as receiver:
        shown = isolated.run(f"""
        import logging, sys
        from pathlib import Path
        sys.modules["google.protobuf"] = None
        sys.modules["grpc"] = None
        from opentelemetry.instrumentation.pyjwt.journal.destination import Destination
        from opentelemetry.instrumentation.pyjwt.journal.forwarder import Forwarder
        logging.basicConfig()
        forwarder = Forwarder(Path({str(tmp_path)!r}), Destination("http/protobuf", {receiver.url!r}))
        forwarder.turn()
        forwarder.close()
        try:
            Forwarder(Path({str(tmp_path)!r}), Destination("grpc", "127.0.0.1:1", insecure=True))
        except ValueError as error:
            print(error)
        """)
        assert receiver.requests[0].headers["content-type"] == "application/json"
    assert shown.stderr.count("http/json") == 1
    assert "opentelemetry-exporter-otlp-proto-grpc" in shown.stdout


# --- TLS ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["http/json", "grpc"])
def test_both_sides_show_certificates(protocol: str, certificate, forwarding, tmp_path: Path) -> None:
    journal.write(tmp_path, STREAM, 1, COUNT)
    chain, key = certificate
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=chain)
    context.load_cert_chain(chain, key)
    context.verify_mode = ssl.CERT_REQUIRED
    with serving(tls=context) as http, collector(tls=certificate) as collected:
        url = f"https://127.0.0.1:{http.port}/v1/logs" if protocol == "http/json" else f"https://{collected.url}"
        ours = {"client_certificate": chain, "client_key": key}
        for incomplete in ({}, {"certificate": chain}, ours):
            forwarder = forwarding(tmp_path, url, protocol, timeout=2, **incomplete)
            forwarder.turn()
            assert forwarder.delivered == 0
        forwarding(tmp_path, url, protocol, certificate=chain, **ours).turn()
        assert [*http.acknowledged, *collected.acknowledged] == ids(STREAM, 1, COUNT)


@pytest.mark.parametrize("protocol", ["http/json", "grpc"])
@pytest.mark.parametrize("which", ["certificate", "client_certificate"])
def test_a_certificate_that_is_not_there_is_said_at_once(protocol: str, which: str, forwarding, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="certificates cannot be used"):
        forwarding(tmp_path, "https://127.0.0.1:1/v1/logs", protocol, **{which: str(tmp_path / "none.pem")})


# --- gRPC ---------------------------------------------------------------------------------------------------


def test_it_is_delivered_by_grpc(forwarding, tmp_path: Path) -> None:
    segment = journal.write(tmp_path, STREAM, 1, 3000)
    with collector() as collected:
        forwarding(tmp_path, f"http://{collected.url}", "grpc", insecure=True, headers={"X-Tenant": "t"}).turn()
        assert collected.acknowledged == ids(STREAM, 1, 3000)
        assert collected.metadata["x-tenant"] == "t"
    assert journal.settled(segment) == segment.stat().st_size


def abort(code: grpc.StatusCode) -> Callable[[Any, list[str]], None]:
    return lambda context, sent: context.abort(code, "said so")


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNIMPLEMENTED,
    ],
)
def test_by_grpc_it_is_not_delivered_until_the_receiver_says_so(
    code: grpc.StatusCode, forwarding, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    segment = journal.write(tmp_path, STREAM, 1, COUNT)
    caplog.set_level(logging.WARNING, "opentelemetry.instrumentation.pyjwt")
    with collector() as collected:
        forwarder = forwarding(tmp_path, collected.url, "grpc", insecure=True)
        collected.behave = abort(code)
        forwarder.turn()
        assert (forwarder.delivered, forwarder.refused, journal.settled(segment)) == (0, 0, 0)
        assert f"gRPC {code.name}: said so" in caplog.text
        collected.behave = lambda context, sent: None
        forwarder.turn()
        assert collected.acknowledged == ids(STREAM, 1, COUNT)


def test_by_grpc_only_the_record_at_fault_is_set_aside(forwarding, tmp_path: Path) -> None:
    segment = journal.write(tmp_path, STREAM, 1, COUNT)
    bad = f"{STREAM}-7"
    with collector() as collected:
        refuse = abort(grpc.StatusCode.INVALID_ARGUMENT)
        collected.behave = lambda context, sent: refuse(context, sent) if bad in sent else None
        forwarding(tmp_path, collected.url, "grpc", insecure=True).turn()
        assert set(collected.acknowledged) == set(ids(STREAM, 1, COUNT)) - {bad}
    (letter,) = journal.letters(segment)
    assert (letter["reason"], letter["status"]) == ("gRPC INVALID_ARGUMENT: said so", 3)


def test_by_grpc_what_is_too_large_goes_in_parts(forwarding, tmp_path: Path) -> None:
    segment = journal.write(tmp_path, STREAM, 1, COUNT)
    with collector(max_receive_message_length=6000) as collected:
        forwarding(tmp_path, collected.url, "grpc", insecure=True).turn()
        assert collected.acknowledged == ids(STREAM, 1, COUNT)
    assert journal.letters(segment) == []


def test_by_grpc_it_waits_as_long_as_it_is_asked_to(forwarding, tmp_path: Path) -> None:
    journal.write(tmp_path, STREAM, 1, 1)
    info, detail = RetryInfo(), AnyMessage()
    info.retry_delay.FromMilliseconds(7500)
    detail.Pack(info)
    status = Status(code=14, details=[detail]).SerializeToString()

    def busy(context: Any, sent: list[str]) -> None:
        context.set_trailing_metadata([("grpc-status-details-bin", status)])
        context.abort(grpc.StatusCode.UNAVAILABLE, "busy")

    with collector() as collected:
        collected.behave = busy
        assert forwarding(tmp_path, collected.url, "grpc", insecure=True).turn() == 7.5


def test_json_is_joined_without_being_read(forwarding, tmp_path: Path) -> None:
    """Numbers beyond a float's precision, escapes and the order of keys arrive byte by byte."""
    odd = rb'{"resourceLogs":[{"b":1e400,"a":"\u00e4\/","n":123456789012345678901234567890}]}'
    assert encoding.Json().request([odd, odd]) == odd[:-2] + b"," + odd[17:]
    assert json.loads(encoding.Json().request([odd, odd]))["resourceLogs"][1]["a"] == "ä/"
