"""Patching a function from within, so that it is met by every name it already has.

``from jwt import decode`` keeps a bound method that no assignment to ``jwt.decode`` or to the class reaches. But
all these names lead to one function object, and a function's code can be exchanged. The new code is a trampoline:
it calls a hook and the original, which lives on as a function of its own.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

# CPython leaves frames out when it counts a warning's stacklevel if their file is named like the import system's
# (PyErr_WarnEx, is_internal_filename). Named so, a trampoline is invisible to the warnings PyJWT raises, and they
# point at the caller's line as they do without us.
_FILENAME: Final = f"{__file__} <importlib._bootstrap>"

# A trampoline has the parameters of its function, so that calls, errors and inspection are what they were. It runs
# with the globals of its function, hence all it needs stands in one constant.
_SHAPES: Final = {
    "around": """
def {name}({parameters}):
    _patch, _begin, _original, _end = "hook"
    if not _patch.active:
        return _original({arguments})
    _call = _begin({wanted})
    try:
        _result = _original({arguments})
    except BaseException as _error:
        _end(_call, None, _error)
        raise
    _end(_call, _result, None)
    return _result
""",
    "before": """
def {name}({parameters}):
    _patch, _begin, _original, _end = "hook"
    if _patch.active:
        _begin({wanted})
    return _original({arguments})
""",
    "after": """
def {name}({parameters}):
    _patch, _begin, _original, _end = "hook"
    _result = _original({arguments})
    if _patch.active:
        _begin({wanted})
    return _result
""",
    "instead": """
async def {name}({parameters}):
    _patch, _begin, _original, _end = "hook"
    if not _patch.active:
        return await _original({arguments})
    return await _begin(_original, {wanted})
""",
}


@dataclass
class CodePatch:
    """Put a hook around, before or after the function at ``path``, or a coroutine function in place of one.

    Args:
        module: name of the module the function is defined in.
        path: dotted path of the function in it.
        parameters: names of the function's parameters that ``begin`` is called with, ``None`` for one it lacks.
        begin: called before the function; where ``when`` is ``after``, once it has returned. What it returns is
            the ``call`` given to ``end``. It must not raise. Where ``when`` is ``instead``, a coroutine function
            that is given the original first, and has it run.
        end: called with ``(call, result, error)`` when the function has returned or raised. It must not raise.
        when: ``around``, ``before``, ``after`` or ``instead``; an ``end`` is called only around.
    """

    module: str
    path: str
    parameters: tuple[str, ...]
    begin: Callable[..., Any]
    end: Callable[[Any, Any, BaseException | None], None] | None = None
    when: str = "around"
    active: bool = field(default=False, init=False)
    _function: Any = field(default=None, init=False)
    _ours: types.CodeType | None = field(default=None, init=False)
    _theirs: types.CodeType | None = field(default=None, init=False)

    def apply(self, module: types.ModuleType) -> None:
        """Exchange the code; raises LookupError if there is no such function."""
        function = _defined(module, self.path)
        if self._function is function and function.__code__ is not self._theirs:
            self.active = True  # still in there, below another vendor's code
            return
        self._function, self._theirs = function, function.__code__
        self._ours = function.__code__ = self._trampoline(function)
        self.active = True

    def restore(self) -> None:
        """Put the code back, or leave the trampoline inert where another vendor's code stands on it."""
        self.active = False
        function = self._function
        if function is not None and self._theirs is not None and function.__code__ is self._ours:
            function.__code__ = self._theirs
            self._function = None

    def _trampoline(self, function: types.FunctionType) -> types.CodeType:
        original = types.FunctionType(
            function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
        )
        original.__kwdefaults__ = function.__kwdefaults__
        original.__qualname__ = function.__qualname__
        hook = (self, self.begin, original, self.end)
        parameters, arguments, names = _spelled(function)
        source = _SHAPES[self.when].format(
            name=function.__name__,
            parameters=", ".join(parameters),
            arguments=", ".join(arguments),
            wanted=", ".join(name if name in names else "None" for name in self.parameters),
        )
        (code,) = (one for one in compile(source, _FILENAME, "exec").co_consts if isinstance(one, types.CodeType))
        return code.replace(co_consts=tuple(hook if constant == "hook" else constant for constant in code.co_consts))


def _spelled(function: types.FunctionType) -> tuple[list[str], list[str], set[str]]:
    """Parameters as a definition spells them, arguments as a call does, and their names.

    Defaults are the function's, not the code's: here any will do, for as many parameters as have one.
    """
    parameters: list[str] = []
    arguments: list[str] = []
    signature = inspect.signature(function).parameters.values()
    kinds = [one.kind for one in signature]
    for parameter in signature:
        name, kind = parameter.name, parameter.kind
        default = "" if parameter.default is parameter.empty else "=None"
        if kind is parameter.VAR_POSITIONAL:
            parameters.append(f"*{name}")
            arguments.append(f"*{name}")
        elif kind is parameter.VAR_KEYWORD:
            parameters.append(f"**{name}")
            arguments.append(f"**{name}")
        elif kind is parameter.KEYWORD_ONLY:
            if parameter.VAR_POSITIONAL not in kinds and "*" not in parameters:
                parameters.append("*")
            parameters.append(name + default)
            arguments.append(f"{name}={name}")
        else:
            parameters.append(name + default)
            arguments.append(name)
    return parameters, arguments, {one.name for one in signature}


def _defined(module: types.ModuleType, path: str) -> types.FunctionType:
    """The function ``module`` defines at ``path``, even if somebody has put a wrapper in its place."""
    *parents, name = path.split(".")
    holder: Any = module
    for parent in parents:
        holder = getattr(holder, parent)
    # Where a wrapper hides the function, the bound method of the same name that PyJWT's modules keep may not.
    candidate: Any
    for candidate in (inspect.getattr_static(holder, name, None), getattr(module, name, None)):
        candidate = getattr(candidate, "__func__", candidate)
        while hasattr(candidate, "__wrapped__"):
            candidate = candidate.__wrapped__
        if isinstance(candidate, types.FunctionType) and candidate.__module__ == module.__name__:
            return candidate
    raise LookupError(f"{module.__name__} has no plain function {path}")
