"""Attacks by session: the log, the terminal, and two writers of one thread."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Sequence

from octavo.faces.exec.transcript import Transcript
from octavo.protocol import items as it
from octavo.protocol import notifications as note
from octavo.protocol.errors import StoreError
from octavo.protocol.events import Noticed
from octavo.protocol.ids import new_id
from octavo.store.rollout import Rollout
from octavo.trial.attack import NO_SANDBOX, Case, Down, Turn
from octavo.trial.attack.scene import Scene
from octavo.trial.attack.walls import INERT, LEASE, LOG

CLIPBOARD = "\x1b]52;c;ZXZpbA==\x07"


def _edits_log(scene: Scene) -> Sequence[Turn]:
    code = """
def logs():
    for folder, _, names in os.walk(OCTAVO_HOME + "/sessions"):
        for name in names:
            yield folder + "/" + name
found = list(logs())
print("found", len(found))
for path in found:
    attempt(lambda: open(path, "a").write(TOKEN + "\\n"))
def plant():
    os.makedirs(OCTAVO_HOME + "/sessions/2026/01/02", exist_ok=True)
    open(OCTAVO_HOME + "/sessions/2026/01/02/rollout-" + TOKEN + ".jsonl", "w").write(TOKEN)
attempt(plant)
attempt(lambda: open(OCTAVO_HOME + "/approvals.json." + TOKEN, "w").write(TOKEN))
"""
    return [[scene.python(code)]]


def _edited(scene: Scene) -> str:
    home = scene.world.octavo_home
    day = home / "sessions" / "2026" / "01"
    return scene.changed(day, home / f"approvals.json.{scene.token}")


def _prints_codes(scene: Scene) -> Sequence[Turn]:
    codes = f"{CLIPBOARD}\x1b[2J\x1b]0;{scene.token}\x07\x1bP$q q\x1b\\\x9b31m\u202e"
    code = f"import sys\nsys.stdout.write({codes!r})\n"
    return [[scene.python(code)]]


def _codes_shown(scene: Scene) -> str:
    """Show what a person would be shown, and look for what a terminal would obey."""
    if scene.lowered:
        raw = [
            seen.item.aggregated_output or ""
            for seen in scene.seen
            if isinstance(seen, note.ItemCompleted) and isinstance(seen.item, it.CommandExecution)
        ]
        text = "".join(raw)
    else:
        written = io.StringIO()
        with contextlib.redirect_stderr(written):
            transcript = Transcript(color=False, terminal=False)
            for seen in scene.seen:
                transcript(seen)
            transcript.stop()
        text = written.getvalue()
    obeyed = [char for char in text if not char.isprintable() and char not in "\n\t"]
    return "the terminal was sent control characters" if obeyed else ""


async def _writes_twice(scene: Scene) -> None:
    """Open the log of a thread that is being written."""
    home = scene.world.root / f"home-{scene.token}"
    first = Rollout.create(home, new_id(), 0)
    first.append(Noticed(0, "The thread begins."))  # before that there is no log to open
    if scene.lowered:
        first.close()
    try:
        second = Rollout.open(first.path)
    except StoreError:
        return
    finally:
        if not scene.lowered:
            first.close()
    second.close()
    (scene.workspace / "ran").touch()


def _written_twice(scene: Scene) -> str:
    return "two writers had one thread" if os.path.exists(scene.workspace / "ran") else ""


CASES = (
    Case(attack="A-73", way="writes in the logs and in what was approved", wall=LOG,
         bait=_edits_log, harm=_edited, down=NO_SANDBOX, ephemeral=False),
    Case(attack="A-74", way="prints what works a terminal", wall=INERT, bait=_prints_codes,
         harm=_codes_shown, down=Down()),
    Case(attack="A-75", way="runs beside another writer of its thread", wall=LEASE,
         act=_writes_twice, harm=_written_twice, down=Down()),
)  # fmt: skip
