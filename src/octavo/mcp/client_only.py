"""Starts a server's host with the client's half of the official package alone.

The package imports its servers' half as well, with what serves HTTP, to let a client speak with a
server in the same process. A host never does that, and each of many would pay a quarter of its
memory for it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

STOOD_IN = {
    "mcp.server": ("Server",),
    "mcp.server.mcpserver": ("MCPServer",),
    "mcp.server.runner": ("modern_on_request",),
    "mcp.server.session": ("ServerSession",),
    "mcp.server.stdio": ("stdio_server",),
}
"""What is imported from the servers' half by the client's, all there is of it."""


def main() -> None:
    """Be a host."""
    try:
        with without_servers():
            from octavo.mcp.host import main as host
    except (ImportError, AttributeError, TypeError):  # another version, which wants more of it
        for name in [name for name in sys.modules if name.partition(".")[0] == "mcp"]:
            del sys.modules[name]
        from octavo.mcp.host import main as host
    host()


@contextmanager
def without_servers() -> Iterator[None]:
    """Let imports in this context load nothing of the servers' half.

    In its place are classes that nothing is an instance of. After the context, an import of it
    loads it.
    """
    for name, words in STOOD_IN.items():
        module = ModuleType(name)
        vars(module).update({word: type(word, (), {}) for word in words})
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in STOOD_IN:
            sys.modules.pop(name, None)
