"""What the turn is asked, and what is said when that cannot be."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest

from octavo.trial.scripted import say
from tests.faces.running import OCTAVO, Place

pytestmark = pytest.mark.anyio

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c02"
    "0000000b4944415478da6364f80f00010501012718e3660000000049454e44ae426082"
)


def asked(requests: list[dict[str, object]]) -> str:
    content = requests[0]["input"][-1]["content"]  # type: ignore[index]  # as the wire has it
    return str(content[-1]["text"])


@pytest.mark.parametrize(
    ("words", "stdin", "prompt"),
    [
        (["the prompt"], "", "the prompt"),
        ([], "from a pipe\n", "from a pipe\n"),
        (["-"], "from a pipe\n", "from a pipe\n"),
        (["explain"], "a log\n\n", "explain\n\n<stdin>\na log\n</stdin>"),
        (["explain"], "  \n", "explain"),
        (["résumé 🐙"], "", "résumé 🐙"),
    ],
)
async def test_the_prompt_is_the_argument_and_standard_input(
    words: list[str], stdin: str, prompt: str, place: Place
) -> None:
    done = await place.exec([say("Ok.")], *words, stdin=stdin)

    assert (done.status, done.out) == (0, "Ok.\n")
    assert asked(done.requests) == prompt


@pytest.mark.parametrize("words", [[], ["-"], [""], ["  \n"]])
async def test_without_a_prompt_nothing_is_asked(words: list[str], place: Place) -> None:
    done = await place.exec([say("Ok.")], *words, stdin="")

    assert (done.status, done.out, done.requests) == (2, "", [])
    assert done.err.endswith("pipe it in: echo 'Fix the failing test.' | octavo exec\n")
    assert done.err.count("\n") == 1


async def test_a_file_and_dev_null_are_read_to_their_end(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "prompt"
    file.write_text("from a file")
    with file.open() as opened:
        from_file = await place.exec([say("Ok.")], stdin=opened.fileno())
    from_null = await place.exec([say("Ok.")], "hi", stdin=subprocess.DEVNULL)

    assert asked(from_file.requests) == "from a file"
    assert asked(from_null.requests) == "hi"


async def test_bytes_that_are_no_text_are_replaced(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "prompt"
    file.write_bytes(b"caf\xe9")
    with file.open() as opened:
        piped = await place.exec([say("Ok.")], stdin=opened.fileno())
    typed = await place.exec([say("Ok.")], os.fsdecode(b"caf\xe9"))

    assert asked(piped.requests) == asked(typed.requests) == "caf\ufffd"


async def test_standard_input_without_end_is_refused(place: Place) -> None:
    with open("/dev/zero") as endless:
        done = await place.exec([say("Ok.")], "hi", stdin=endless.fileno())

    assert (done.status, done.requests) == (2, [])
    assert "longer than 16 MB" in done.err


async def test_ctrl_c_while_waiting_for_the_prompt_ends_at_once(place: Place) -> None:
    async with place.running([say("x")], "--json", stdin=subprocess.PIPE) as run:
        assert run.process.stderr is not None
        assert b"standard input" in await run.process.stderr.receive()
        run.signal(signal.SIGINT)
        done = await run.ended()

    assert done.status == 130
    assert done.kinds() == ["turn.failed"]


def test_without_arguments_on_a_terminal_it_says_what_is_missing(place: Place) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [*OCTAVO, "exec"],
        stdin=theirs,
        capture_output=True,
        text=True,
        env=place.env,
        cwd=place.work,
        timeout=60,
    )
    os.close(ours)
    os.close(theirs)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("octavo: error: There is no prompt. Give it as an argument")


async def test_images_come_before_the_text(place: Place) -> None:
    (place.work / "a.png").write_bytes(PNG)
    done = await place.exec([say("Ok.")], "-i", "a.png", "what is it?", "--image", "a.png")

    content = done.requests[0]["input"][-1]["content"]
    images = [part for part in content if part["type"] == "input_image"]
    assert [part["image_url"][:22] for part in images] == ["data:image/png;base64,"] * 2
    assert content[-1]["text"] == "what is it?"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.png", "there is no such file"),
        ("text.png", "it is not a PNG, JPEG, GIF or WebP file"),
        (".", "it is not a file"),
    ],
)
async def test_an_image_that_cannot_be_read_is_named(name: str, said: str, place: Place) -> None:
    (place.work / "text.png").write_text("no image")
    done = await place.exec([say("x")], "hi", "-i", name, "--json")

    assert (done.status, done.requests) == (2, [])
    [failed] = done.events
    assert failed["type"] == "turn.failed"
    assert said in failed["error"]["message"]
    assert failed["error"]["message"] in done.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        ("{nope", "is not JSON"),
        ("[1]", "is not a JSON object"),
        ("\udcff", "is not JSON"),
    ],
)
async def test_a_bad_output_schema_is_refused_before_anything_is_asked(
    text: str | None, said: str, place: Place
) -> None:
    if text is not None:
        (place.work / "schema.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    done = await place.exec([say("x")], "hi", "--output-schema", "schema.json", "--json")

    assert (done.status, done.requests) == (2, [])
    assert said in done.err
    assert done.kinds() == ["turn.failed"]


async def test_an_output_schema_is_sent(place: Place) -> None:
    (place.work / "schema.json").write_text('{"type":"object"}')
    done = await place.exec([say("{}")], "hi", "--output-schema", "schema.json")

    assert done.requests[0]["text"]["format"]["schema"] == {"type": "object"}
    assert done.out == "{}\n"


async def test_a_skill_is_named_by_the_prompt_and_not_by_what_is_piped_in(place: Place) -> None:
    typed = await place.exec([say("Ok.")], "use $skill-creator", stdin="")
    piped = await place.exec([say("Ok.")], "explain", stdin="$skill-creator\n")

    assert asked(typed.requests).startswith("<skill>\n<name>skill-creator</name>\n")
    assert asked(piped.requests) == "explain\n\n<stdin>\n$skill-creator\n</stdin>"
