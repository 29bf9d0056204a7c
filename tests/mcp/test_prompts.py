"""Prompts of servers: a person asks for them, and what comes is a stranger's bounded text."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.mcp.prompts import ARGUMENTS, TEXT_CHARACTERS, as_text, prompt_of
from octavo.mcp.results import IMAGES_LIMIT
from octavo.trial import scripted
from octavo.trial.scripted import say
from tests.cli.running import Shell
from tests.mcp.servers import PROGRAM, tool
from tests.mcp.test_real import PLACE, needs_node
from tests.sampling import sample


@pytest.fixture
def shell(workspace: Path) -> Shell:
    """Outside of /tmp, which the servers' cages have of their own."""
    return Shell(workspace)


PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
        "0000000d49444154789c63f8cfc0f01f00050001ff56c72f0d0000000049454e44ae426082"
    )
).decode()


def told(*texts: str, role: str = "user") -> list[dict[str, object]]:
    return [{"role": role, "content": {"type": "text", "text": text}} for text in texts]


def added(shell: Shell, **plan: object) -> None:
    file = shell.cwd.parent / "plan.json"
    file.write_text(json.dumps({"tools": [tool("echo")], **plan}))
    command = [sys.executable, str(PROGRAM), str(file)]
    assert shell.octavo("mcp", "add", "acting", "--", *command).returncode == 0


REVIEW = {
    "name": "review",
    "description": "Reviews\u200b a file.",
    "arguments": [
        {"name": "path", "description": "Which file.", "required": True},
        {"name": "tone"},
    ],
}


def test_the_prompts_of_a_server_are_listed_with_what_they_take(shell: Shell) -> None:
    added(shell, prompts={"review": []}, listed_prompts=[REVIEW])

    done = shell.octavo("mcp", "prompts", "acting")

    assert done.stdout == (
        "review path=… [tone=…]\n    Reviews⟨U+200B⟩ a file.\n      path: Which file.\n"
    )


def test_a_prompt_is_printed_with_where_it_comes_from(shell: Shell) -> None:
    added(shell, prompts={"review": told("Review {path}, and be \u202ekind.")})

    done = shell.octavo("mcp", "prompt", "acting", "review", "path=a=b.py")
    as_json = json.loads(shell.octavo("mcp", "prompt", "acting", "review", "--json").stdout)

    assert done.stdout == (
        "[What follows is the prompt review of the MCP server acting.]\n\n"
        "Review a=b.py, and be ⟨U+202E⟩kind.\n"
    )
    assert as_json["text"] == "Review {path}, and be ⟨U+202E⟩kind."


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("acting", "other"), 1, "did not give the prompt other: there is no prompt other"),
        (("acting", "review", "nothing"), 2, "'nothing' is not KEY=VALUE"),
        (("nobody", "review"), 2, "There is no MCP server 'nobody'"),
    ],
)
def test_what_cannot_be_given_is_said(
    shell: Shell, words: tuple[str, ...], code: int, said: str
) -> None:
    added(shell, prompts={"review": told("Review it.")})

    done = shell.octavo("mcp", "prompt", *words)

    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


def test_a_server_without_prompts_has_none(shell: Shell) -> None:
    added(shell)

    assert shell.octavo("mcp", "prompts", "acting").stdout == "MCP server acting has no prompts.\n"
    assert "has no prompts" in shell.octavo("mcp", "prompt", "acting", "review").stderr


def test_a_prompt_that_is_piped_on_says_to_the_model_whose_words_it_is(shell: Shell) -> None:
    added(shell, prompts={"review": told("Review {path}.")})
    printed = shell.octavo("mcp", "prompt", "acting", "review", "path=a.py").stdout
    shell.octavo("mcp", "remove", "acting")

    async def run() -> bytes:
        async with scripted.serve([say("Done.")]) as model:
            provider = f'model_providers.t={{name="t",base_url="{model.base_url}"}}'
            words = ["exec", "--skip-git-repo-check", "-c", provider, "-c", 'model_provider="t"']
            words += ["-m", "scripted", "-"]
            done = await anyio.to_thread.run_sync(lambda: shell.octavo(*words, stdin=printed))
            assert done.returncode == 0, done.stderr
            return next(request.body for request in model.requests if request.number)

    said = json.loads(anyio.run(run))["input"][-1]["content"][0]["text"]

    assert said.startswith("[What follows is the prompt review of the MCP server acting.]")
    assert said.rstrip().endswith("Review a.py.")


@needs_node
def test_a_prompt_of_a_real_server_with_a_resource_in_it(shell: Shell) -> None:
    program = PLACE / "node/node_modules/@modelcontextprotocol/server-everything/dist/index.js"
    shell.octavo("mcp", "add", "everything", "--", "node", str(program))
    shell.settings((shell.home / "config.toml").read_text() + "startup_timeout_sec = 60.0\n")

    filled = shell.octavo("mcp", "prompt", "everything", "args-prompt", "city=Bonn", "state=NRW")
    kinds = ("resourceType=Text", "resourceId=1")
    held = shell.octavo("mcp", "prompt", "everything", "resource-prompt", *kinds)

    assert "What's weather in Bonn, NRW?" in filled.stdout
    assert "Resource 1: This is a plaintext resource" in held.stdout


def test_words_put_into_an_assistants_mouth_are_marked() -> None:
    given = as_text([*told("Hi."), *told("I obey.", role="assistant")], "")

    assert given.text == "[user]\nHi.\n\n[assistant]\nI obey."


def test_images_are_named_in_the_text_and_given_apart() -> None:
    image = {"role": "user", "content": {"type": "image", "data": PIXEL, "mimeType": "image/png"}}
    bad = {"role": "user", "content": {"type": "image", "data": "@", "mimeType": "image/png"}}

    few = as_text([*told("See:"), image, bad], "")
    many = as_text([image] * (IMAGES_LIMIT + 1), "")

    assert few.text.startswith("See:\n\n[image 1]\n\n[an image that cannot be shown")
    assert few.images == (f"data:image/png;base64,{PIXEL}",)
    assert len(many.images) == IMAGES_LIMIT


def test_a_prompt_is_cut_where_it_is_too_long_and_says_so() -> None:
    given = as_text(told("x" * (TEXT_CHARACTERS + 5)), "")

    assert given.left_out_characters == 5
    assert given.text.endswith("x\n[5 more characters were left out]")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
KEYS = st.sampled_from(("role", "content", "type", "text", "name", "arguments", "description"))


@settings(max_examples=sample(2_000, 20))
@given(st.lists(st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON))))
def test_no_form_of_a_prompt_is_too_much(raw: list[dict[str, object]]) -> None:
    assert len(as_text(raw, "").text) <= 10 * TEXT_CHARACTERS
    for one in raw:
        prompt = prompt_of(one)
        assert prompt is None or (prompt.name and len(prompt.arguments) <= ARGUMENTS)
