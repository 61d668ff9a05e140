"""Nothing secret leaves: no token, signature or key, and no plain subject where subjects are not plain.

Every scenario runs with everything turned on: all claims captured, Python's logging at DEBUG, a SERVER span,
metrics, an ``event_hook``. Then all that was written anywhere is searched for what must not be in it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import flask
import jwt
import pytest

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.instrumentation.pyjwt import action, guard
from opentelemetry.instrumentation.pyjwt.token import TokenReader
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.trace import SpanKind
from tests.support import KEY, OTHER_KEY, Trail
from tests.vault import PSEUDONYM_KEY, SCENARIOS, SUBJECT, Vault, use

POLICIES: dict[str, dict[str, Any]] = {
    "plain": {},
    "hmac": {"subject": "hmac", "pseudonym_key": PSEUDONYM_KEY},
    "omit": {"subject": "omit"},
}
CAPTURED = ("sub", "email", "profile", "groups", "may_act", "client_id", "iss", "aud")


class Search:
    """Runs something, and gathers what was written anywhere while it ran."""

    def __init__(self, trail: Trail, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
        self.trail, self._capfd, self._caplog = trail, capfd, caplog

    def run(self, scenario: Callable[[], None], *, in_action: bool) -> None:
        tracer = self.trail.tracer_provider.get_tracer("tests")
        with self._caplog.at_level(logging.DEBUG), tracer.start_as_current_span("request", kind=SpanKind.SERVER):
            if in_action:
                with action("work", client="127.0.0.1"):
                    scenario()
            else:
                scenario()

    @property
    def output(self) -> str:
        """Events, spans and metrics as they are exported; logging with its tracebacks; stdout and stderr."""
        exported = self.trail.encoded() + encode_spans(self.trail.spans).SerializeToString()
        streams = "".join(self._capfd.readouterr())
        return exported.decode("utf-8", "replace") + str(self.trail.metrics()) + self._caplog.text + streams

    def found(self, wanted: set[str]) -> list[str]:
        output = self.output
        assert "jwt." in output
        return [f"a secret of {len(secret)} characters" for secret in wanted if secret in output]


@pytest.fixture
def search(instrument, capfd, caplog):
    def start(policy: str, **options: Any) -> Search:
        trail = instrument(capture_claims=CAPTURED, **POLICIES[policy], **options)
        return Search(trail, capfd, caplog)

    return start


@pytest.mark.parametrize("in_action", [False, True], ids=["alone", "in an action"])
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_secret_is_written_anywhere(search, scenario, policy, in_action):
    """Tokens, signatures, keys and, by policy, the subject: in no event, span, metric, log or stream."""
    seen: list[Any] = []
    looking = search(policy, event_hook=lambda event: seen.append(event) or {"hook.saw": len(event.attributes)})
    vault = Vault()
    run, expected = SCENARIOS[scenario]
    looking.run(lambda: run(vault), in_action=in_action)
    secrets = vault.secrets | ({SUBJECT} if policy != "plain" else set())
    told = "".join(map(str, seen))
    assert [len(secret) for secret in secrets if secret in told] == []
    assert looking.found(secrets) == []
    if scenario != "scopes and revocation" or in_action:
        assert expected <= set(looking.trail.names)


@pytest.mark.parametrize("policy", POLICIES)
def test_no_secret_of_a_request_is_written_anywhere(search, policy):
    """A token in the header, the cookie, the query and the path of a request, on a known route and an unknown one."""
    looking = search(policy)
    vault = Vault()
    application = flask.Flask(__name__)

    @application.get("/use/<token>")
    def work(token: str) -> dict[str, bool]:
        jwt.decode(token, KEY, ["HS256"])
        use(flask.request.args["access_token"], OTHER_KEY)
        use(flask.request.cookies["session"])
        use(flask.request.headers["Authorization"].removeprefix("Bearer "))
        return {"ok": True}

    @application.before_request
    def check() -> None:
        use(flask.request.headers["Authorization"].removeprefix("Bearer "))

    def requests() -> None:
        tokens = [vault.mint() for _ in range(4)]
        client = application.test_client()
        client.set_cookie("session", tokens[0])
        headers = {"Authorization": f"Bearer {tokens[1]}"}
        for path in (f"/use/{tokens[2]}", f"/unknown/{tokens[2]}"):
            client.get(path, query_string={"access_token": tokens[3]}, headers=headers)

    looking.run(requests, in_action=False)
    assert looking.trail.names.count("jwt.validated") >= 3
    assert looking.found(vault.secrets | ({SUBJECT} if policy != "plain" else set())) == []


class Failing(LogRecordProcessor):
    """A processor that fails, and quotes secrets as it does."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def on_emit(self, log_record: Any) -> None:
        raise RuntimeError(f"cannot process {self._vault.secrets}")

    def shutdown(self) -> None:
        """Nothing is held."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


def failing_hook(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    def hook(event: Any) -> None:
        raise ValueError(f"cannot extend {vault.secrets}")

    return {"event_hook": hook}


def failing_reader(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    def fail(*_: Any) -> None:
        raise ValueError(f"cannot read {vault.secrets}")

    for name in ("read_verified", "read", "read_raw", "read_minted"):
        monkeypatch.setattr(TokenReader, name, fail)
    return {}


def failing_processor(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    provider = LoggerProvider()
    provider.add_log_record_processor(Failing(vault))
    return {"logger_provider": provider}


@pytest.fixture
def as_in_production(monkeypatch):
    """Failures of ours are logged, each line once, and not raised."""
    monkeypatch.setattr(guard, "reraise", False)
    monkeypatch.setattr(guard, "_reported", set())


@pytest.mark.usefixtures("as_in_production")
@pytest.mark.parametrize("fail", [failing_hook, failing_reader, failing_processor])
def test_a_failure_of_ours_is_logged_once_and_quotes_nothing(search, monkeypatch, caplog, fail):
    """The exception quotes every secret; the log tells its type and lines, and the application gets its claims."""
    vault = Vault()
    looking = search("hmac", **fail(vault, monkeypatch))

    def decode_twice() -> None:
        token = vault.mint()
        for _ in range(2):
            assert jwt.decode(token, KEY, ["HS256"])["sub"] == SUBJECT

    looking.run(decode_twice, in_action=False)
    reports = [record.getMessage() for record in caplog.records if record.name == guard._logger.name]
    assert len(reports) == 1
    assert " failed with " in reports[0]
    assert looking.found(vault.secrets | {SUBJECT}) == []


@pytest.mark.usefixtures("as_in_production")
def test_a_failure_that_cannot_be_logged_stays_ours(instrument, monkeypatch):
    """A logging filter of the application's raises: not even that reaches the call of PyJWT."""
    token = Vault().mint()
    instrument(**failing_reader(Vault(), monkeypatch))

    def refuse(record: logging.LogRecord) -> bool:
        raise PermissionError("no logging here")

    guard._logger.addFilter(refuse)
    try:
        assert jwt.decode(token, KEY, ["HS256"])["sub"] == SUBJECT
    finally:
        guard._logger.removeFilter(refuse)


