"""Patches: one table drives both directions.

A :class:`Patch` names a function and how to get around it; :class:`Patches` applies a table of them when
their modules are imported (never importing one itself) and takes them back. Two ways of patching:

* :class:`CodePatch` puts a trampoline into the function object itself, so that it is met by every name the
  function already has: bound methods frozen at import, ``from jwt import decode``, aliases, subclasses.
* :class:`WrapPatch` replaces an attribute by a wrapper, for what is always looked up.

Another vendor's patch below or above ours survives: a function or attribute is restored only where it is
still ours, and else our part of it goes inert.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import wrapt

from opentelemetry.instrumentation.pyjwt import guard

Begin = Callable[[tuple[Any, ...], dict[str, Any]], Any]
End = Callable[[Any, Any, BaseException | None], None]
Around = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]


class Patch(Protocol):
    """One way around one function."""

    module: str

    def apply(self, module: types.ModuleType) -> None: ...
    def restore(self) -> None: ...


def _resolve(module: types.ModuleType, path: str) -> tuple[Any, str]:
    """The object that holds the attribute at a dotted ``path``, and the attribute's name."""
    *parents, name = path.split(".")
    holder: Any = module
    for parent in parents:
        holder = getattr(holder, parent)
    return holder, name


# --- Into the function --------------------------------------------------------------------------------------


# These run with the globals of the function they are put into, hence all they need is in one constant.


def _around(*args: Any, **kwargs: Any) -> Any:
    patch, begin, original, end = "hook"
    if not patch.active:  # type: ignore[attr-defined]
        return original(*args, **kwargs)  # type: ignore[operator]
    call = begin(args, kwargs)  # type: ignore[operator]
    try:
        result = original(*args, **kwargs)  # type: ignore[operator]
    except BaseException as error:
        end(call, None, error)  # type: ignore[operator]
        raise
    end(call, result, None)  # type: ignore[operator]
    return result


def _before(*args: Any, **kwargs: Any) -> Any:
    patch, begin, original, _ = "hook"
    if patch.active:  # type: ignore[attr-defined]
        begin(args, kwargs)  # type: ignore[operator]
    return original(*args, **kwargs)  # type: ignore[operator]


def _after(*args: Any, **kwargs: Any) -> Any:
    patch, begin, original, _ = "hook"
    result = original(*args, **kwargs)  # type: ignore[operator]
    if patch.active:  # type: ignore[attr-defined]
        begin(args, kwargs)  # type: ignore[operator]
    return result


_TRAMPOLINES: Final = {"around": _around.__code__, "before": _before.__code__, "after": _after.__code__}


# CPython leaves frames out when it counts a warning's stacklevel if their file is named like the import
# system's (PyErr_WarnEx, is_internal_filename). Named so, the trampoline is invisible to the warnings PyJWT
# raises, and they point at the caller's line as they do without us.
_FILENAME: Final = f"{__file__} <importlib._bootstrap>"


@dataclass
class CodePatch:
    """Put a hook around, before or after the function at ``path``, by exchanging its code.

    Args:
        module: name of the module the function is defined in.
        path: dotted path of the function in it.
        begin: called with ``(args, kwargs)``: before the function; where ``when`` is ``after``, once it has
            returned. What it returns is the ``call`` given to ``end``. It must not raise.
        end: called with ``(call, result, error)`` when the function has returned or raised. It must not raise.
        when: ``around``, ``before`` or ``after``; there is an ``end`` only around.
        optional: the function may be absent.
    """

    module: str
    path: str
    begin: Begin
    end: End | None = None
    when: str = "around"
    optional: bool = False
    active: bool = field(default=False, init=False)
    _function: Any = field(default=None, init=False)
    _ours: types.CodeType | None = field(default=None, init=False)
    _theirs: types.CodeType | None = field(default=None, init=False)

    def apply(self, module: types.ModuleType) -> None:
        function = _defined(module, self.path)
        if function is None:
            if self.optional:
                return
            raise LookupError(f"{self.module} has no plain function {self.path}")
        if self._function is function and function.__code__ is not self._theirs:
            self.active = True  # still in there, below another vendor's code
            return
        self._theirs = function.__code__
        original = types.FunctionType(
            function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
        )
        original.__kwdefaults__ = function.__kwdefaults__
        original.__qualname__ = function.__qualname__
        hook = (self, self.begin, original, self.end)
        template = _TRAMPOLINES[self.when]
        self._ours = template.replace(
            co_consts=tuple(hook if constant == "hook" else constant for constant in template.co_consts),
            co_name=function.__name__,
            co_filename=_FILENAME,
        )
        signature = inspect.signature(function)
        function.__code__ = self._ours
        function.__signature__ = signature  # type: ignore[attr-defined]  # or it would be (*args, **kwargs)
        self._function = function
        self.active = True

    def restore(self) -> None:
        self.active = False
        function = self._function
        if function is not None and self._theirs is not None and function.__code__ is self._ours:
            function.__code__ = self._theirs
            del function.__signature__
            self._function = None


