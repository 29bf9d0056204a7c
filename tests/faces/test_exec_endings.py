"""However a run ends, it says so once, closes what it opened and leaves nothing running."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from octavo.trial.scripted import answer, call, fail, refuse, say, stall, think
from tests.faces.running import Done, Place

pytestmark = pytest.mark.anyio

FOR_EVER = "(while sleep 0.05; do echo x >> alive; done) & echo begun; wait"


def unclosed(done: Done) -> list[str]:
    """The items that were started and not completed."""
    ids = {kind: [] for kind in ("item.started", "item.completed")}  # type: dict[str, list[str]]
    for event in done.events:
        if event["type"] in ids:
            ids[event["type"]].append(event["item"]["id"])
    assert len(ids["item.completed"]) == len(set(ids["item.completed"]))
    return sorted(set(ids["item.started"]) - set(ids["item.completed"]))


def below(root: Path) -> list[str]:
    """The processes that work below `root`."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and (process / "cwd").readlink().is_relative_to(root):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # gone, or not ours to look at
    return found


async def test_only_the_final_message_is_on_stdout(place: Place) -> None:
    script = [
        answer(think("Hm."), say("First I look."), call("exec_command", cmd="echo seen")),
        answer(say("Final words.")),
    ]
    done = await place.exec(script, "hi")

    assert (done.status, done.out) == (0, "Final words.\n")
    assert "Final words." not in done.err
    shown = [done.err.index(text) for text in ("Hm.", "First I look.", "$ echo seen", "  seen")]
    assert shown == sorted(shown)
    assert "\x1b" not in done.err


async def test_the_message_of_a_turn_that_failed_is_shown_and_is_no_answer(place: Place) -> None:
    script = [answer(say("I try."), call("exec_command", cmd="true")), refuse(400, "Enough.")]
    done = await place.exec(script, "hi", "-o", "answer")

    assert (done.status, done.out) == (1, "")
    assert "I try." in done.err
    assert "octavo: the turn failed: " in done.err
    assert (place.work / "answer").read_bytes() == b""


async def test_o_writes_the_last_message_as_it_is(place: Place) -> None:
    (place.work / "answer").write_text("of an earlier run, and longer")
    script = [answer(say("First."), call("exec_command", cmd="true")), say("Last ü.")]
    done = await place.exec(script, "hi", "-o", "answer", "--json")

    assert done.status == 0
    assert (place.work / "answer").read_text() == "Last ü."


async def test_two_commands_at_once_are_shown_one_after_the_other(place: Place) -> None:
    first = "echo a1; while [ ! -e go ]; do sleep 0.01; done; echo a2"
    script = [
        answer(call("exec_command", cmd=first), call("exec_command", cmd="echo b; touch go")),
        say("x"),
    ]
    done = await place.exec(script, "hi")

    shown = re.sub(r" in [\d.]+ s", "", done.err)
    assert f"$ {first}\n  a1\n  a2\n  ok\n$ echo b; touch go\n  b\n  ok\n" in shown


async def test_a_command_in_the_background_is_named_again_when_it_ends(place: Place) -> None:
    waits = "echo a; while [ ! -e go ]; do sleep 0.01; done; exit 7"
    patch = "*** Begin Patch\n*** Add File: go\n+x\n*** End Patch\n"
    script = [
        call("exec_command", cmd=waits, yield_time_ms=250),
        call("apply_patch", input=patch),
        call("exec_command", cmd="sleep 0.2; echo c"),
        say("x"),
    ]
    done = await place.exec(script, "hi")

    shown = re.sub(r" in [\d.]+ s", "", done.err)
    assert f"$ {waits}\n  a\nadded go\n" in shown
    assert f"$ {waits}  (from before)\n  exit code 7\n" in shown


async def test_both_ends_of_a_long_output_are_shown(place: Place) -> None:
    done = await place.exec([call("exec_command", cmd="seq 1 1000"), say("x")], "hi")

    assert "\n  1\n  2\n" in done.err
    assert "… 980 more lines …" in done.err
    assert "\n  999\n  1000\n" in done.err


async def test_what_a_command_prints_cannot_move_the_cursor(place: Place) -> None:
    script = [call("exec_command", cmd=r"printf 'a\033[2Jb\rc\007\n'"), say("x\x1b[2J")]
    done = await place.exec(script, "hi\x1b")

    assert "\x1b" not in done.err
    assert "\r" not in done.err


