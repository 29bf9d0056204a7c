"""A library that was given a stand-in for a module has all of that module."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

IMPORTS = """
import sys
before = set(sys.modules)
from octavo.late import MODULES, loading_late
with loading_late():
    import anyio, anyio._backends._asyncio, asyncio, msgspec, pyqwest
"""


def run(code: str) -> str:
    """Run `code` after the libraries have been imported; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS + code], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_libraries_load_none_of_them_and_no_stand_in_is_left() -> None:
    assert (
        run("print(sorted({*MODULES, '_ssl', 'base64', 'random'} & set(sys.modules) - before))")
        == "[]"
    )


def test_what_is_used_at_once_is_as_in_the_real_module() -> None:
    assert (
        run("""
from importlib import import_module
from octavo.late import light
for name, words in light.KEPT.items():
    real = import_module(name)
    for word, value in words.items():
        assert hasattr(real, word), (name, word)
        if not callable(value):
            assert value == getattr(real, word), (name, word)
import functools, inspect, platform
kept = light.KEPT["inspect"]
class Methods:
    async def later(self): ...
    def now(self): ...
@functools.wraps(Methods.later)
def wrapper(): ...
things = [Methods.later, Methods().later, Methods().now, wrapper, len,
          functools.partial(Methods.later),
          Methods, Methods().later().__await__, 3]
for thing in things:
    for word in ("iscoroutine", "iscoroutinefunction", "isfunction", "unwrap"):
        assert kept[word](thing) == getattr(inspect, word)(thing), (word, thing)
coroutine = Methods().later()
assert kept["iscoroutine"](coroutine)
coroutine.close()
import datetime
assert all(getattr(datetime, word) is value for word, value in light.KEPT["datetime"].items())
assert set(datetime.__all__) <= set(light.KEPT["datetime"])
assert light.LENT["platform"]["system"]() == platform.system()
print("as it is")
""")
        == "as it is"
    )


def test_a_fault_while_libraries_are_loaded_is_logged() -> None:
    done = subprocess.run(
        [sys.executable, "-c", """
from octavo.late import loading_late
with loading_late():
    import logging
    logging.getLogger("library").debug("nothing")
    logging.getLogger("library").error("a fault")
    import logging
print(logging.__file__ is not None)
"""], capture_output=True, text=True, timeout=60)  # fmt: skip

    assert (done.stdout, done.stderr) == ("True\n", "a fault\n")


def test_faults_of_the_libraries_are_logged() -> None:
    assert (
        run("""
import asyncio.log, concurrent.futures._base as futures
asyncio.log.logger.debug("nobody wants this")
assert not asyncio.log.logger.isEnabledFor(10) and asyncio.log.logger.isEnabledFor(30)
assert "logging" not in sys.modules
asyncio.log.logger.error("a fault")
import logging
assert type(asyncio.log.logger.handlers) is list
assert futures.LOGGER.manager is logging.root.manager
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="%(name)s %(message)s")
asyncio.log.logger.debug("and wanted now")
""")
        == "asyncio and wanted now"
    )


def test_a_dataclass_is_finished_with_its_first_instance() -> None:
    assert run("""
with loading_late():
    from dataclasses import dataclass, field
    @dataclass(eq=False)
    class Base:
        first: int
        many: list = field(default_factory=list)
    @dataclass(frozen=True)
    class Frozen:
        x: int
        y: str = "y"
    @dataclass
    class Derived(Base):
        last: int = 3
        def __post_init__(self): self.first += 1
assert "dataclasses" not in sys.modules
made = Derived(1)
assert "inspect" not in sys.modules
print(made, Base(1).many is not Base(1).many, Base(1) != Base(1), Derived(1) == made)
print(Frozen(1), Frozen(1) == Frozen(1), len({Frozen(1), Frozen(1)}), Frozen.__match_args__)
try: Frozen(1).x = 2
except AttributeError as error: print(type(error).__name__)
try: Frozen()
except TypeError as error: print(error)
from dataclasses import fields, replace
print([one.name for one in fields(Derived)], replace(Frozen(1), x=5))
""").splitlines() == [
        "Derived(first=2, many=[], last=3) True True True",
        "Frozen(x=1, y='y') True 1 ('x', 'y')",
        "FrozenInstanceError",
        "Frozen.__init__() missing 1 required positional argument: 'x'",
        "['first', 'many', 'last'] Frozen(x=5, y='y')",
    ]


