"""Settings and options that cannot be: one clear sentence each, the right status, no traceback."""

from __future__ import annotations

import os
import re

import pytest

from octavo.trial.scripted import call, say
from tests.faces.running import Place

pytestmark = pytest.mark.anyio


async def test_without_a_key_it_says_how_to_get_on(place: Place) -> None:
    done = await place.exec([], "hi", "--json", provider=False)

    assert done.status == 2
    assert done.kinds() == ["turn.failed"]
    for way in ("octavo login", "OPENAI_API_KEY", "--oss"):
        assert way in done.err
    assert not (place.home / "sessions").exists() or not list(place.home.rglob("*.jsonl"))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (['model_provider="olama"'], "There is no model provider 'olama'. Did you mean 'ollama'?"),
        (
            ['model_provider="ollama"'],
            "No model is set for the provider 'ollama'. Name one with -m",
        ),
        (
            ['model_providers.x={base_url="http://127.0.0.1:1/v1",wire_api="telepathy"}'],
            "wire_api",
        ),
        (['model_providers.x={name="x"}'], "Provider 'x' has no base_url."),
        (['model_providers.x={base_url="h",env_key="NO_SUCH"}'], "which is no web address"),
        (
            ['model_providers.x={base_url="http://127.0.0.1:1/v1",env_key="NO_SUCH_KEY"}'],
            "NO_SUCH_KEY is not set",
        ),
        (['sandbox_mode="none"'], "sandbox_mode"),
        (["nonsense"], "-c 'nonsense' is not key=value"),
    ],
)
async def test_a_provider_or_value_that_cannot_be_is_named(
    overrides: list[str], said: str, place: Place
) -> None:
    if "providers.x" in overrides[0]:
        overrides = [*overrides, 'model_provider="x"', 'model="m"']
    flags = [word for override in overrides for word in ("-c", override)]
    done = await place.exec([], "hi", "--json", *flags, provider=False)

    assert done.status == 2
    assert done.kinds() == ["turn.failed"]
    assert said in done.err
    assert done.err.startswith("octavo: error: ")
    assert done.err.count("\n") == 1


async def test_a_syntax_error_is_told_with_its_place(place: Place) -> None:
    place.settings('model = "x"\nsandbox_mode = read-only\n')
    done = await place.exec([say("x")], "hi", "--json")

    assert (done.status, done.requests) == (2, [])
    assert f"{place.home}/config.toml:2:" in done.err
    assert done.kinds() == ["turn.failed"]


async def test_an_unknown_key_warns_and_with_strict_config_fails(place: Place) -> None:
    place.settings('modle = "x"\n')
    warned = await place.exec([say("x")], "hi", "--json")
    plain = await place.exec([say("x")], "hi")
    strict = await place.exec([say("x")], "hi", "--json", "--strict-config")

    said = f"{place.home}/config.toml:1:1: unknown key modle; did you mean model?"
    assert (warned.status, warned.kinds()[-1]) == (0, "turn.completed")
    assert [item["message"] for item in warned.items("error")] == [said]
    assert (plain.status, plain.out) == (0, "x\n")
    assert f"! {said}\n" in plain.err
    assert (strict.status, strict.kinds(), strict.requests) == (2, ["turn.failed"], [])
    assert said in strict.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--nope", "x"], "Unrecognized arguments: --nope."),
        (["-s", "all", "x"], "invalid choice: 'all'"),
        (["fix", "it"], "There are 2 prompts: 'fix', 'it'. Put the prompt in quotes."),
        (["resume"], "`resume` needs the id of a thread. Or --last"),
        (["--last", "x"], "--last goes with `resume`."),
        (["x", "--add-dir", "/nope"], "--add-dir /nope: there is no such directory."),
        (["x", "--allow-mcp", "git"], "--allow-mcp 'git': there is no such MCP server."),
        (["x", "-C", "/nope"], "/nope is not a directory."),
        (["x", "-o", "/nope/x"], "-o /nope/x cannot be written: No such file or directory."),
    ],
)
async def test_wrong_usage_is_one_line_and_status_2(
    words: list[str], said: str, place: Place
) -> None:
    done = await place.exec([say("x")], *words)

    assert (done.status, done.out, done.requests) == (2, "", [])
    assert said in done.err
    assert done.err.count("\n") == 1


async def test_the_model_is_chosen_by_its_flag(place: Place) -> None:
    place.settings('model = "from-the-settings"\n')
    done = await place.exec([say("x")], "hi", "-m", "gpt-5.5", provider=True)

    assert done.requests[0]["model"] == "gpt-5.5"


async def test_the_prompt_may_stand_anywhere_between_the_options(place: Place) -> None:
    done = await place.exec([say("x")], "--json", "the prompt", "-s", "read-only")

    assert done.requests[0]["input"][-1]["content"][-1]["text"] == "the prompt"


