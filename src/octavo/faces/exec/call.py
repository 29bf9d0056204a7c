"""Calling the person to the terminal when a turn is over, if their settings say so."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from octavo.config.settings import Tui

TURN_COMPLETE = "agent-turn-complete"
_KNOWS_OSC9 = frozenset(("ghostty", "iTerm.app", "WarpTerminal", "WezTerm"))
"""Values of TERM_PROGRAM. Others would print the words, or do nothing."""


def wants_call(tui: Tui) -> bool:
    """Whether the person wants to be called when a turn is complete."""
    wanted = tui.notifications
    return wanted if isinstance(wanted, bool) else TURN_COMPLETE in wanted


def call_signs(tui: Tui, env: Mapping[str, str]) -> str:
    """Return what makes the terminal call: words of octavo's own, never the model's."""
    method = tui.notification_method
    if method == "auto":
        method = "osc9" if env.get("TERM_PROGRAM") in _KNOWS_OSC9 else "bel"
    return "\x1b]9;octavo: the turn is complete\x07" if method == "osc9" else "\x07"


def call_person(tui: Tui) -> None:
    """Call them, on the terminal that stderr is."""
    if wants_call(tui):
        try:
            sys.stderr.write(call_signs(tui, os.environ))
            sys.stderr.flush()
        except OSError:  # the terminal is closed: nobody is there to be called
            return
