"""Packages that a core install leaves out: who needs one is told how to get it."""

from __future__ import annotations

from importlib.util import find_spec

from octavo.protocol.errors import OctavoError


class NotInstalled(OctavoError):
    """A command needs a package that is not there."""

    code = "not-installed"


def need(command: str, module: str, package: str, extra: str) -> None:
    """Raises NotInstalled, with how to install it, when there is no `module`."""
    if find_spec(module) is None:
        raise NotInstalled(
            f"`octavo {command}` needs the package {package}, which is not installed.",
            hint=f"Install it: pip install 'octavo[{extra}]'",
        )