@pytest.mark.parametrize("policy", ["hmac", "omit"])
@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"iss": SUBJECT}, id="as its own issuer (RFC 7523 client assertions)"),
        pytest.param({"aud": [SUBJECT, "service"]}, id="in the audience"),
        pytest.param({"sid": SUBJECT}, id="as the session"),
        pytest.param({"jti": SUBJECT}, id="as the id of the token"),
        pytest.param({"scope": f"read {SUBJECT}"}, id="as a scope"),
    ],
)
def test_the_subject_is_hidden_under_other_names_too(search, given, policy):
    """Where subjects are not plain, the value appears nowhere, whichever registered claim repeats it."""
    looking = search(policy)
    vault = Vault()
    token = vault.mint(headers={"kid": SUBJECT}, **given)
    looking.run(lambda: use(token, options={"verify_aud": False}), in_action=False)
    assert "jwt.validated" in looking.trail.names
    assert looking.found({SUBJECT}) == []


def test_pseudonyms_are_the_same_for_one_key(search):
    """So that what is hidden can still be followed: one subject, one pseudonym, on minting and on use."""
    looking = search("hmac")
    looking.run(lambda: use(Vault().mint(exp=int(time.time()) + 60)), in_action=False)
    assert len({event["user.hash"] for event in looking.trail.events}) == 1
    assert len(looking.trail.events[0]["user.hash"]) == 32
