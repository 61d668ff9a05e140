"""Patches: one table drives both directions.

A :class:`Patch` names a function and what is to happen when it is called; :class:`Patches` applies a table of them
when their modules are imported (never importing one itself) and takes them back. :class:`WrapPatch` replaces an
attribute by a wrapper, for what is always looked up; :class:`~.trampoline.CodePatch` gets into the function itself.

Another vendor's patch below or above ours survives: a function or attribute is restored only where it is still
ours, and else our part of it goes inert.
"""

from __future__ import annotations

import inspect
import logging
import re
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Protocol

import wrapt

from opentelemetry.instrumentation.pyjwt import guard

_logger = logging.getLogger(__name__)

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
    _inherited: bool = field(default=False, init=False)

    def apply(self, module: types.ModuleType) -> None:
        try:
            holder, name = _resolve(module, self.path)
            theirs = inspect.getattr_static(holder, name)
        except AttributeError:
            if self.optional:
                return
            raise
        if self._ours is not None and self._holder is holder and _wraps(theirs, self._ours):
            self.active = True  # still in there, below another vendor's wrapper
            return
        self._holder, self._theirs = holder, theirs
        self._inherited = isinstance(holder, type) and name not in vars(holder)
        # Only the newest is enabled: one from last time may still be called by a wrapper that hides it.
        ours = wrapt.FunctionWrapper(theirs, self.around, enabled=lambda: self.active and self._ours is ours)
        self._ours = ours
        setattr(holder, name, ours)
        self.active = True

    def restore(self) -> None:
        self.active = False
        if self._ours is None:
            return
        name = self.path.rpartition(".")[2]
        if inspect.getattr_static(self._holder, name, None) is self._ours:
            if self._inherited:
                delattr(self._holder, name)
            else:
                setattr(self._holder, name, self._theirs)
            self._ours = None


def _wraps(wrapper: Any, wrapped: Any) -> bool:
    """Whether ``wrapped`` is ``wrapper``, or below it. Another vendor's unpatching may have taken ours out."""
    while wrapper is not wrapped:
        if not hasattr(wrapper, "__wrapped__"):
            return False
        wrapper = wrapper.__wrapped__
    return True


# --- The table --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Library:
    """Patches that reach into a library, and the versions of it in which we know our way.

    Args:
        distribution: name of the library's distribution.
        since: the oldest version known.
        before: the first version not known any more.
        patches: what to patch.
    """

    distribution: str
    since: tuple[int, ...]
    before: tuple[int, ...]
    patches: tuple[Patch, ...]

    def is_known(self) -> bool:
        """Whether the version installed is one we know; if not, that is said."""
        try:
            version = metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            return False
        numbers = tuple(int(number) for number in re.findall(r"\d+", version)[: max(len(self.since), len(self.before))])
        if self.since <= numbers < self.before:
            return True
        known = f"{'.'.join(map(str, self.since))} up to, but not including, {'.'.join(map(str, self.before))}"
        _logger.warning("%s %s is left alone: known are versions %s.", self.distribution, version, known)
        return False


class Patches:
    """A table of patches, applied as their modules are imported.

    A library that is not what we know is left alone, with one line in the log; the others are unaffected.
    """

    def __init__(self, table: Iterable[Patch | Library]) -> None:
        rows = tuple(table)
        self.table: tuple[Patch, ...] = tuple(
            patch for row in rows for patch in (row.patches if isinstance(row, Library) else (row,))
        )
        self.libraries: tuple[Library, ...] = tuple(row for row in rows if isinstance(row, Library))
        self._library_of = {id(patch): library for library in self.libraries for patch in library.patches}
        self._known: dict[object, bool] = {}
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
                    if self._is_known(self._library_of.get(id(patch))):
                        patch.apply(module)
                except Exception as error:
                    guard.report(error, f"Patching {patch.module}")

    def _is_known(self, library: Library | None) -> bool:
        if library is None:
            return True
        promise = (library.distribution, library.since, library.before)
        if promise not in self._known:
            self._known[promise] = library.is_known()
        return self._known[promise]
