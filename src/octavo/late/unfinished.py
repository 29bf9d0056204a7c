"""Dataclasses that are finished when there is a first instance.

`dataclasses` writes each method of a class as text and compiles it. anyio declares fifteen such
classes, of which a run uses five.
"""

from __future__ import annotations

import _thread
import sys
from functools import partial
from types import ModuleType
from typing import Any

_unfinished: dict[type, dict[str, Any]] = {}
"""Each class with what its decorator was given."""
_finishing = _thread.RLock()


class Field:
    """What `dataclasses.field` was given for a class that is not finished."""

    def __init__(self, **given: Any) -> None:
        self.given = given


def dataclass(declared: type | None = None, /, **options: Any) -> Any:
    """Do what the decorator of that name does, later if that makes no difference."""
    if declared is None:
        return partial(dataclass, **options)
    if options.get("slots") or not options.get("init", True):
        return _finished(declared, options)

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it is one
        _finish(declared)
        vars(declared)["__init__"](self, *args, **kwargs)

    _unfinished[declared] = options
    setattr(declared, "__init__", __init__)  # noqa: B010 - a type checker forbids the assignment
    return declared


def _finish(declared: type) -> None:
    """Finish a class, after those it is made of."""
    with _finishing:
        for part in reversed(declared.__mro__):
            if part in _unfinished:
                delattr(part, "__init__")
                _finished(part, _unfinished[part])
                del _unfinished[part]


def _finished(declared: type, options: dict[str, Any]) -> Any:
    if type(sys.modules.get("dataclasses")) is not ModuleType:
        from octavo.late import loading_late

        with loading_late():
            from dataclasses import MISSING as MISSING  # what a stand-in has not makes room for it
    import dataclasses

    declared.__doc__ = declared.__doc__ or declared.__name__  # else it is worked out, slowly
    for name, value in list(vars(declared).items()):
        if isinstance(value, Field):
            setattr(declared, name, dataclasses.field(**value.given))
    return dataclasses.dataclass(**options)(declared)
