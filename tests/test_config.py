"""Settings: from keywords and variables; a bad value costs one warning, and the application starts."""

from __future__ import annotations

import dataclasses
import ipaddress
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opentelemetry.instrumentation.pyjwt.config import PREFIX, Settings
from tests.support import KEY, Trail, mint

NETWORKS = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128"))

# Name of the keyword, which in upper case is the end of the variable's name; its text; its value; a bad text.
OPTIONS = [
    ("subject", "hmac", "hmac", "hashed"),
    ("subject", " OMIT ", "omit", "plain,hmac"),
    ("pseudonym_key", "s3cret", b"s3cret", None),
    ("capture_claims", "tenant, roles,,", ("tenant", "roles"), None),
    ("scope_claims", "scope,realm_access.roles", ("scope", "realm_access.roles"), None),
    ("capture_validated", "false", False, "maybe"),
    ("capture_validated", "0", False, "2"),
    ("capture_validated", "Off", False, "falsch"),
    ("excluded_urls", "health,/metrics$", re.compile("health|/metrics$"), "health,("),
    ("journal_endpoint", " https://collector:4318 ", "https://collector:4318", None),
    ("journal_protocol", "HTTP/protobuf", "http/protobuf", "http"),
    ("trusted_proxies", "10.1.2.3/8, ::1", NETWORKS, "10.0.0.0/8,proxy.example"),
    ("journal", "/var/lib/audit", Path("/var/lib/audit"), None),
    ("journal_fsync", "Always", "always", "sometimes"),
    ("journal_rotate", "90", 90, "soon"),
    ("journal_rotate", "15m", 900, "15 minutes"),
    ("journal_rotate", "2 h", 7200, "-1h"),
    ("journal_rotate_bytes", "1MiB", 2**20, "1MB"),
    ("journal_rotate_bytes", "512 kib", 2**19, "1.5MiB"),
    ("journal_retention", "7d", 7 * 86400, "0"),
    ("journal_max_bytes", "10GiB", 10 * 2**30, "٣GiB"),
    ("journal_on_full", "refuse", "refuse", "block"),
    ("journal_signing_key", "/etc/audit.pem", Path("/etc/audit.pem"), None),
    ("journal_recipients", "age1a, ssh-ed25519 AAAA me@host", ("age1a", "ssh-ed25519 AAAA me@host"), None),
]


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    return [record.getMessage() for record in caplog.records]


def test_the_options_are_these_and_by_default_as_documented() -> None:
    """Restated, so that an option that is dropped, renamed or given another default is missed."""
    assert {
        setting.name: setting.default for setting in dataclasses.fields(Settings) if setting.metadata
    } == {
        "subject": "plain",
        "pseudonym_key": None,
        "capture_claims": (),
        "scope_claims": ("scope", "scp", "scopes", "permissions"),
        "scope_policy": None,
        "capture_validated": True,
        "excluded_urls": None,
        "trusted_proxies": (),
        "journal": None,
        "journal_fsync": "interval",
        "journal_rotate": 3600,
        "journal_rotate_bytes": 64 * 2**20,
        "journal_retention": 30 * 86400,
        "journal_max_bytes": 2 * 2**30,
        "journal_on_full": "drop",
        "journal_signing_key": None,
        "journal_recipients": (),
        "journal_endpoint": None,
        "journal_protocol": None,
    }  # fmt: skip
    assert Settings.load({}, {}) == Settings()


@pytest.mark.parametrize(("name", "text", "value", "_bad"), OPTIONS)
def test_a_variable_and_a_keyword_say_the_same(
    name: str, text: str, value: object, _bad: object, caplog: pytest.LogCaptureFixture
) -> None:
    by_variable = Settings.load({}, {PREFIX + name.upper(): text})
    by_text = Settings.load({name: text}, {})
    by_value = Settings.load({name: value}, {}) if name != "excluded_urls" else by_text
    assert getattr(by_variable, name) == value
    assert by_variable == by_text == by_value
    assert warnings_of(caplog) == []


