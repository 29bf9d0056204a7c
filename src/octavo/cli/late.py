"""Modules that libraries import and octavo's own runs never use: loaded when they are used.

asyncio and anyio import `ssl` for TLS of their own, pyqwest `secrets` for multipart forms, msgspec
`inspect` for schemas, pathlib what makes a URL of a path: together an eighth of what a run takes to
its first request, and 5 MB. While
the libraries are imported, each such module is represented by a stand-in, which the library keeps;
whoever uses something of it gets it from the real module, which is imported then. Nothing else
ever meets a stand-in: after the context, the next import loads the real module.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

MODULES = {
    "anyio.streams.stapled": ("MultiListener",),
    "anyio.streams.tls": ("TLSConnectable", "TLSStream"),
    "asyncio.sslproto": (),
    "msgspec._json_schema": ("schema", "schema_components"),
    "msgspec.inspect": (),
    "ntpath": (),
    "secrets": (),
    "ssl": (),
    "urllib.parse": ("quote_from_bytes",),
}
"""What is loaded late, each with what is imported from it by name. Nothing of it is used while its
importers are imported; something that is would only load it earlier."""


@contextmanager
def loading_late() -> Iterator[None]:
    """Let imports in this context of `MODULES`, where not loaded already, load nothing."""
    stand_ins = [_Module(name, MODULES[name]) for name in MODULES if name not in sys.modules]
    sys.modules.update({stand_in.__name__: stand_in for stand_in in stand_ins})
    try:
        yield
    finally:
        for stand_in in stand_ins:
            _leave(stand_in)


@contextmanager
def missing(name: str) -> Iterator[None]:
    """Let imports in this context find no module `name`, for libraries that can do without it."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # how the import system says "halted"
    try:
        yield
    finally:
        del sys.modules[name]


class _Module(ModuleType):
    """Has whatever the module of its name has."""

    def __init__(self, name: str, by_name: tuple[str, ...]) -> None:
        super().__init__(name)
        for word in by_name:
            setattr(self, word, _Class(self, word))

    def __getattr__(self, name: str) -> Any:
        if name == "__path__":  # the import system asks; none of them is a package
            raise AttributeError(name)
        _leave(self)
        return getattr(import_module(self.__name__), name)


def _leave(stand_in: _Module) -> None:
    """Make room for the real module. Threads may meet here: its import has a lock."""
    if sys.modules.get(stand_in.__name__) is stand_in:
        sys.modules.pop(stand_in.__name__, None)


class _Class:
    """Can be called, asked and inherited like the class of its name."""

    def __init__(self, module: _Module, name: str) -> None:
        self._module = module
        self._name = name

    def _real(self) -> Any:
        return _Module.__getattr__(self._module, self._name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real(), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._real()(*args, **kwargs)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._real())

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass, self._real())

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        return (self._real(),)

    def __or__(self, other: object) -> Any:
        return self._real() | other

    def __ror__(self, other: object) -> Any:
        return other | self._real()