@pytest.mark.parametrize("package", ["anyio", "anyio.abc"])
def test_anyio_has_all_its_names(package: str) -> None:
    assert (
        run(f"""
from importlib import import_module
from octavo.late.light import lazy_names
package = import_module("{package}")
assert "inspect" not in sys.modules
with open(package.__file__) as file:
    mine = lazy_names(file.read())
from anyio._lazyimport import _build_lazy_map
names, old, modules = _build_lazy_map(package)
assert mine == names | {{name: ("." + name, name) for name in modules}}
assert dir(package) == sorted(mine)
for name in mine:
    getattr(package, name)
import warnings
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    for name in old:
        getattr(package, name)
assert len(warned) == len(old) > 0
try:
    package.nothing
except AttributeError as error:
    print(error)
""")
        == f"module '{package}' has no attribute 'nothing'"
    )


def test_a_later_import_gets_the_real_module() -> None:
    assert run("import ssl; print(ssl.SSLContext)") == "<class 'ssl.SSLContext'>"


def test_a_class_imported_by_name_is_as_good_as_the_real_one() -> None:
    assert (
        run("""
import anyio._core._sockets
late = anyio._core._sockets.TLSConnectable
class Inner:
    async def connect(self): ...
made = late(Inner(), hostname="example.org")
from anyio.streams.tls import TLSConnectable as real
class Mine(late): pass
print(type(made) is real, isinstance(made, late), isinstance(3, late), issubclass(real, late),
      Mine.__mro__[1] is real, late | None == real | None == None | late,
      late.connect is real.connect)
""")
        == "True True False True True True True"
    )


def test_tls_works_in_anyio_and_in_asyncio() -> None:
    assert run("""
async def talk():
    import ssl
    client = ssl.create_default_context()
    async def fails(how):
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with anyio.create_task_group() as group:
            group.start_soon(listener.serve, lambda stream: stream.send(b"this is not TLS"))
            try:
                await how(port)
            except ssl.SSLError as error:
                print(type(error).__name__)
            group.cancel_scope.cancel()
    await fails(lambda port: anyio.connect_tcp("127.0.0.1", port, ssl_context=client,
                                               tls_hostname="localhost"))
    await fails(lambda port: asyncio.open_connection("127.0.0.1", port, ssl=client))
anyio.run(talk)
""").split() == ["SSLError", "SSLError"]


def test_schemas_and_forms_work() -> None:
    assert (
        run("""
import typing
class Point(msgspec.Struct):
    '''A point.'''
    x: int
print(msgspec.json.schema(Point)["$defs"]["Point"]["description"],
      msgspec.inspect.type_info(int),
      len(pyqwest.Request("POST", "http://x/", content=pyqwest.Multipart({"a": "b"}))
          .headers["content-type"]) > 40)
""")
        == "A point. IntType(gt=None, ge=None, lt=None, le=None, multiple_of=None) True"
    )


def test_paths_have_urls_and_types_have_schemas() -> None:
    assert (
        run("""
import pathlib
print(pathlib.Path("/a b").as_uri(), pathlib.PureWindowsPath("c:/x").as_uri(),
      msgspec.json.schema(int), msgspec.json.schema_components([int])[0][0])
""")
        == "file:///a%20b file:///c:/x {'type': 'integer'} {'type': 'integer'}"
    )


def test_a_library_for_which_a_stand_in_is_not_enough_is_imported_all_the_same(
    tmp_path: Path,
) -> None:
    (tmp_path / "newer.py").write_text(
        "import logging\nassert type(logging).__name__ == 'module', 'a stand-in'\nFOUND = 1\n"
    )
    code = f"""
sys.path.insert(0, {str(tmp_path)!r})
from octavo.late import import_late
import_late("newer")
import newer
print(newer.FOUND, type(sys.modules["logging"]).__name__)
"""
    assert run(code) == "1 module"


def test_a_fault_that_is_not_of_a_stand_in_comes_out_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    code = f"""
sys.path.insert(0, {str(tmp_path)!r})
from octavo.late import import_late
try:
    import_late("broken")
except ZeroDivisionError as error:
    print(error)
"""
    assert run(code) == "division by zero"
