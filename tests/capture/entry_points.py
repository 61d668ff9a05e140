"""Every way into PyJWT, and the event that one call through it gives.

``python -m tests.capture.entry_points`` prints the table for the PyJWT at hand: the events counted when the way in
was bound before the instrumentor was switched on, and after.
"""

from __future__ import annotations

import contextlib
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jwt
import jwt.api_jws
import jwt.api_jwt
import jwt.jwks_client
from jwt import PyJWT
from jwt.api_jws import PyJWS

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from tests.capture import jwks
from tests.support import KEY, Trail, claims, mint

ALGORITHMS = ["HS256"]
BAD = "no.token"
ISSUED, VALIDATED = "jwt.issued", "jwt.validated"
MALFORMED, KEY_UNAVAILABLE = "jwt.rejected: malformed", "jwt.rejected: key_unavailable"


class EntryPoint(NamedTuple):
    """One way in: ``bind`` takes hold of PyJWT's names and gives a call, which gives one event or none."""

    name: str
    bind: Callable[[], Callable[[], object]]
    event: str | None


# --- Subclasses, each as an application might write it -------------------------------------------------------------


def _plain() -> PyJWT:
    class Plain(PyJWT):
        pass

    return Plain()


def _public() -> PyJWT:
    class Public(PyJWT):
        def encode(self, *args: Any, **kwargs: Any) -> str:
            return super().encode(*args, **kwargs)

        def decode(self, *args: Any, **kwargs: Any) -> Any:
            return super().decode(*args, **kwargs)

        def decode_complete(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
            return super().decode_complete(*args, **kwargs)

    return Public()


def _stricter() -> PyJWT:
    class Stricter(PyJWT):
        def _validate_claims(self, *args: Any, **kwargs: Any) -> None:
            super()._validate_claims(*args, **kwargs)

    return Stricter()


def _compressing() -> PyJWT:
    class Compressing(PyJWT):
        def _encode_payload(self, *args: Any, **kwargs: Any) -> bytes:
            return zlib.compress(super()._encode_payload(*args, **kwargs))

        def _decode_payload(self, decoded: dict[str, Any]) -> Any:
            return super()._decode_payload({**decoded, "payload": zlib.decompress(decoded["payload"])})

    return Compressing()


_INSTANCES: dict[str, Callable[[], PyJWT]] = {
    "PyJWT()": PyJWT,
    "PyJWT(options)": lambda: PyJWT({"verify_aud": False}),
    "plain subclass": _plain,
    "subclass with super().encode/decode": _public,
    "subclass with _validate_claims": _stricter,
    "subclass that compresses": _compressing,
}

# --- The table -----------------------------------------------------------------------------------------------------

_TOKEN = mint(exp=4_000_000_000)
_COMPRESSED = jwt.api_jws.encode(zlib.compress(json.dumps(claims(exp=4_000_000_000)).encode()), KEY, "HS256")

_DECODE_CALLS: dict[str, Callable[[Callable[..., object], str], object]] = {
    "(token, …)": lambda decode, token: decode(token, KEY, ALGORITHMS),
    "(jwt=token, …)": lambda decode, token: decode(jwt=token, key=KEY, algorithms=ALGORITHMS),
    "(bytes, …)": lambda decode, token: decode(token.encode(), KEY, algorithms=ALGORITHMS),
}
_ENCODE_CALLS: dict[str, Callable[[Callable[..., object]], object]] = {
    "(payload, …)": lambda encode: encode(claims(), KEY, "HS256"),
    "(payload=…)": lambda encode: encode(payload=claims(), key=KEY, algorithm="HS256"),
    "(payload, key)": lambda encode: encode(claims(), KEY),
}


def _decoders() -> Iterator[tuple[str, Callable[[], Callable[..., object]], str]]:
    """Name, way to get hold of it, and a token it can read."""
    for module, names in (
        (jwt, ("decode", "decode_complete")),  # decode_complete since 2.10
        (jwt.api_jwt, ("decode", "decode_complete")),
        (jwt.jwks_client, ("decode_token",)),
    ):
        for name in names:
            if hasattr(module, name):
                yield f"{module.__name__}.{name}", partial(getattr, module, name), _TOKEN
    for title, make in _INSTANCES.items():
        token = _COMPRESSED if make is _compressing else _TOKEN
        for name in ("decode", "decode_complete"):
            yield f"{title}: .{name}", lambda make=make, name=name: getattr(make(), name), token
    yield "PyJWT.decode of an instance", lambda: partial(PyJWT.decode, PyJWT()), _TOKEN
    yield "PyJWT.decode_complete of an instance", lambda: partial(PyJWT.decode_complete, PyJWT()), _TOKEN


def _encoders() -> Iterator[tuple[str, Callable[[], Callable[..., object]]]]:
    yield "jwt.encode", lambda: jwt.encode
    yield "jwt.api_jwt.encode", lambda: jwt.api_jwt.encode
    for title, make in _INSTANCES.items():
        yield f"{title}: .encode", lambda make=make: make().encode
    yield "PyJWT.encode of an instance", lambda: partial(PyJWT.encode, PyJWT())


def _header_readers() -> Iterator[tuple[str, Callable[[], Callable[..., object]]]]:
    yield "jwt.get_unverified_header", lambda: jwt.get_unverified_header
    yield "jwt.api_jws.get_unverified_header", lambda: jwt.api_jws.get_unverified_header
    yield "PyJWS().get_unverified_header", lambda: PyJWS().get_unverified_header


def _table() -> Iterator[EntryPoint]:
    for name, get, token in _decoders():
        for how, decode_call in _DECODE_CALLS.items():
            yield EntryPoint(
                f"{name} {how}", lambda get=get, call=decode_call, token=token: partial(call, get(), token), VALIDATED
            )
    for name, get in _encoders():
        for how, encode_call in _ENCODE_CALLS.items():
            yield EntryPoint(f"{name} {how}", lambda get=get, call=encode_call: partial(call, get()), ISSUED)
    for name, get in _header_readers():
        # A header that was read is no use of a token; one that cannot be read goes no further.
        yield EntryPoint(f"{name}, good token", lambda get=get: partial(get(), _TOKEN), None)
        yield EntryPoint(f"{name}, bad token", lambda get=get: partial(get(), BAD), MALFORMED)
    # A JWS is not a JWT: what it holds are not claims.
    yield EntryPoint("PyJWS().encode", lambda: partial(PyJWS().encode, b"payload", KEY), None)
    yield EntryPoint("PyJWS().decode", lambda: partial(PyJWS().decode, _TOKEN, KEY, ALGORITHMS), None)


ENTRY_POINTS = tuple(_table())


def key_lookups(url: str) -> Iterator[EntryPoint]:
    """Ways through a ``PyJWKClient`` of the endpoint at ``url``."""
    good, stranger = jwks.signed(), jwks.signed("key-of-nobody")
    for cached in (False, True):
        client = partial(jwt.PyJWKClient, cache_keys=cached)
        name = f"PyJWKClient(cache_keys={cached})"

        def then_decode(client: jwt.PyJWKClient) -> object:
            return jwt.decode(good, client.get_signing_key_from_jwt(good).key, jwks.ALGORITHMS)

        def lookup(url: str, token: str, client: Callable[..., jwt.PyJWKClient] = client) -> Callable[[], object]:
            return partial(client(url).get_signing_key_from_jwt, token)

        yield EntryPoint(f"{name}: key found", partial(lookup, url, good), None)
        yield EntryPoint(
            f"{name}: key found, then decode", lambda c=client, then=then_decode: partial(then, c(url)), VALIDATED
        )
        yield EntryPoint(f"{name}: no such key", partial(lookup, url, stranger), KEY_UNAVAILABLE)
        yield EntryPoint(f"{name}: nobody answers", partial(lookup, jwks.NOBODY, good), KEY_UNAVAILABLE)
        yield EntryPoint(f"{name}: bad token", partial(lookup, url, BAD), MALFORMED)


def attempt(call: Callable[[], object]) -> None:
    """Make the call; that PyJWT refuses some of the tokens is part of the table."""
    with contextlib.suppress(jwt.PyJWTError):
        call()


def _lines() -> Iterator[str]:
    trail = Trail()

    def events(call: Callable[[], object]) -> str:
        trail.clear()
        attempt(call)
        return ", ".join(trail.names) or "none"

    with jwks.endpoint() as url:
        rows = (*ENTRY_POINTS, *key_lookups(url))
        early = [row.bind() for row in rows]
        PyJWTInstrumentor().instrument(logger_provider=trail.logger_provider)
        yield f"PyJWT {jwt.__version__}: the event of one call, its way in bound before and after instrument()"
        yield f"{'entry point':<68} {'before':<30} after"
        for row, bound in zip(rows, early, strict=True):
            yield f"{row.name:<68} {events(bound):<30} {events(row.bind())}"
        PyJWTInstrumentor().uninstrument()


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in _lines())
