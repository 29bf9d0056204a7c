"""Packages that a core install leaves out: how a person gets them into the octavo that runs."""

from __future__ import annotations

from octavo.protocol.errors import OctavoError


class NotInstalled(OctavoError):
    """Something needs a package that is not there."""

    code = "not-installed"


def missing(what: str, package: str, extra: str) -> NotInstalled:
    """Return the error that says so: `what` needs `package`, which is in octavo's `extra`."""
    return NotInstalled(
        f"{what} needs the package {package}, which is not installed.",
        hint=f"Install it: {install_command(extra)}",
    )


def install_command(extra: str) -> str:
    """Return the command that installs octavo's `extra` for the Python that runs octavo now.

    A bare `pip` may be that of another Python, which octavo would not see anything of.
    """
    import shlex
    import sys

    return f"{shlex.quote(sys.executable)} -m pip install 'octavo[{extra}]'"