async def test_a_directory_outside_of_git_needs_a_word(place: Place) -> None:
    plain = place.root / "plain"
    plain.mkdir()
    refused = await place.exec([say("x")], "hi", "--json", cwd=plain)
    skipped = await place.exec([say("x")], "hi", "--skip-git-repo-check", cwd=plain)
    trusted = await place.exec([say("x")], "hi", "--trust", cwd=plain)
    later = await place.exec([say("x")], "hi", cwd=plain)

    assert (refused.status, refused.requests) == (1, [])
    assert refused.kinds() == ["turn.failed"]
    for way in ("git init", "--trust", "--skip-git-repo-check"):
        assert way in refused.err
    assert [run.status for run in (skipped, trusted, later)] == [0, 0, 0]
    assert "sandbox read-only" in skipped.err
    assert "sandbox workspace-write" in later.err


async def test_c_d_moves_and_add_dir_adds(place: Place) -> None:
    inner, added, other = place.work / "inner", place.root / "added", place.root / "other"
    for folder in (inner, added, other):
        folder.mkdir()
    cmd = f"pwd; echo x > file; echo x > {added}/file; echo x > {other}/file"
    script = [call("exec_command", cmd=cmd), say("x")]
    done = await place.exec(script, "hi", "-C", "work/inner", "--add-dir", "added", cwd=place.root)

    assert str(inner) in done.outputs()[-1].splitlines()
    assert [(folder / "file").exists() for folder in (inner, added, other)] == [True, True, False]


async def test_read_only_is_really_read_only(place: Place) -> None:
    patch = "*** Begin Patch\n*** Add File: patched\n+x\n*** End Patch\n"
    script = [
        call("exec_command", cmd="echo x > file; echo x > /tmp/octavo-read-only-test"),
        call("apply_patch", input=patch),
        say("x"),
    ]
    done = await place.exec(script, "hi", "-s", "read-only")

    assert done.status == 0
    assert sorted(path.name for path in place.work.iterdir()) == [".git"]
    assert not os.path.exists("/tmp/octavo-read-only-test")


async def test_a_directory_whose_name_is_no_text_is_refused(place: Place) -> None:
    odd = place.root / os.fsdecode(b"odd\xff")
    odd.mkdir()
    done = await place.exec([say("x")], "hi", "--skip-git-repo-check", cwd=odd)

    assert done.status == 2
    assert "is not UTF-8" in done.err


async def test_a_prefix_on_the_command_line_lets_its_commands_run_in_the_cage(place: Place) -> None:
    script = [
        call("exec_command", cmd="git clean -fdx junk; touch ../out", login=False),
        call("exec_command", cmd="git reset --hard", login=False),
        say("Done."),
    ]
    (place.work / "junk").mkdir()
    done = await place.exec(script, "go", "--allow-command", "git clean -fdx")

    assert done.status == 0
    assert not (place.work / "junk").exists()
    assert not (place.work.parent / "out").exists()
    refused = "This was not run, as nobody can be asked here. `git reset --hard`"
    assert refused in str(done.requests[-1])
    assert f"$ git reset --hard\n  {refused}" in done.err
    assert "(The user can start octavo with --allow-command 'git reset --hard'.)" in done.err


async def test_what_a_refusal_proposes_lets_exactly_that_through(place: Place) -> None:
    wanted = "git stash drop; git reset --hard"
    first = await place.exec([call("exec_command", cmd=wanted, login=False), say("x")], "go")
    proposed = re.findall(r"--allow-command '([^']*)'", first.err)
    flags = [word for prefix in proposed for word in ("--allow-command", prefix)]
    again = await place.exec(
        [call("exec_command", cmd=wanted, login=False), say("x")], "go", *flags
    )

    assert proposed == ["git stash drop", "git reset --hard"]
    assert "not run" not in again.err
    assert "  ok in " in again.err


async def test_a_command_that_no_flag_lets_through_gets_no_such_advice(place: Place) -> None:
    script = [call("exec_command", cmd='eval "$(cat f)"', login=False), say("x")]
    done = await place.exec(script, "go")

    assert "This was not run" in done.err
    assert "--allow-command" not in done.err


async def test_a_command_that_was_refused_is_one_to_programs_too(place: Place) -> None:
    script = [call("exec_command", cmd="git reset --hard", login=False), say("x")]
    done = await place.exec(script, "go", "--json")

    (refused,) = done.items("command_execution")
    assert (refused["command"], refused["status"]) == ("git reset --hard", "declined")
    assert refused["aggregated_output"].startswith("This was not run")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--allow-command", ""], "there is no word in it"),
        (["--allow-command", "git 'x"], "No closing quotation"),
        (["--allow-host", "exa*mple.com"], "exa*mple.com"),
        (["--allow-host", "https://example.com/"], "example.com"),
    ],
)
async def test_what_cannot_be_allowed_is_said(place: Place, words: list[str], said: str) -> None:
    done = await place.exec([say("x")], "hi", *words)

    assert (done.status, done.requests) == (2, [])
    assert said in done.err


async def test_why_a_command_could_not_begin_is_shown(place: Place) -> None:
    done = await place.exec([call("exec_command", cmd="ls", workdir="/nowhere"), say("x")], "go")

    assert (
        "$ ls\n  The working directory /nowhere does not exist; / does. Nothing was run.\n"
        "  did not finish\n"
    ) in done.err
