"""exec_command and write_stdin, from the call to the text the model reads."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from tests.tools.plain_hands import PlainHands, hands_in, until

from octavo.model import Call
from octavo.protocol.events import CallFacts, EditIntent, RunIntent
from octavo.protocol.questions import Answer
from octavo.tools import Extra, Outcome
from octavo.tools.builtin import TOOLS
from octavo.tools.declare import choose
from octavo.tools.redact import redactor
from octavo.tools.toolbox import Toolbox

pytestmark = pytest.mark.anyio

_BOX = Toolbox(choose(TOOLS, freeform=True), redact=redactor([]))


async def call(hands: PlainHands, name: str = "exec_command", /, **arguments: Any) -> Outcome:
    made = Call(hands.call_id, name, msgspec.json.encode(arguments).decode())
    return await _BOX.run(made, hands)


def _text(outcome: Outcome) -> str:
    assert isinstance(outcome.content, str)
    return outcome.content


def output(outcome: Outcome) -> str:
    _, _, text = _text(outcome).partition("Output:\n")
    return text


def session_id(outcome: Outcome) -> int:
    found = re.search(r"Process running with session ID (\d+)", _text(outcome))
    assert found, _text(outcome)
    return int(found[1])


async def read_until(hands: PlainHands, first: Outcome, number: int, end: str) -> str:
    """Poll a session until its output, `first` included, ends so; return it all."""
    text = output(first)
    with anyio.fail_after(20):
        while not text.endswith(end):
            text += output(await call(hands, "write_stdin", session_id=number, yield_time_ms=250))
    return text


async def test_a_command_gives_its_output_and_exit_code(tmp_path: Path) -> None:
    async with hands_in(tmp_path) as hands:
        outcome = await call(hands, cmd="echo out; echo err >&2; exit 3")

    lines = _text(outcome).split("\n")
    assert re.fullmatch(r"Wall time: \d+\.\d{4} seconds", lines[0])
    assert lines[1:] == [
        "Process exited with code 3",
        "Output:",
        "out",
        "err",
        "",
    ]
    assert outcome.ok
    assert outcome.facts is not None
    assert (outcome.facts.exit_code, outcome.facts.running) == (3, False)
    assert hands.began == [RunIntent("echo out; echo err >&2; exit 3", str(tmp_path))]
    assert "".join(hands.shown) == "out\nerr\n"
    assert hands.ends == []
    assert hands.kept == []


async def test_a_command_ended_by_a_signal_says_so(tmp_path: Path) -> None:
    async with hands_in(tmp_path) as hands:
        outcome = await call(hands, cmd="kill -TERM $$")
    assert "Process exited with code 143 (ended by SIGTERM)\n" in _text(outcome)
    assert outcome.facts is not None
    assert outcome.facts.exit_code == 143


async def test_stdin_is_empty_without_a_terminal(tmp_path: Path) -> None:
    async with hands_in(tmp_path) as hands:
        outcome = await call(hands, cmd="cat; echo done")
    assert output(outcome) == "done\n"


async def test_the_environment_is_the_login_shells_with_octavos_own_over_it(tmp_path: Path) -> None:
    login = {"FROM_PROFILE": "yes", "PATH": "/profile/bin", "LANG": "de_DE.UTF-8"}
    async with hands_in(tmp_path, login=login) as hands:
        script = 'echo "$FROM_PROFILE $LANG $PAGER $TERM $NO_COLOR"; echo "$PATH"'
        with_login = await call(hands, cmd=script)
        without = await call(hands, cmd=script, login=False)
    assert output(with_login) == (
        f"yes de_DE.UTF-8 cat dumb 1\n{os.environ['PATH']}:/profile/bin\n"
    )
    assert output(without).startswith(" C.UTF-8 cat dumb 1\n")


async def test_a_long_command_goes_on_and_is_read_later(tmp_path: Path) -> None:
    async with hands_in(tmp_path) as hands:
        started = await call(
            hands, cmd="echo one; while ! [ -e go ]; do sleep 0.02; done; echo two", yield_time_ms=1
        )
        number = session_id(started)
        (tmp_path / "go").touch()
        last = await call(hands, "write_stdin", session_id=number, yield_time_ms=10_000)
        again = await call(hands, "write_stdin", session_id=number)

    assert output(started) == "one\n"
    assert started.facts is not None
    assert (started.facts.running, started.facts.session_id) == (True, number)
    assert "Process exited with code 0\n" in _text(last)
    assert output(last) == "two\n"
    [end] = hands.ends
    assert (end.exit_code, end.session_id, end.running) == (0, number, False)
    assert not again.ok
    assert _text(again) == (
        f"Session {number} has ended (exit code 0) and its output was delivered."
    )


async def test_a_command_that_ended_between_two_looks_keeps_its_last_output(tmp_path: Path) -> None:
    async with hands_in(tmp_path) as hands:
        started = await call(hands, cmd="sleep 0.4; echo late; exit 5", yield_time_ms=250)
        await until(lambda: hands.ends)
        late = await call(hands, "write_stdin", session_id=session_id(started), chars="too late\n")
    assert "Process exited with code 5\n" in _text(late)
    assert "Note: the command had already ended, so nothing was typed.\n" in _text(late)
    assert output(late) == "late\n"


async def test_ctrl_c_interrupts_a_command_without_a_terminal(tmp_path: Path) -> None:
    async with hands_in(tmp_path) as hands:
        script = "trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 0.02; done"
        started = await call(hands, cmd=script, yield_time_ms=1)
        number = session_id(started)
        await read_until(hands, started, number, "ready\n")
        typed = await call(hands, "write_stdin", session_id=number, chars="hello\n")
        ended = await call(
            hands, "write_stdin", session_id=number, chars="\x03", yield_time_ms=5_000
        )
    assert not typed.ok
    assert "run the command again with tty=true" in _text(typed)
    assert "Process exited with code 7\n" in _text(ended)
    assert output(ended).endswith("caught\n")


async def test_a_terminal_takes_what_is_typed_and_ctrl_c_is_a_signal(tmp_path: Path) -> None:
    async with hands_in(tmp_path) as hands:
        script = 'trap "echo stopped; exit 1" INT; read name; echo "hello $name"; stty size; cat'
        number = session_id(await call(hands, cmd=script, tty=True, yield_time_ms=1))
        typed = await call(hands, "write_stdin", session_id=number, chars="Ada\n")
        greeted = await read_until(hands, typed, number, "24 80\n")
        stopped = await call(
            hands, "write_stdin", session_id=number, chars="\x03", yield_time_ms=20_000
        )
    assert greeted == "Ada\nhello Ada\n24 80\n"
    assert output(stopped) == "^Cstopped\n"
    assert hands.began == [RunIntent(script, str(tmp_path), tty=True)]


async def test_a_long_output_shows_both_ends_and_the_file_with_all_of_it(tmp_path: Path) -> None:
    async with hands_in(tmp_path) as hands:
        outcome = await call(hands, cmd="seq 1 100000", max_output_tokens=100)

    [kept] = hands.kept
    assert kept.read_text() == "".join(f"{n}\n" for n in range(1, 100_001))
    assert output(outcome).startswith("1\n2\n3\n")
    assert output(outcome).endswith("99999\n100000\n")
    assert f"; the whole output is in {kept} …]\n" in output(outcome)
    assert "Original token count: 147224\n" in _text(outcome)
    [left_out] = re.findall(r"\[… ([\d,]+) lines", output(outcome))
    shown_lines = output(outcome).count("\n") - 1
    assert int(left_out.replace(",", "")) + shown_lines == 100_000
    assert outcome.facts is not None
    assert outcome.facts.output_path == str(kept)


async def test_a_short_output_that_is_cut_for_this_call_is_kept_too(tmp_path: Path) -> None:
    async with hands_in(tmp_path) as hands:
        outcome = await call(hands, cmd="seq 1 100", max_output_tokens=10)
    [kept] = hands.kept
    assert kept.read_text() == "".join(f"{n}\n" for n in range(1, 101))
    assert f"the whole output is in {kept}" in output(outcome)


async def test_a_full_disk_is_told_and_ends_nothing(tmp_path: Path) -> None:
    async with hands_in(tmp_path) as hands:
        hands.disk_is_full = True
        outcome = await call(hands, cmd="seq 1 100000; exit 4")
    assert "could not be kept: No space left on device" in output(outcome)
    assert "Process exited with code 4\n" in _text(outcome)
    assert output(outcome).endswith("100000\n")


async def test_an_empty_command_and_a_missing_directory_are_explained(tmp_path: Path) -> None:
    async with hands_in(tmp_path) as hands:
        empty = await call(hands, cmd="  \n")
        missing = await call(hands, cmd="ls", workdir="no/such/place")
        (tmp_path / "file").touch()
        file = await call(hands, cmd="ls", workdir="file")
        shell = await call(hands, cmd="ls", shell="python3")
    assert _text(empty) == "cmd is empty, so nothing was run. Give the command to run."
    assert _text(missing) == (
        f"The working directory {tmp_path}/no/such/place does not exist; {tmp_path} does. "
        "Nothing was run."
    )
    assert _text(file) == (
        f"The working directory {tmp_path}/file is not a directory. Nothing was run."
    )
    assert "'python3' is no shell that can be used here" in _text(shell)


async def test_a_patch_in_a_heredoc_is_applied_as_one(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    patch = "*** Begin Patch\n*** Add File: a.txt\n+hello\n*** End Patch\n"
    async with hands_in(tmp_path) as hands:
        outcome = await call(hands, cmd=f"cd sub && apply_patch <<'EOF'\n{patch}EOF\n")
    assert outcome.ok, outcome
    assert (tmp_path / "sub/a.txt").read_text() == "hello\n"
    [began] = hands.began
    assert isinstance(began, EditIntent)


async def test_what_a_command_asks_for_besides_is_handed_on_with_absolute_paths(
    tmp_path: Path,
) -> None:
    (tmp_path / "sub").mkdir()
    asked = {
        "file_system": {"read": ["~/in"], "write": ["out", "/opt"]},
        "network": {"hosts": ["example.com"]},
    }
    async with hands_in(tmp_path) as hands:
        more = {
            "sandbox_permissions": "with_additional_permissions",
            "additional_permissions": asked,
        }
        await call(hands, cmd="true", workdir="sub", prefix_rule=["true"], **more)
        await call(hands, cmd="true", additional_permissions=asked)

    first, second = hands.wanted
    assert first.extra == Extra(
        read=(tmp_path / "in",),
        write=(tmp_path / "sub/out", Path("/opt")),
        hosts=("example.com",),
    )
    assert (first.prefix_rule, second.extra) == (("true",), None)


async def test_hosts_kept_from_a_command_are_told_with_its_output(tmp_path: Path) -> None:
    async with hands_in(tmp_path) as hands:
        hands.blocked_hosts = ["example.com is not allowed."]
        outcome = await call(hands, cmd="echo 'Could not resolve host'; exit 6")

    assert "Note: example.com is not allowed.\n" in _text(outcome)
    assert _text(outcome).count("Note:") == 1
    assert output(outcome) == "Could not resolve host\n"


async def test_leaving_the_sandbox_needs_a_person(tmp_path: Path) -> None:
    escalated = {
        "cmd": "echo hi",
        "sandbox_permissions": "require_escalated",
        "justification": "May I say hi?",
    }
    async with hands_in(tmp_path, answers=[Answer("decline"), Answer("accept")]) as hands:
        declined = await call(hands, **escalated)
        assert (declined.ok, declined.facts, hands.began) == (False, CallFacts(declined=True), [])
        accepted = await call(hands, **escalated)
    assert output(accepted) == "hi\n"
    assert [one.outside for one in hands.wanted] == [True, True]
    assert hands.wanted[0].justification == "May I say hi?"
    assert hands.began == [RunIntent("echo hi", str(tmp_path), outside=True)]


@pytest.mark.parametrize(
    ("complaint", "told"),
    [
        ("touch: cannot touch '/etc/x': Read-only file system", "files may be changed only in"),
        ("cat: /etc/shadow: Permission denied", "stored keys and credentials are hidden, and"),
        ("PermissionError: [Errno 13] Permission denied: '/etc/x'", "files may be changed only in"),
        ("curl: (6) Could not resolve host: example.com", "have no network"),
        (
            "fatal: '/w/.git/index.lock': Read-only file system",
            "sandbox: .git is read-only to commands.",
        ),
        ("touch: setting times of '.envrc': Permission denied", ".envrc is kept read-only."),
        ("/w/.gitignore: Read-only file system", "files may be changed only in"),
        ("No usable temporary directory found in ['/tmp']", "files may be changed only in"),
    ],
)
async def test_a_refusal_of_the_sandbox_is_explained(
    tmp_path: Path, complaint: str, told: str
) -> None:
    async with hands_in(tmp_path) as hands:
        failed = await call(hands, cmd=f'echo "{complaint}"; exit 1')
        fine = await call(hands, cmd=f'echo "{complaint}"')
    assert told in _text(failed)
    # Of git the note comes in any case: its status is lost in a pipe.
    assert ("Note:" in _text(fine)) == ("index.lock" in complaint)


async def test_a_command_that_keeps_asking_a_network_that_is_not_there_is_explained(
    tmp_path: Path,
) -> None:
    complaint = "echo 'Temporary failure in name resolution'; echo '/etc/x: Permission denied'"
    async with hands_in(tmp_path) as hands:
        running = await call(hands, cmd=f"{complaint}; sleep 100", yield_time_ms=2000)
    assert "Process running" in _text(running)
    assert _text(running).count("Note:") == 1
    assert "Note: commands in the sandbox have no network." in _text(running)


async def test_a_script_that_takes_the_patch_tool_for_a_program_is_told(tmp_path: Path) -> None:
    async with hands_in(tmp_path) as hands:
        outcome = await call(hands, cmd="apply_patch <<'EOF'\nEOF\necho on")
    assert output(outcome).endswith("on\n")
    assert "Note: nothing was patched: apply_patch is a tool, not a program." in _text(outcome)


async def test_an_ordinary_refusal_is_not_blamed_on_the_sandbox(tmp_path: Path) -> None:
    async with hands_in(tmp_path, network=True) as hands:
        local = await call(hands, cmd=f"echo 'bash: {tmp_path}/run.sh: Permission denied'; exit 1")
        network = await call(hands, cmd="echo 'Could not resolve host: nowhere'; exit 6")
    assert "Note:" not in _text(local) + _text(network)


async def test_an_unknown_session_names_those_there_are(tmp_path: Path) -> None:
    async with hands_in(tmp_path) as hands:
        none = await call(hands, "write_stdin", session_id=1)
        started = await call(hands, cmd="sleep 100", yield_time_ms=1)
        other = await call(hands, "write_stdin", session_id="12")
    assert _text(none) == "There is no session 1. No command is running."
    assert _text(other) == (f"There is no session 12. Sessions: {session_id(started)} (sleep 100).")


async def test_an_interrupt_kills_what_the_turn_started_and_nothing_else(tmp_path: Path) -> None:
    async with hands_in(tmp_path) as hands:
        kept = await call(hands, cmd="sleep 100", yield_time_ms=1)
        hands.call_id = "call_2"
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: call(hands, cmd="echo $$ > pid; sleep 100"))
            await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
            group.cancel_scope.cancel()
        await hands.sessions.kill_calls(["call_2"])
        assert not _lives(int((tmp_path / "pid").read_text()))
        hands.call_id = "call_3"
        still = await call(hands, "write_stdin", session_id=session_id(kept), yield_time_ms=250)
    assert "Process running with session ID" in _text(still)
    [end] = hands.ends
    assert end.exit_code == 137


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_the_end_of_a_thread_kills_its_commands_also_when_it_is_cancelled(
    tmp_path: Path,
) -> None:
    async def thread() -> None:
        async with hands_in(tmp_path) as hands:
            await call(hands, cmd="echo $$ > pid; sleep 100", yield_time_ms=250)
            (tmp_path / "running").touch()
            await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        group.start_soon(thread)
        await until((tmp_path / "running").exists)
        assert _lives(int((tmp_path / "pid").read_text()))
        group.cancel_scope.cancel()
    assert not _lives(int((tmp_path / "pid").read_text()))


async def test_an_error_in_the_thread_comes_out_of_it_as_it_is(tmp_path: Path) -> None:
    async def thread() -> None:
        async with hands_in(tmp_path) as hands:
            await call(hands, cmd="sleep 100", yield_time_ms=1)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await thread()


async def test_more_commands_than_the_limit_are_refused_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("octavo.tools.sessions.LIVE_LIMIT", 2)
    async with hands_in(tmp_path) as hands:
        started = await call(hands, cmd="sleep 100", yield_time_ms=1)
        await call(hands, cmd="sleep 101", yield_time_ms=1)
        refused = await call(hands, cmd="echo hi")
        await call(
            hands,
            "write_stdin",
            session_id=session_id(started),
            chars="\x03",
            yield_time_ms=5_000,
        )
        allowed = await call(hands, cmd="echo hi")
    assert not refused.ok
    assert f"{session_id(started)}: sleep 100; " in _text(refused)
    assert output(allowed) == "hi\n"
