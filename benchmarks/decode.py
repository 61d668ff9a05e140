"""What the plugin costs a ``jwt.decode`` on the application's thread, beside the same thing written by hand.

By hand means what a careful team would put around each decode to record as much: a wrapper, one
``set_attributes``, one ``emit``, with the same attributes. Each round runs every variant on the same calls, in a
changing order, on thread CPU time; a figure is the median over rounds, after subtracting the bare call of the
same round. Rounds are spread over fresh processes, since a process can be lucky in its memory layout.

    python benchmarks/decode.py [--rounds N] [--processes N]
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import jwt

from opentelemetry import trace
from opentelemetry._logs import Logger, SeverityNumber
from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor, action
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

KEY = "a-secret-key-of-at-least-thirty-two-bytes"
CALLS = 200  # of each variant in a round: fewer than wake the batch processor, which would wake in anybody's turn
WARM_UP = 200  # exchanging code makes the interpreter specialise anew

Decode = Callable[[str], Any]


class Nowhere(LogRecordExporter):
    """Takes records and forgets them: exporting happens on another thread and is not what is measured."""

    def export(self, batch: Any) -> LogRecordExportResult:
        return LogRecordExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing to close."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


def token(algorithm: str, key: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": "https://issuer.example",
        "sub": "alice",
        "aud": "orders",
        "jti": str(uuid.uuid4()),
        "iat": now,
        "exp": now + 3600,
        "scope": "orders:read orders:write",
    }
    return jwt.encode(claims, key, algorithm)


def bare(key: Any, algorithm: str) -> Decode:
    return lambda given: jwt.decode(given, key, [algorithm], audience="orders")


def by_hand(key: Any, algorithm: str, logger: Logger) -> Decode:
    def decode(given: str) -> Any:
        try:
            decoded = jwt.decode_complete(given, key, [algorithm], audience="orders")
        except jwt.InvalidTokenError as error:
            logger.emit(event_name="jwt.rejected", body=f"jwt.rejected: {type(error).__name__}")
            raise
        now = time.time_ns()
        header, claims = decoded["header"], decoded["payload"]
        audience = claims.get("aud")
        found = {
            "jwt.jti": claims.get("jti"),
            "jwt.iss": claims.get("iss"),
            "jwt.aud": [audience] if isinstance(audience, str) else audience,
            "jwt.exp": claims.get("exp"),
            "jwt.iat": claims.get("iat"),
            "jwt.nbf": claims.get("nbf"),
            "jwt.alg": header.get("alg"),
            "jwt.kid": header.get("kid"),
            "jwt.typ": header.get("typ"),
            "jwt.sub": claims.get("sub"),
            "user.id": claims.get("sub"),
            "jwt.client_id": claims.get("client_id") or claims.get("azp"),
            "jwt.scope.granted": claims["scope"].split() if "scope" in claims else None,
            "jwt.verified": True,
            "jwt.expires_in": claims["exp"] - now // 1_000_000_000 if "exp" in claims else None,
            "jwt.validation.checks": ["signature", "exp", "iat", "aud", "sub", "jti"],
            "jwt.validation.outcome": "valid",
        }
        attributes = {name: value for name, value in found.items() if value is not None}
        trace.get_current_span().set_attributes(attributes)
        attributes["audit.record.id"] = str(uuid.uuid4())
        logger.emit(
            timestamp=now,
            severity_number=SeverityNumber.INFO,
            severity_text="INFO",
            body="jwt.validated",
            attributes=attributes,
            event_name="jwt.validated",
        )
        return claims

    return decode


def cost(
    decode: Decode, given: str, tracer: trace.Tracer | None, where: Callable[[], Any], provider: LoggerProvider
) -> float:
    """Thread CPU time of a call, in microseconds, span and all."""
    span = (lambda: tracer.start_as_current_span("request")) if tracer is not None else nullcontext
    for _ in range(WARM_UP):
        with span(), where():
            decode(given)
    provider.force_flush()
    gc.collect()
    gc.disable()
    started = time.thread_time_ns()
    for _ in range(CALLS):
        with span(), where():
            decode(given)
    spent = time.thread_time_ns() - started
    gc.enable()
    return spent / CALLS / 1000


def measure(rounds: int) -> dict[str, list[float]]:
    """Costs above the bare call, by situation and variant, one for each round."""
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    provider = LoggerProvider()
    provider.add_log_record_processor(BatchLogRecordProcessor(Nowhere(), schedule_delay_millis=200))
    sampled = TracerProvider(sampler=ALWAYS_ON)
    unsampled = TracerProvider(sampler=ALWAYS_OFF)
    logger = provider.get_logger("by-hand")
    situations: dict[str, tuple[Any, Any, str, TracerProvider | None, bool]] = {
        "HS256, sampled": (KEY, KEY, "HS256", sampled, True),
        "HS256, unsampled": (KEY, KEY, "HS256", unsampled, True),
        "ES256, sampled": (private, private.public_key(), "ES256", sampled, True),
        "HS256, no provider": (KEY, KEY, "HS256", None, False),
    }
    found: dict[str, list[float]] = {}

    def note(situation: str, variant: str, microseconds: float) -> None:
        found.setdefault(f"{situation}|{variant}", []).append(microseconds)

    for turn in range(rounds):
        for situation, (signer, key, algorithm, traces, logs) in situations.items():
            given = token(algorithm, signer)
            tracer = None if traces is None else traces.get_tracer("benchmark")
            plain, hand = bare(key, algorithm), by_hand(key, algorithm, logger)
            options = {"logger_provider": provider} if logs else {}

            def plugin(
                where: Callable[[], Any] = nullcontext,
                plain: Decode = plain,
                given: str = given,
                tracer: trace.Tracer | None = tracer,
                options: dict[str, Any] = options,
            ) -> float:
                PyJWTInstrumentor().instrument(**options)
                try:
                    return cost(plain, given, tracer, where, provider)
                finally:
                    PyJWTInstrumentor().uninstrument()

            variants: dict[str, Callable[[], float]] = {
                "bare": lambda: cost(plain, given, tracer, nullcontext, provider),  # noqa: B023  # called in this turn
                "plugin": plugin,
            }
            if logs:
                variants["by hand"] = lambda: cost(hand, given, tracer, nullcontext, provider)  # noqa: B023  # likewise
                variants["plugin, in a ledger"] = lambda: plugin(lambda: action("request"))  # likewise
            names = list(variants)
            names = names[turn % len(names) :] + names[: turn % len(names)]
            costs = {name: variants[name]() for name in names}
            note(situation, "bare", costs["bare"])
            note(situation, "uninstrumented", cost(plain, given, tracer, nullcontext, provider) - costs["bare"])
            for name in names:
                if name != "bare":
                    note(situation, name, costs[name] - costs["bare"])
    return found


def spread(values: list[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:7.2f}  [{low:.2f} … {high:.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=20, help="rounds in each process")
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(measure(arguments.rounds)))
        return
    found: dict[str, list[float]] = {}
    for _ in range(arguments.processes):
        command = [sys.executable, __file__, "--worker", "--rounds", str(arguments.rounds)]
        for name, values in json.loads(subprocess.run(command, check=True, capture_output=True).stdout).items():
            found.setdefault(name, []).extend(values)
    print(
        f"jwt.decode, PyJWT {jwt.__version__}, Python {sys.version.split()[0]}: thread CPU time, median [quartiles]\n"
    )
    print(f"{'situation':<20} {'variant':<22} {'µs above bare':<28} of by hand")
    for name, values in found.items():
        situation, variant = name.split("|")
        hand = found.get(f"{situation}|by hand")
        ratio = ""
        if hand and variant.startswith("plugin"):
            ratio = spread([mine / theirs for mine, theirs in zip(values, hand, strict=True)])
        shown = "(µs in all)" if variant == "bare" else ""
        print(f"{situation:<20} {variant:<22} {spread(values):<28} {ratio} {shown}")


if __name__ == "__main__":
    main()
