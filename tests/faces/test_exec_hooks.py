"""What `octavo exec` shows of hooks, and how it calls the person."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from octavo.config.settings import Tui
from octavo.faces.exec.call import call_signs, wants_call
from octavo.trial import scripted
from octavo.trial.scripted import call, say
from tests.faces.running import OCTAVO, Place, place, trial_provider
from tests.scenarios.hooking import alive
from tests.tiers import machine_has

__all__ = ["place"]

pytestmark = pytest.mark.anyio


def hooks(place: Place, event: str, command: str) -> None:
    place.home.mkdir(exist_ok=True)
    text = json.dumps({"hooks": {event: [{"hooks": [{"command": command}]}]}})
    (place.home / "hooks.json").write_text(text)


async def test_a_hook_that_fails_is_shown_and_the_run_is_good(place: Place) -> None:
    hooks(place, "PreToolUse", "exit 7")
    done = await place.exec([call("exec_command", cmd="true", login=False), say("Done.")], "go")

    assert (done.status, done.out) == (0, "Done.\n")
    assert f"! hook PreToolUse failed: It ended with 7. ({place.home}/hooks.json" in done.err


async def test_events_tell_of_hooks_in_words_that_clients_know(place: Place) -> None:
    hooks(place, "PreToolUse", "echo 'Not now.' >&2; exit 2")
    script = [call("exec_command", cmd="true", login=False), say("Done.")]
    done = await place.exec(script, "--json", "go")

    assert done.status == 0
    messages = [item["message"] for item in done.items("error")]
    assert "The hook PreToolUse (blocked): Not now." in messages


async def test_a_prompt_that_is_refused_fails_the_run(place: Place) -> None:
    hooks(place, "UserPromptSubmit", "echo 'Not now.' >&2; exit 2")
    done = await place.exec([say("Done.")], "go")

    assert done.status == 1
    assert "A hook refused the prompt: Not now." in done.err
    assert done.requests == []


async def test_hooks_that_are_not_trusted_are_said(place: Place) -> None:
    file = place.work / ".octavo" / "hooks.json"
    file.parent.mkdir()
    file.write_text('{"hooks": {"SessionStart": [{"hooks": [{"command": "touch ran"}]}]}}')
    done = await place.exec([say("Done.")], "go")

    assert done.status == 0
    assert f"! The hooks in {file} do not run: its directory is not trusted." in done.err
    assert not (place.work / "ran").exists()


async def test_a_run_without_the_persons_settings_is_without_their_hooks(place: Place) -> None:
    hooks(place, "SessionStart", "touch ran")
    done = await place.exec([say("Done.")], "--ignore-user-config", "go")

    assert done.status == 0
    assert not (place.work / "ran").exists()


async def test_trust_on_the_command_line_agrees_to_hooks_as_they_are(place: Place) -> None:
    file = place.work / ".octavo" / "hooks.json"
    file.parent.mkdir()
    file.write_text('{"hooks": {"SessionStart": [{"hooks": [{"command": "touch ran"}]}]}}')
    done = await place.exec([say("Done.")], "--trust", "go")

    assert done.status == 0
    assert "Agreed to: .octavo/hooks.json" in done.err
    assert (place.work / "ran").exists()


async def _on_a_terminal(place: Place, *words: str) -> bytes:
    """What a run writes to the terminal that is its stderr."""
    async with scripted.serve([say("Done.")]) as model:
        ours, theirs = pty.openpty()
        argv = [*OCTAVO, "exec", *words, *trial_provider(model.base_url)]
        process = await anyio.run_process(
            argv, cwd=place.work, env=place.env, stderr=theirs, stdin=subprocess.DEVNULL
        )
        os.close(theirs)
        assert process.returncode == 0
        seen = b""
        while True:
            try:
                seen += os.read(ours, 65536)
            except OSError:
                break
        os.close(ours)
        return seen


async def test_the_terminal_calls_when_the_settings_say_so(place: Place) -> None:
    assert b"\x07" not in await _on_a_terminal(place, "go")
    place.settings("[tui]\nnotifications = true\n")
    assert (await _on_a_terminal(place, "go")).endswith(b"\x07")
    place.settings('[tui]\nnotifications = ["agent-turn-complete"]\nnotification_method = "osc9"\n')
    assert b"\x1b]9;octavo: the turn is complete\x07" in await _on_a_terminal(place, "go")


@pytest.mark.parametrize(
    ("notifications", "wanted"),
    [(False, False), (True, True), (("agent-turn-complete",), True), (("other",), False)],
)
def test_a_person_says_what_they_are_called_for(
    notifications: bool | tuple[str, ...], wanted: bool
) -> None:
    assert wants_call(Tui(notifications=notifications)) is wanted


def test_terminals_that_do_not_know_words_get_the_bell() -> None:
    assert call_signs(Tui(), {"TERM_PROGRAM": "ghostty"}).startswith("\x1b]9;")
    assert call_signs(Tui(), {}) == "\x07"


@pytest.mark.parametrize(
    ("host", "tier"), [("container", "landlock"), ("apparmor", "bubblewrap"), ("bare", "none")]
)
async def test_hooks_run_in_every_sandbox_and_never_without_one(
    place: Place, host: str, tier: str
) -> None:
    if tier != "none" and not machine_has(tier):
        pytest.skip(f"no {tier} here")
    mark = f"left-{os.urandom(6).hex()}"
    made = place.root / "made"
    hooks(
        place,
        "PreToolUse",
        f"(exec -a {mark} sleep 1000) & touch {made} 2>/dev/null; touch inside; "
        "echo 'Not now.' >&2; exit 2",
    )
    script = [call("exec_command", cmd="echo it ran", login=False), say("Done.")]
    restricted = Path(__file__).parents[1] / "sandbox" / "restricted_host.py"
    done = await place.exec(script, "go", before=(sys.executable, str(restricted), host))

    assert not made.exists()
    assert "it ran\n" not in done.outputs()[-1]
    if tier == "none":
        assert "hook PreToolUse failed: It could not be started" in done.err
        assert not (place.work / "inside").exists()
    else:
        assert "  Command blocked by PreToolUse hook: Not now." in done.err, done.err
        assert (place.work / "inside").exists()
    assert not alive(mark)
