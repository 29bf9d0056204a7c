"""Going on with a thread, and where its log cannot be."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from octavo.trial.scripted import answer, call, say
from tests.faces.running import Done, Place

pytestmark = pytest.mark.anyio


def said(done: Done) -> str:
    return str(done.requests[0]["input"])


def usage(done: Done, field: str) -> int:
    return int(done.events[-1][field]["input_tokens"])


async def test_a_thread_goes_on_by_id_by_the_beginning_of_it_or_as_the_last(place: Place) -> None:
    first = await place.exec([say("I am one.")], "hi", "--json")
    thread_id = first.thread_id
    for words in (["resume", thread_id], ["resume", thread_id[:13]], ["resume", "--last"]):
        done = await place.exec([say("Next.")], *words, "go on", "--json")
        assert (done.status, done.thread_id) == (0, thread_id)
        assert "I am one." in said(done)
    piped = await place.exec([say("Next.")], "resume", "--last", "-", stdin="from a pipe")
    assert (piped.status, piped.out) == (0, "Next.\n")
    assert "from a pipe" in said(piped)


async def test_usage_is_of_the_thread_and_of_the_turn(place: Place) -> None:
    first = await place.exec([answer(say("a"), input_tokens=100)], "hi", "--json")
    script = [answer(call("exec_command", cmd="true"), input_tokens=200), answer(say("b"))]
    second = await place.exec(script, "resume", "--last", "hi", "--json")

    assert (usage(first, "usage"), usage(first, "turn_usage")) == (100, 100)
    assert (usage(second, "usage"), usage(second, "turn_usage")) == (400, 300)


async def test_last_is_of_this_directory_and_with_all_of_any(place: Place) -> None:
    inner = place.work / "inner"
    inner.mkdir()
    first = await place.exec([say("x")], "hi", "--json")
    here = await place.exec([say("x")], "resume", "--last", "hi", "--json", cwd=inner)
    any_ = await place.exec([say("x")], "resume", "--last", "--all", "hi", "--json", cwd=inner)

    assert (here.status, here.kinds()) == (1, ["turn.failed"])
    assert f"No thread has begun in {inner}. Add --all" in here.err
    assert (any_.status, any_.thread_id) == (0, first.thread_id)


async def test_an_id_that_is_unknown_or_of_several_is_told(place: Place) -> None:
    none = await place.exec([say("x")], "resume", "--last", "--all", "hi")
    ids = [(await place.exec([say("x")], "hi", "--json")).thread_id for _ in range(2)]
    unknown = await place.exec([say("x")], "resume", "ffff", "hi", "--json")
    several = await place.exec([say("x")], "resume", ids[0][:4], "hi", "--json")

    assert (none.status, none.out) == (1, "")
    assert "There is no thread yet." in none.err
    assert (unknown.status, unknown.kinds(), unknown.requests) == (1, ["turn.failed"], [])
    assert "There is no thread 'ffff'. The newest: " in unknown.err
    assert (several.status, several.requests) == (1, [])
    assert "2 threads begin with" in several.err
    assert all(thread_id in several.err for thread_id in ids)


async def test_an_ephemeral_thread_leaves_no_log(place: Place) -> None:
    done = await place.exec([say("x")], "hi", "--ephemeral", "--json")

    assert done.status == 0
    assert list(place.home.rglob("*.jsonl")) == []
    again = await place.exec([say("x")], "resume", done.thread_id, "hi")
    assert again.status == 1


async def test_a_thread_that_is_in_use_says_by_whom(place: Place) -> None:
    script = [call("exec_command", cmd="while [ ! -e go ]; do sleep 0.01; done"), say("Mine.")]
    async with place.running(script, "hi", "--json") as run:
        out = await run.line("item.started")
        thread_id = out.partition('"thread_id":"')[2][:36]
        second = await place.exec([say("x")], "resume", thread_id, "hi", "--json")
        (place.work / "go").touch()
        first = await run.ended()
        pid = run.process.pid

    assert (second.status, second.kinds(), second.requests) == (1, ["turn.failed"], [])
    assert str(pid) in second.err
    assert (first.status, first.kinds()[-1]) == (0, "turn.completed")


async def test_a_thread_whose_process_was_killed_goes_on(place: Place) -> None:
    script = [answer(say("I run it."), call("exec_command", cmd="sleep 60")), say("unreached")]
    async with place.running(script, "hi", "--json") as run:
        out = await run.line("item.started")
        run.signal(signal.SIGKILL)
        await run.ended()
    thread_id = out.partition('"thread_id":"')[2][:36]
    done = await place.exec([say("Back.")], "resume", thread_id, "go on", "--json")

    assert (done.status, done.kinds()[-1]) == (0, "turn.completed")
    calls = [
        item["call_id"] for item in done.requests[0]["input"] if item["type"] == "function_call"
    ]
    assert len(calls) == len(done.outputs()) == 1
    assert "I run it." in said(done)


async def test_a_home_that_cannot_be_written_is_told_before_anything_is_asked(
    place: Place,
) -> None:
    place.home.mkdir()
    read_only = ["unshare", "-Urm", "sh", "-c"]
    mount = f'mount -t tmpfs -o ro none {place.home} && exec "$@"'
    _check_namespaces()
    done = await place.exec([say("x")], "hi", "--json", before=[*read_only, mount, "sh"])
    ephemeral = await place.exec(
        [say("x")], "hi", "--json", "--ephemeral", before=[*read_only, mount, "sh"]
    )

    assert (done.status, done.kinds(), done.requests) == (1, ["turn.failed"], [])
    assert str(place.home) in done.err
    assert "Read-only file system" in done.err
    assert "OCTAVO_HOME" in done.err
    assert ephemeral.status == 0, ephemeral.err


async def test_a_home_that_is_a_file_is_told(place: Place) -> None:
    place.home.write_text("not a directory")
    done = await place.exec([say("x")], "hi", "--json")

    assert done.status in (1, 2)
    assert (done.kinds(), done.requests) == (["turn.failed"], [])
    assert str(place.home) in done.err


async def test_a_log_that_cannot_grow_ends_the_turn_and_keeps_what_it_has(place: Place) -> None:
    big = "x" * 30_000
    script = [say("First."), *[call("exec_command", cmd=f": {big}")] * 20, say("unreached")]
    await place.exec(script[:1], "hi", "--json")
    limited = ["bash", "-c", 'ulimit -f 200; exec "$@"', "bash"]
    done = await place.exec(script[1:], "resume", "--last", "go", "--json", before=limited)
    after = await place.exec([say("Here.")], "resume", "--last", "and?", "--json")

    assert (done.status, done.kinds()[-1]) == (1, "turn.failed")
    message = done.events[-1]["error"]["message"]
    assert "File too large" in message
    assert "ulimit -f" in message
    assert _closed(done)
    assert after.status == 0
    assert "First." in said(after)
    calls = [i["call_id"] for i in after.requests[0]["input"] if i["type"] == "function_call"]
    assert len(calls) == len(after.outputs())


async def test_a_full_disk_ends_the_turn_and_says_so(place: Place) -> None:
    _check_namespaces()
    place.home.mkdir()
    big = "x" * 30_000
    small = f'mount -t tmpfs -o size=256k none {place.home} && exec "$@"'
    script = [*[call("exec_command", cmd=f": {big}")] * 20, say("unreached")]
    before = ["unshare", "-Urm", "sh", "-c", small, "sh"]
    done = await place.exec(script, "go", "--json", before=before)

    assert (done.status, done.kinds()[-1]) == (1, "turn.failed")
    assert "No space left on device" in done.events[-1]["error"]["message"]
    assert "Free some space" in done.events[-1]["error"]["message"]
    assert _closed(done)


def _closed(done: Done) -> bool:
    started = {e["item"]["id"] for e in done.events if e["type"] == "item.started"}
    return started <= {e["item"]["id"] for e in done.events if e["type"] == "item.completed"}


def _check_namespaces() -> None:
    probe = ["unshare", "-Urm", "mount", "-t", "tmpfs", "none", str(Path.home())]
    if subprocess.run(probe, capture_output=True).returncode != 0:
        pytest.skip("no user namespaces here to mount a small disk in")