async def test_a_change_of_files_carries_its_diff(place: Place) -> None:
    (place.work / "a.txt").write_text("one\ntwo\n")
    patch = "*** Begin Patch\n*** Update File: a.txt\n@@\n one\n-two\n+three\n*** End Patch\n"
    script = [call("apply_patch", input=patch), say("x")]
    done = await place.exec(script, "hi", "--json")

    [change] = done.items("file_change")
    [file] = change["changes"]
    assert (file["path"], file["kind"]) == (str(place.work / "a.txt"), "update")
    assert "-two\n+three\n" in file["diff"]
    assert unclosed(done) == []


async def test_a_command_in_the_background_is_ended_and_closed(place: Place) -> None:
    script = [call("exec_command", cmd=FOR_EVER, yield_time_ms=250), say("Done.")]
    done = await place.exec(script, "hi", "--json")

    assert (done.status, done.kinds()[-1]) == (0, "turn.completed")
    assert unclosed(done) == []
    [command] = done.items("command_execution")
    assert command["status"] == "failed"
    assert "begun" in command["aggregated_output"]
    assert below(place.work) == []


async def test_a_failed_turn_closes_what_it_opened(place: Place) -> None:
    script = [call("exec_command", cmd=FOR_EVER, yield_time_ms=250), fail("invalid_prompt", "No.")]
    done = await place.exec(script, "hi", "--json")

    assert (done.status, done.kinds()[-1]) == (1, "turn.failed")
    assert "No." in done.events[-1]["error"]["message"]
    assert unclosed(done) == []
    assert below(place.work) == []


