"""Nothing that a model, a file name or a command writes can work a person's terminal."""

from __future__ import annotations

import os
import pty
import re
import threading

import pytest

from octavo.trial.scripted import Script, call, say
from tests.faces.running import Place, place

__all__ = ["place"]

pytestmark = pytest.mark.anyio

CLIPBOARD = "\x1b]52;c;ZXZpbA==\x07"
EVIL = f"{CLIPBOARD}\x9b31m\x1b[2J\x1b]0;title\x07\u202e\u2066\x08\x7f"
OURS = rb"\x1b\[[0-9]*m|\r[^\r\n]{0,60}\x1b\[K|\r\x1b\[K|\r\n"
"""What octavo itself writes to a terminal: colours, and the spinner on its own line."""

SCRIPT: Script = [
    [call("exec_command", cmd=f"printf '%s\\n' '{EVIL}'; touch $'a{EVIL}'; ls -b; false")],
    [call("apply_patch", input=f"*** Begin Patch\n*** Add File: b{EVIL}\n+x{EVIL}\n*** End Patch")],
    [call("update_plan", plan=[{"step": f"plan {EVIL}", "status": "pending"}])],
    [call(f"tool{EVIL}", a=EVIL)],
    [call("exec_command", cmd="true", workdir=f"/no{EVIL}")],
    [say(f"on the way {EVIL}"), call("exec_command", cmd="true")],
    [say(f"the end {EVIL}")],
]


async def test_a_terminal_shows_every_control_character_and_obeys_none(place: Place) -> None:
    ours, theirs = pty.openpty()
    seen: list[bytes] = []

    def read() -> None:
        try:
            while data := os.read(ours, 65536):
                seen.append(data)
        except OSError:  # the last process has closed it
            return

    reader = threading.Thread(target=read)
    reader.start()
    async with place.running(SCRIPT, "hi", stdout=theirs, stderr=theirs) as run:
        status = await run.process.wait()
    os.close(theirs)
    reader.join()
    os.close(ours)
    text = re.sub(OURS, b"", b"".join(seen)).decode()

    assert status == 0
    assert "the end ⟨U+001B⟩]52;" in text
    assert sorted({c for c in text if not c.isprintable()} - {"\n", "\t"}) == []


async def test_lines_for_programs_have_no_control_characters(place: Place) -> None:
    done = await place.exec(SCRIPT, "--json", "hi")

    assert done.status == 0
    assert re.findall(r"[\x00-\x09\x0b-\x1f]", done.out) == []
    assert CLIPBOARD in done.items("agent_message")[-1]["text"]


async def test_a_message_for_a_file_or_a_pipe_is_verbatim(place: Place) -> None:
    done = await place.exec([say(f"the end {EVIL}")], "hi")

    assert done.out == f"the end {EVIL}\n"
