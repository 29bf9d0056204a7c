"""Modules that libraries import and octavo's own runs never use: loaded when they are used.

asyncio imports `ssl` for TLS of its own, `logging` for faults and `subprocess` for its numbers;
anyio `inspect` for a question of one line, pyqwest `secrets` for multipart forms. While libraries
are imported, each such module is represented by a stand-in, which the library keeps; whoever uses
something of it gets it from the real module, which is imported then. What is used at once is in
`light`. Nothing else ever meets a stand-in: after the context, the next import loads the real
module.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar, Union

from octavo.late import light

T = TypeVar("T")

MODULES = {
    "anyio._lazyimport": ("fix_package_names", "set_deprecated_aliases"),
    "anyio.streams.stapled": ("MultiListener",),
    "anyio.streams.tls": ("TLSConnectable", "TLSStream"),
    "array": (),
    "asyncio.sslproto": (),
    "asyncio.staggered": (),
    "dataclasses": ("fields",),
    "datetime": (),
    "inspect": (*("getcoroutinestate", "isasyncgen", "isawaitable", "isgenerator"),),
    "linecache": (),
    "ipaddress": ("IPv4Address", "IPv6Address", "ip_address"),
    "json": ("dumps", "loads"),
    "logging": (),
    "msgspec._json_schema": ("schema", "schema_components"),
    "msgspec.inspect": (),
    "ntpath": (),
    "platform": (),
    "queue": ("Queue",),
    "secrets": (),
    "ssl": (),
    "subprocess": (),
    "textwrap": ("dedent",),
    "traceback": ("extract_stack",),
    "typing_extensions": (),
    "urllib.parse": ("quote_from_bytes",),
}
"""What is loaded late, each with what is imported from it by name. Nothing of it is used while its
importers are imported, but for what is in `light`; something that is would only load it earlier."""


@contextmanager
def loading_late() -> Iterator[None]:
    """Let imports in this context of `MODULES`, where not loaded already, load nothing."""
    stand_ins = [_Module(name, words) for name, words in MODULES.items() if name not in sys.modules]
    sys.modules.update({stand_in.__name__: stand_in for stand_in in stand_ins})
    try:
        yield
    finally:
        for stand_in in stand_ins:
            stand_in.forget()
            _leave(stand_in)


def call_late(load: Callable[[], T]) -> T:
    """Call what imports libraries, late; a second time and plainly where that fails.

    The stand-ins fit the versions that they were tried with. A newer one may want more at once,
    which costs it some milliseconds, and never the run. A fault of another kind comes again.
    """
    try:
        with loading_late():
            return load()
    except Exception:  # noqa: BLE001 - whatever a library makes of a stand-in
        return load()


def import_late(*names: str) -> None:
    """Import modules so; an `import` of them then finds them."""
    call_late(lambda: [__import__(name) for name in names])


class _Module(ModuleType):
    """Has whatever the module of its name has."""

    def __init__(self, name: str, by_name: tuple[str, ...]) -> None:
        super().__init__(name)
        for word in by_name:
            setattr(self, word, _Class(self, word))
        vars(self).update(light.KEPT.get(name, {}))
        self._lent: Mapping[str, object] = light.LENT.get(name, {})
        vars(self).update(self._lent)

    def forget(self) -> None:
        """Have no more of its own than what its importers keep."""
        for word in self._lent:
            vars(self).pop(word, None)

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

    def __or__(self, other: object) -> _Union:
        return _Union(self, other)

    def __ror__(self, other: object) -> _Union:
        return _Union(other, self)


class _Union:
    """Is like the union of types that it names, real or late."""

    def __init__(self, *members: Any) -> None:
        self._members = members

    def _real(self) -> Any:
        union: Any = Union  # a type checker would take what follows for a type
        return union[tuple(_real(member) for member in self._members)]

    def __or__(self, other: object) -> _Union:
        return _Union(*self._members, other)

    def __ror__(self, other: object) -> _Union:
        return _Union(other, *self._members)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real(), name)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._real())

    def __eq__(self, other: object) -> bool:
        return bool(self._real() == _real(other))

    def __hash__(self) -> int:
        return hash(self._real())


def _real(thing: Any) -> Any:
    return thing._real() if isinstance(thing, _Class | _Union) else thing
