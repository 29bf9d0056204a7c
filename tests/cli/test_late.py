"""A library that was given a stand-in for a module has all of that module."""

from __future__ import annotations

import subprocess
import sys

IMPORTS = """
import sys
from octavo.cli.late import MODULES, loading_late
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
    assert run("print(sorted({*MODULES, '_ssl', 'base64', 'random'} & set(sys.modules)))") == "[]"


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