def _defined(module: types.ModuleType, path: str) -> types.FunctionType | None:
    """The function ``module`` defines at ``path``, even if somebody has put a wrapper in its place."""
    try:
        holder, name = _resolve(module, path)
        found = inspect.getattr_static(holder, name)
    except AttributeError:
        return None
    candidate: Any
    for candidate in (found, getattr(module, name, None)):  # PyJWT keeps bound methods of the same names
        candidate = getattr(candidate, "__func__", candidate)
        while hasattr(candidate, "__wrapped__"):
            candidate = candidate.__wrapped__
        if isinstance(candidate, types.FunctionType) and candidate.__module__ == module.__name__:
            return candidate
    return None


# --- In place of the attribute --------------------------------------------------------------------------------


@dataclass
class WrapPatch:
    """Replace the attribute at ``path`` by a wrapper.

    Args:
        module: name of the module.
        path: dotted path of the attribute in it.
        around: called with ``(wrapped, instance, args, kwargs)``, see wrapt.
        optional: the attribute may be absent.
    """

    module: str
    path: str
    around: Around
    optional: bool = False
    active: bool = field(default=False, init=False)
    _holder: Any = field(default=None, init=False)
    _ours: Any = field(default=None, init=False)
    _theirs: Any = field(default=None, init=False)

    def apply(self, module: types.ModuleType) -> None:
        try:
            holder, name = _resolve(module, self.path)
            theirs = inspect.getattr_static(holder, name)
        except AttributeError:
            if self.optional:
                return
            raise
        if self._ours is not None and self._holder is holder:
            self.active = True  # still in there, below another vendor's wrapper
            return
        self._holder, self._theirs = holder, theirs
        self._ours = wrapt.FunctionWrapper(theirs, self.around, enabled=lambda: self.active)
        setattr(holder, name, self._ours)
        self.active = True

    def restore(self) -> None:
        self.active = False
        if self._ours is None:
            return
        name = self.path.rpartition(".")[2]
        if inspect.getattr_static(self._holder, name, None) is self._ours:
            setattr(self._holder, name, self._theirs)
            self._ours = None


# --- The table --------------------------------------------------------------------------------------------------


class Patches:
    """A table of patches, applied as their modules are imported.

    A library that is not what we know is left alone, with one error in the log; the others are unaffected.
    """

    def __init__(self, table: Iterable[Patch]) -> None:
        self.table = tuple(table)
        self._installed = False
        self._waiting = False

    def install(self) -> None:
        """Patch what is imported, now, and the rest when it is."""
        self._installed = True
        modules: Mapping[str, None] = dict.fromkeys(patch.module for patch in self.table)
        for name in modules:
            module = sys.modules.get(name)
            if self._waiting:
                # An import hook cannot be taken back, so the one from last time still waits for the others.
                if module is not None:
                    self._apply(module)
            else:
                wrapt.register_post_import_hook(self._apply, name)
        self._waiting = True

    def remove(self) -> None:
        """Take everything back; hooks that still wait will do nothing."""
        self._installed = False
        for patch in reversed(self.table):
            try:
                patch.restore()
            except Exception as error:
                guard.report(error, f"Restoring {patch.module}")

    def _apply(self, module: types.ModuleType) -> None:
        if not self._installed:
            return
        for patch in self.table:
            if patch.module == module.__name__:
                try:
                    patch.apply(module)
                except Exception as error:
                    guard.report(error, f"Patching {patch.module}")
