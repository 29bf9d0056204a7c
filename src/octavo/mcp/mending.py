"""What to do about a server that did not start, where its settings let one guess why."""

from __future__ import annotations

import os
import sys

import octavo
from octavo.mcp.spec import Spec

FETCHERS = frozenset("bunx docker npm npx pipx pnpm pnpx uv uvx yarn".split())
"""Programs that fetch a server before they run it."""


def how_to_mend(spec: Spec) -> str:
    """Return sentences to put behind the error, or ""."""
    return _how_to_fetch(spec) + _what_tmp_hides(spec)


def _what_tmp_hides(spec: Spec) -> str:
    """Return what a server cannot see of its own, since its /tmp is not the person's."""
    if spec.policy.tmp != "private" or spec.config.url is not None:
        return ""
    named = (spec.config.command or "", *spec.config.args)
    needed = (*named, sys.executable, os.path.dirname(octavo.__file__))
    work = f"{spec.policy.cwd}/"  # is there, wherever it lies
    hidden = [path for path in needed if path.startswith("/tmp/") and not path.startswith(work)]
    if not hidden:
        return ""
    return f" It has a /tmp of its own, so it does not see {hidden[0]}: move that to another place."


def _how_to_fetch(spec: Spec) -> str:
    """Return what to add where a server could not be fetched because it reaches nobody."""
    program = os.path.basename(spec.config.command or "")
    if program not in FETCHERS or spec.reaches:
        return ""
    return (
        f" {program} fetches the server before it runs it, and it reaches no host: name that of the"
        f" registry in mcp_servers.{spec.name}.network, or install the server and name its program."
    )
