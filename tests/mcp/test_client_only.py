"""A host has the client's half of the official package, and no server's."""

from __future__ import annotations

import subprocess
import sys

LOADED = """
import sys
from octavo.mcp.client_only import without_servers
with without_servers():
    import octavo.mcp.host
    import mcp.client.streamable_http
print(sorted({"starlette", "uvicorn", "mcp.client", "mcp.server.lowlevel"} & set(sys.modules)))
from mcp.server import Server
print(Server.__module__)
"""
WANTS_MORE = """
import sys
from octavo.mcp import client_only
client_only.STOOD_IN["mcp.server"] = ()
sys.stdin.close()
import octavo.rpc.stream
class Done(Exception): pass
def ended(*_, **__): raise Done
octavo.rpc.stream.StreamLink = ended
try:
    client_only.main()
except Done:
    from octavo.mcp.host import Client
    print(Client.__name__)
"""


def printed(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr  # a host's output is its log


def test_nothing_that_serves_is_loaded_and_an_import_afterwards_loads_it() -> None:
    loaded, real = printed(LOADED).splitlines()

    assert loaded == "['mcp.client']"
    assert real.startswith("mcp.server.")


def test_where_the_package_wants_more_than_was_thought_it_is_loaded_whole() -> None:
    assert printed(WANTS_MORE) == "Client\n"
