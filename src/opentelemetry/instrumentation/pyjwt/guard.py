"""Our failures stay ours: logged once each, and never seen by the application, but for :class:`Refused`."""

from __future__ import annotations

import functools
import logging
import traceback
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_logger = logging.getLogger("opentelemetry.instrumentation.pyjwt")
_reported: set[tuple[str, int]] = set()

#: Tests set this, so that a failure of ours fails the test that met it.
reraise = False


class Refused(Exception):
    """What cannot be recorded must not happen, as the operator decided: the one failure that the application sees."""


P = ParamSpec("P")
R = TypeVar("R")
D = TypeVar("D")


def report(error: Exception, what: str) -> None:
    """Log ``error`` once for the line that raised it.

    The message of an exception may quote what it choked on, and that may be a token: the log gets the type
    and the lines, not the message.
    """
    if reraise or isinstance(error, Refused):
        raise error
    try:  # noqa: SIM105  # contextlib.suppress needs frames of its own
        _log(error, what)
    except Exception:  # no room left on the stack, or a logging filter of the application's raised
        pass


def _log(error: Exception, what: str) -> None:
    frames = traceback.extract_tb(error.__traceback__)
    origin = (frames[-1].filename, frames[-1].lineno or 0) if frames else ("", 0)
    if origin in _reported:
        return
    _reported.add(origin)
    _logger.error(
        "%s failed with %s; the application is not affected, and this is not logged again.\n%s",
        what,
        type(error).__name__,
        "".join(f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}\n' for frame in frames[-6:]),
    )


def guarded(default: D) -> Callable[[Callable[P, R]], Callable[P, R | D]]:
    """Decorate a function the application runs through: what it raises is reported, and ``default`` returned."""

    def decorate(function: Callable[P, R]) -> Callable[P, R | D]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R | D:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                report(error, function.__qualname__)
                return default

        return call

    return decorate
