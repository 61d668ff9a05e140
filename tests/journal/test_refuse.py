"""What cannot be recorded does not happen, where the operator wants it so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor, action
from opentelemetry.instrumentation.pyjwt.journal.losses import JournalFull
from tests.integrations import drivers
from tests.journal import book
from tests.support import KEY


@pytest.fixture
def full(journal: Any) -> Any:
    return journal(max_bytes=1, on_full="refuse")


@pytest.mark.usefixtures("full")
def test_refused_is_the_call_itself_outside_a_request() -> None:
    good = "eyJhbGciOiJIUzI1NiJ9.e30.x"
    with pytest.raises(JournalFull, match="cannot take a record: it holds 1 bytes"):
        jwt.encode({"jti": "a"}, KEY, "HS256")
    with pytest.raises(JournalFull):
        jwt.decode(good, KEY, ["HS256"])


@pytest.mark.usefixtures("full")
def test_refused_is_the_work_where_it_ends() -> None:
    def job() -> None:
        with action("job"):
            made.append(jwt.encode({"jti": "a"}, KEY, "HS256"))

    made: list[str] = []
    with pytest.raises(JournalFull):
        job()
    assert len(made) == 1


def respond() -> Any:
    return {"token": jwt.encode({"jti": "a"}, KEY, "HS256")}


def flask_status() -> int:
    import flask

    app = flask.Flask("refused")
    app.get("/")(respond)
    return int(app.test_client().get("/").status_code)


def fastapi_status() -> int:
    import fastapi

    app = fastapi.FastAPI()
    app.get("/")(respond)
    return drivers.asgi(app, "/").status


@pytest.mark.parametrize("status", [flask_status, fastapi_status])
def test_refused_is_the_response_before_a_byte_of_it_was_sent(
    status: Callable[[], int], journal: Any, directory: Path
) -> None:
    journal()
    assert status() == 200
    PyJWTInstrumentor().uninstrument()
    active = journal(max_bytes=1, on_full="refuse")
    try:
        code = status()
    except JournalFull:  # where the server, which is not here, answers for an exception
        code = 500
    assert code == 500
    assert active.losses.count == 1
    assert len(book.records(directory)) == 1
