"""octavo's own modules, found in its own folder: nobody has to search for them.

Python looks for each module along a path, and asks the disk a dozen things each time; more than
half of what a run imports is octavo's. A module whose compiled file belongs to its source is read
at once. Everything else, one that was changed too, is left to Python.
"""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Sequence
from importlib._bootstrap_external import MAGIC_NUMBER  # `importlib.util` has it, and is slow
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType

_HEADER_BYTES = 16
_BY_TIME = bytes(4)
"""Of the header: the compiled file belongs to a source of that time and size."""


def find_octavo() -> None:
    """Find octavo's modules so from now on, if compiled files are where Python mostly has them."""
    if sys.pycache_prefix is None and not sys.flags.optimize:
        sys.meta_path.insert(0, Finder("octavo"))


class Finder:
    """Finds the modules of one package."""

    def __init__(self, package: str) -> None:
        self._prefix = f"{package}."
        self._listed: dict[str, frozenset[str]] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module is; None where Python shall look for it."""
        del target
        if not name.startswith(self._prefix) or path is None or len(path) != 1:
            return None
        folder, word = path[0], name.rpartition(".")[2]
        names = self._names(folder)
        if word in names and "__init__.py" in self._names(f"{folder}/{word}"):
            folder, word, is_package = f"{folder}/{word}", "__init__", True
        elif f"{word}.py" in names:
            is_package = False
        else:
            return None
        file = f"{folder}/{word}.py"
        spec = ModuleSpec(name, _Loader(name, file), origin=file, is_package=is_package)
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(folder)
        spec.has_location = True
        spec.cached = _compiled(file)
        return spec

    def _names(self, folder: str) -> frozenset[str]:
        found = self._listed.get(folder)
        if found is None:
            try:
                found = frozenset(os.listdir(folder))
            except OSError:
                found = frozenset()
            self._listed[folder] = found
        return found


class _Loader(SourceFileLoader):
    """Loads a module whose compiled file belongs to its source."""

    def get_code(self, fullname: str) -> CodeType | None:
        try:
            source = os.stat(self.path)
            fd = os.open(_compiled(self.path), os.O_RDONLY | os.O_CLOEXEC)
            try:
                data = os.read(fd, os.fstat(fd).st_size)
            finally:
                os.close(fd)
        except OSError:
            return super().get_code(fullname)
        belongs = MAGIC_NUMBER + _BY_TIME + _low(int(source.st_mtime)) + _low(source.st_size)
        if data[:_HEADER_BYTES] != belongs:
            return super().get_code(fullname)
        try:
            code = marshal.loads(memoryview(data)[_HEADER_BYTES:])  # noqa: S302 - Python does that
        except (EOFError, ValueError, TypeError):
            code = None
        return code if isinstance(code, CodeType) else super().get_code(fullname)


def _compiled(file: str) -> str:
    folder, _, name = file.rpartition("/")
    return f"{folder}/__pycache__/{name[:-3]}.{sys.implementation.cache_tag}.pyc"


def _low(number: int) -> bytes:
    return (number & 0xFFFFFFFF).to_bytes(4, "little")
