"""What libraries use of late modules while they are imported, without those modules.

Each is as the real one for what it is used for there; `tests/late/test_late.py` compares them.
"""

from __future__ import annotations

import _datetime  # type: ignore[import-not-found]  # what `datetime` is made of
import os
import sys
import typing
from importlib import import_module
from types import CoroutineType, FunctionType, MethodType, ModuleType
from typing import Any

from octavo.late import unfinished

_CO_COROUTINE = 0x80
_DEBUG, _WARNING = 10, 30


class Logger:
    """A logger of that name: the real one as soon as it is asked for more than debugging."""

    def __init__(self, name: str) -> None:
        self._name = name

    def debug(self, *args: Any, **kwargs: Any) -> None:
        """Log what nobody wants who has not loaded `logging` to say so."""
        if _logging_is_loaded():
            self._real().debug(*args, **kwargs)

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's name
        """Whether somebody wants that; who has not loaded `logging` wants warnings."""
        if _logging_is_loaded():
            return bool(self._real().isEnabledFor(level))
        return level >= _WARNING

    def _real(self) -> Any:
        import logging
        from logging import Manager as Manager  # whatever a stand-in has not makes room for it

        return logging.getLogger(self._name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real(), name)


def _logging_is_loaded() -> bool:
    return type(sys.modules.get("logging")) is ModuleType


class _Sentinel:
    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"<{self._name}>"


def _type_variable(*args: Any, default: Any = None, **kwargs: Any) -> Any:
    """Make one without a default, which only type checkers need."""
    del default
    return typing.TypeVar(*args, **kwargs)


def _is_coroutine_function(thing: Any) -> bool:
    """Say it of a plain function or method; of anything else `inspect` does."""
    function = thing.__func__ if isinstance(thing, MethodType) else thing
    if isinstance(function, FunctionType) and not vars(function):
        return bool(function.__code__.co_flags & _CO_COROUTINE)
    import inspect

    return inspect.iscoroutinefunction(thing)


def _annotations(thing: Any, **how: Any) -> Any:
    """Return what a class has of its own; anything else `inspect` does."""
    if isinstance(thing, type) and not how:
        return dict(vars(thing).get("__annotations__", {}))
    import inspect

    return inspect.get_annotations(thing, **how)


def _unwrap(thing: Any, **how: Any) -> Any:
    """Return what is not wrapped as it is; anything else `inspect` does."""
    if not hasattr(thing, "__wrapped__"):
        return thing
    import inspect

    return inspect.unwrap(thing, **how)


def install_lazy_importer() -> bool:
    """Give the calling package of anyio its names, each when it is asked for.

    anyio's own would read them with a parser of Python's, which is slower than all of anyio.
    """
    scope = sys._getframe(1).f_globals
    package: str = scope["__name__"]
    with open(scope["__file__"], encoding="utf-8") as file:
        places = lazy_names(file.read())
    for helper in ("TYPE_CHECKING", *_HELPERS):
        scope.pop(helper, None)

    def find(name: str) -> Any:
        if name not in places:
            return _ask_anyio(scope, name)
        module, word = places[name]
        found = import_module(module, package)
        if module != "." + word:
            found = getattr(found, word)
        if getattr(found, "__module__", "").startswith(f"{package}."):
            found.__module__ = package
        scope[name] = found
        return found

    scope["__getattr__"] = find
    scope["__dir__"] = lambda: sorted(places)
    return True


_HELPERS = ("install_lazy_importer", "fix_package_names", "set_deprecated_aliases")


def lazy_names(source: str) -> dict[str, tuple[str, str]]:
    """Return what a package of anyio has: by name, the module and the name there.

    Reads nothing but `from MODULE import NAME as NAME`, one name each; what is written in another
    way is left for anyio to find.
    """
    block = source.partition("if TYPE_CHECKING or not install_lazy_importer():")[2]
    for mark in "(),":
        block = block.replace(mark, " ")
    places: dict[str, tuple[str, str]] = {}
    words = block.split()
    for at in range(len(words) - 5):
        if words[at] == "from" and words[at + 2] == "import" and words[at + 4] == "as":
            module, name = words[at + 1], words[at + 3]
            places[words[at + 5]] = ("." + name, name) if module == "." else (module, name)
    return places


def _ask_anyio(scope: dict[str, Any], name: str) -> Any:
    """Let anyio's own importer say what a name is that is old, or a mistake."""
    package = scope["__name__"]
    if name.startswith("__"):
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    real = import_module("anyio._lazyimport")
    scope |= {"TYPE_CHECKING": False} | {word: getattr(real, word) for word in _HELPERS}
    exec("install_lazy_importer()", scope)  # noqa: S102 - it looks at whose call it is
    return getattr(sys.modules[package], name)


KEPT: dict[str, dict[str, Any]] = {
    "dataclasses": {"dataclass": unfinished.dataclass, "field": unfinished.Field},
    "anyio._lazyimport": {"install_lazy_importer": install_lazy_importer},
    # Before 3.12, the module writes all its classes in Python, and then takes these instead.
    "datetime": {name: value for name, value in vars(_datetime).items() if name[0] != "_"},
    "inspect": {
        "CORO_RUNNING": "CORO_RUNNING",
        "CORO_SUSPENDED": "CORO_SUSPENDED",
        "get_annotations": _annotations,
        "iscoroutine": lambda thing: isinstance(thing, CoroutineType),
        "iscoroutinefunction": _is_coroutine_function,
        "isfunction": lambda thing: isinstance(thing, FunctionType),
        "unwrap": _unwrap,
    },
    "logging": {"DEBUG": _DEBUG},
    "subprocess": {"PIPE": -1, "STDOUT": -2, "DEVNULL": -3},
    "typing_extensions": {
        "TypeVar": _type_variable,
        "deprecated": lambda _reason: lambda function: function,
        "override": lambda function: function,
        "sentinel": _Sentinel,
        **{
            name: getattr(typing, name)
            for name in ("Never", "NotRequired", "Required", "Self", "TypeVarTuple", "Unpack")
        },
        "get_type_hints": typing.get_type_hints,
    },
}
"""By module, what its importers may keep: it stays true."""

LENT: dict[str, dict[str, Any]] = {
    "logging": {"getLogger": Logger},
    "platform": {"system": lambda: os.uname().sysname},
}
"""By module, what is only there while the libraries are imported."""