@pytest.mark.parametrize(("name", "_text", "_value", "bad"), [option for option in OPTIONS if option[3] is not None])
@pytest.mark.parametrize("how", ["variable", "keyword"])
def test_a_bad_value_is_one_warning_that_names_it_and_the_default(
    name: str, _text: object, _value: object, bad: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    variable = PREFIX + name.upper()
    given: tuple[dict[str, Any], dict[str, str]] = ({}, {variable: bad}) if how == "variable" else ({name: bad}, {})
    assert Settings.load(*given) == Settings()
    (warning,) = warnings_of(caplog)
    assert (variable if how == "variable" else name) in warning
    assert repr(bad) in warning


@pytest.mark.parametrize("value", [object(), 7, 1.5, [], [None], {"a": 1}, b"\xff", lambda: None, ["("], ""])
def test_no_value_of_a_keyword_raises(value: object) -> None:
    for setting in dataclasses.fields(Settings):
        if setting.metadata:
            assert isinstance(Settings.load({setting.name: value}, {}), Settings)


def test_a_keyword_goes_before_a_variable() -> None:
    assert Settings.load({"subject": "omit"}, {PREFIX + "SUBJECT": "hmac"}).subject == "omit"
    assert (
        Settings.load({"capture_validated": False}, {PREFIX + "CAPTURE_VALIDATED": "true"}).capture_validated is False
    )
    assert Settings.load({"subject": None}, {PREFIX + "SUBJECT": "hmac"}).subject == "hmac"


def test_an_empty_variable_is_none(caplog: pytest.LogCaptureFixture) -> None:
    environ = {PREFIX + setting.name.upper(): "  " for setting in dataclasses.fields(Settings)}
    assert Settings.load({}, environ) == Settings()
    assert warnings_of(caplog) == []


@pytest.mark.parametrize(
    ("own", "general", "matched"),
    [("a", "b", "a"), ("", "b", "b"), (None, "b", "b"), ("a", None, "a"), (None, None, None)],
)
def test_excluded_urls_fall_back_to_those_of_all_instrumentations(own: Any, general: Any, matched: str | None) -> None:
    given = {PREFIX + "EXCLUDED_URLS": own, "OTEL_PYTHON_EXCLUDED_URLS": general}
    excluded = Settings.load({}, {name: value for name, value in given.items() if value is not None}).excluded_urls
    assert (excluded.pattern if excluded else None) == matched


@pytest.mark.parametrize(
    ("variable", "text", "limit"),
    [
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "64", 64),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "32", 32),
        ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "16", 16),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4096", 256),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "-1", 256),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "many", 256),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "", 256),
    ],
)
def test_a_smaller_limit_of_opentelemetry_wins(variable: str, text: str, limit: int) -> None:
    assert Settings.load({}, {variable: text}).string_limit == limit


def test_the_secret_is_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings.load({}, {PREFIX + "PSEUDONYM_KEY": "s3cret"})
    assert "s3cret" not in repr(settings)
    for bad in (["s3cret"], {"key": "s3cret"}, 3):
        assert Settings.load({"pseudonym_key": bad}, {}).pseudonym_key is None
    assert len(caplog.records) == 3
    assert "s3cret" not in caplog.text


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().subject = "omit"  # type: ignore[misc]


# --- Through the instrumentor -----------------------------------------------------------------------------------------


def test_an_unknown_option_is_one_warning(instrument: Callable[..., Trail], caplog: pytest.LogCaptureFixture) -> None:
    instrument(subjects="hmac", string_limit=3, skip_dep_check=True)
    messages = [message for message in warnings_of(caplog) if "nknown" in message]
    assert [name for name in ("subjects", "string_limit") if any(name in message for message in messages)] == [
        "subjects",
        "string_limit",
    ]
    mint()


def test_a_hook_that_cannot_be_called_is_one_warning(
    instrument: Callable[..., Trail], caplog: pytest.LogCaptureFixture
) -> None:
    trail = instrument(event_hook="hook")
    mint()
    assert trail.names == ["jwt.issued"]
    assert [message for message in warnings_of(caplog) if "event_hook" in message]


def test_options_reach_the_events(instrument: Callable[..., Trail]) -> None:
    trail = instrument(subject="hmac", pseudonym_key=KEY, capture_claims="tenant")
    mint(tenant="t")
    (event,) = trail.events
    assert event["jwt.claims.tenant"] == "t"
    assert event["user.hash"] == event["jwt.sub"] != "alice"


def test_variables_reach_the_events(instrument: Callable[..., Trail], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + "SUBJECT", "omit")
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "8")
    trail = instrument()
    mint(jti="j" * 20)
    (event,) = trail.events
    assert "jwt.sub" not in event
    assert event["jwt.jti"] == "j" * 7 + "…"
    assert "jwt.fingerprint" in event