@pytest.mark.parametrize("json", [True, False], ids=["json", "text"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_the_turn_and_says_so(
    number: signal.Signals, json: bool, place: Place
) -> None:
    script = [call("exec_command", cmd=FOR_EVER), say("unreached")]
    words = ["--json"] if json else []
    async with place.running(script, "hi", *words) as run:
        with anyio.fail_after(30):
            while not (place.work / "alive").exists():
                await anyio.sleep(0.01)
        run.signal(number)
        done = await run.ended()

    assert done.status == 128 + number
    assert below(place.work) == []
    if json:
        assert done.kinds()[-1] == "turn.failed"
        assert done.kinds().count("turn.failed") == 1
        assert unclosed(done) == []
        assert "interrupted" in done.events[-1]["error"]["message"]
    else:
        assert done.out == ""
        assert "octavo: interrupted\n" in done.err


async def test_a_signal_while_the_model_is_silent_closes_the_request(place: Place) -> None:
    async with place.running([stall(say("x"), after=2)], "hi", "--json") as run:
        request = await run.model.request(1)
        run.signal(signal.SIGTERM)
        done = await run.ended()

    assert (done.status, done.kinds()[-1]) == (143, "turn.failed")
    assert request.closed_at is not None


async def test_whenever_a_signal_comes_there_is_one_end_and_nothing_is_left_open(
    place: Place, sample: Callable[[int, int], int]
) -> None:
    script = [*[call("exec_command", cmd="sleep 0.05; echo x")] * 3, say("Done.")]
    chance = random.Random(0)
    for _ in range(sample(200, 4)):
        number = chance.choice([signal.SIGINT, signal.SIGTERM])
        async with place.running(script, "hi", "--json") as run:
            begun = await run.line("thread.started")
            await anyio.sleep(chance.uniform(0, 0.8))
            run.signal(number)
            done = await run.ended()
        done.out = begun + done.out

        end = done.kinds()[-1]
        assert (done.status, end) in ((0, "turn.completed"), (128 + number, "turn.failed"))
        assert sum(kind in ("turn.completed", "turn.failed") for kind in done.kinds()) == 1
        assert unclosed(done) == []
        assert below(place.work) == []


async def test_a_second_signal_does_not_wait(place: Place) -> None:
    script = [call("exec_command", cmd=FOR_EVER), say("unreached")]
    async with place.running(script, "hi", "--json") as run:
        with anyio.fail_after(30):
            while not (place.work / "alive").exists():
                await anyio.sleep(0.01)
        for _ in range(3):
            run.signal(signal.SIGINT)
        done = await run.ended()
        with anyio.fail_after(10):
            while below(place.work):
                await anyio.sleep(0.02)

    assert done.status == 130
    assert done.kinds().count("turn.failed") == 1


async def test_a_reader_that_goes_away_ends_the_run(place: Place) -> None:
    """At once, not only when there is something to write."""
    script = [call("exec_command", cmd=FOR_EVER), say("unreached")]
    reading, writing = os.pipe()
    async with place.running(script, "hi", "--json", stdout=writing) as run:
        os.close(writing)
        with anyio.fail_after(30):
            while not (place.work / "alive").exists():
                await anyio.sleep(0.01)
        os.close(reading)
        with anyio.fail_after(5):
            status = await run.process.wait()

    assert status == 141
    assert below(place.work) == []


async def test_closed_standard_files_do_no_harm(place: Place) -> None:
    script = [call("exec_command", cmd="echo x > made"), say("Done.")]
    shell = ["sh", "-c", '"$@" <&- >&- 2>&-', "sh"]
    done = await place.exec(script, "hi", before=shell, stdin=subprocess.DEVNULL)

    assert done.status == 0
    assert (place.work / "made").exists()
    [log] = place.home.rglob("rollout-*.jsonl")
    assert all(line.startswith("{") for line in log.read_text().splitlines())


async def test_a_full_disk_behind_stdout_ends_the_run(place: Place) -> None:
    with open("/dev/full", "wb") as full:
        async with place.running([say("x")], "hi", "--json", stdout=full.fileno()) as run:
            done = await run.ended()

    assert done.status == 141


async def test_a_model_that_says_nothing_is_told_about(place: Place) -> None:
    done = await place.exec([answer()], "hi")
    events = await place.exec([answer()], "hi", "--json")

    assert (done.status, done.out) == (0, "")
    assert "! The model ended the turn without a message.\n" in done.err
    assert events.kinds() == ["thread.started", "turn.started", "turn.completed"]


async def test_unknown_tools_and_broken_arguments_do_not_end_the_turn(place: Place) -> None:
    script = [answer(call("rm_rf", path="/"), call("exec_command", "{nope")), say("Sorry.")]
    done = await place.exec(script, "hi", "--json")

    assert (done.status, done.kinds()[-1]) == (0, "turn.completed")
    assert len(done.items("error")) == 2
    assert unclosed(done) == []


async def test_a_model_that_never_stops_meets_the_limit(place: Place) -> None:
    words = ["hi", "--json", "-c", "step_limit=3"]
    done = await place.exec(lambda _: call("exec_command", cmd="true"), *words)

    assert (done.status, len(done.requests)) == (1, 3)
    assert "after 3 steps" in done.events[-1]["error"]["message"]


async def test_retries_are_told_and_are_not_the_end(place: Place) -> None:
    done = await place.exec([refuse(503), say("There.")], "hi", "--json")
    plain = await place.exec([refuse(503), say("There.")], "hi")

    assert (done.status, done.kinds().count("error")) == (0, 1)
    assert (plain.status, plain.out) == (0, "There.\n")
    assert "Trying again." in plain.err


async def test_a_connection_that_is_refused_is_given_up_in_time(place: Place) -> None:
    table = (
        'model_providers.x={name="x",base_url="http://127.0.0.1:9/v1",request_max_retries=1,'
        "stream_max_retries=1}"
    )
    words = ["-c", table, "-c", 'model_provider="x"', "-c", 'model="m"']
    done = await place.exec([], "hi", "--json", *words, provider=False)

    assert (done.status, done.kinds()[-1]) == (1, "turn.failed")
    assert "127.0.0.1:9" in done.events[-1]["error"]["message"]


async def test_a_working_directory_removed_from_outside_does_not_crash_the_run(
    place: Place,
) -> None:
    inner = place.work / "inner"
    inner.mkdir()
    script = [
        call("exec_command", cmd="while [ -d ../inner ]; do sleep 0.01; done; echo x"),
        call("exec_command", cmd="pwd"),
        say("Gone."),
    ]
    async with place.running(script, "hi", "--json", cwd=inner) as run:
        await run.model.request(1)
        out = await run.line("item.started")
        shutil.rmtree(inner)
        done = await run.ended()

    assert done.status == 0
    assert out.count("thread.started") == 1
    assert done.kinds()[-1] == "turn.completed"
    assert f"{inner} does not exist" in done.outputs()[-1]


@pytest.mark.parametrize("words", [[], ["--json"], ["--log-level", "debug"]])
def test_a_bug_ends_the_run_with_a_sentence(words: list[str], place: Place) -> None:
    code = (
        "import sys\n"
        "from octavo.faces.exec.run import Run\n"
        "async def broken(*_): raise ValueError('broken for the test')\n"
        "Run._open = broken\n"
        "from octavo.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "exec", "hi", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=place.work,
        env=place.env,
        timeout=60,
    )
    assert done.returncode == 1
    assert "ValueError: broken for the test" in done.stderr
    assert ("Traceback" in done.stderr) == ("debug" in words)
    if "--json" in words:
        assert '"turn.failed"' in done.stdout
