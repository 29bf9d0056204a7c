"""Packages that a core install leaves out: who needs one is told how to get it."""

from __future__ import annotations

from importlib.util import find_spec

from octavo.protocol.extras import missing


def need(command: str, module: str, package: str, extra: str) -> None:
    """Raises NotInstalled, with how to install it, when there is no `module`."""
    if find_spec(module) is None:
        raise missing(f"`octavo {command}`", package, extra)
