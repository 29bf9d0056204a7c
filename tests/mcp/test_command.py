"""`octavo mcp`, and what a person and a repository may say of servers."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from octavo.config.remove import remove_table
from octavo.protocol.errors import ConfigError
from tests.cli.running import Shell
from tests.mcp.servers import PROGRAM, config, tool


@pytest.fixture
def shell(workspace: Path) -> Shell:
    """Outside of /tmp, which the servers' cages have of their own."""
    return Shell(workspace)


def plan(shell: Shell, *tools: dict[str, object]) -> Path:
    file = shell.cwd.parent / "plan.json"
    file.write_text(json.dumps({"tools": tools}))
    return file


def added(shell: Shell, *options: str) -> None:
    command = [sys.executable, str(PROGRAM), str(shell.cwd.parent / "plan.json")]
    done = shell.octavo("mcp", "add", "acting", *options, "--", *command)
    assert done.returncode == 0, done.stderr


def test_a_server_is_added_looked_at_agreed_to_and_removed(shell: Shell) -> None:
    shell.settings('# mine\nmodel = "m"\n\n[tui]\nnotifications = true\n')
    before = (shell.home / "config.toml").read_text()
    plan(shell, tool("echo", "Says it\u200b again."))
    assert "no MCP servers" in shell.octavo("mcp", "list").stdout

    added(shell, "--env", "A=b", "--network", "example.com")
    assert "not agreed" in shell.octavo("mcp", "list").stdout
    refused = shell.octavo("mcp", "accept", "acting")
    accepted = shell.octavo("mcp", "accept", "acting", "-y")
    shown = json.loads(shell.octavo("mcp", "get", "acting", "--json").stdout)
    removed = shell.octavo("mcp", "remove", "acting")

    assert refused.returncode == 1
    assert "echo: only reads, it says; runs without a question" in refused.stderr
    assert "Says it⟨U+200B⟩ again." in refused.stderr
    assert accepted.stdout == "Accepted: acting, 1 tool.\n"
    assert (shown["agreed"], shown["tools"]) == (True, ["echo"])
    assert (shown["env"], shown["network"]) == (["A"], ["example.com"])
    assert removed.returncode == 0
    assert f"stays in {shell.home}/servers/acting" in removed.stdout
    assert (shell.home / "config.toml").read_text() == before


def test_a_servers_keys_are_not_shown(shell: Shell) -> None:
    shell.octavo("mcp", "add", "x", "--env", "X_TOKEN=hunter2", "--", "server")

    shown = [shell.octavo(*words) for words in (("config", "show"), ("mcp", "get", "x"))]

    assert all("X_TOKEN" in done.stdout and "hunter2" not in done.stdout for done in shown)


def test_after_a_change_only_the_difference_is_shown(shell: Shell) -> None:
    plan(shell, tool("echo", "Says it again."), tool("same"))
    added(shell)
    shell.octavo("mcp", "accept", "acting", "-y")
    assert "says what was agreed to" in shell.octavo("mcp", "accept", "acting").stdout
    plan(shell, tool("echo", "Sends it away."), tool("same"), tool("more"))

    shown = shell.octavo("mcp", "accept", "acting").stderr

    assert "echo (changed)" in shown
    assert '- "description": "Says it again."' in shown.replace("    -", "- ").replace("-  ", "- ")
    assert "more (new)" in shown
    assert "same" not in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "x"), "Give either a command after `--`, or --url."),
        (("add", "x", "--url", "ftp://x"), "is not a URL that can be used"),
        (("add", "x y", "--", "ls"), "cannot be a server's name"),
        (("add", "x", "--env", "nothing", "--", "ls"), "is not KEY=VALUE"),
        (("add", "x", "--network", "a.*", "--", "ls"), "is not a pattern for hosts"),
        (("get", "x"), "There is no MCP server 'x'."),
        (("remove", "x"), "There is no MCP server 'x'"),
        (("accept", "x"), "There is no MCP server 'x'."),
    ],
)
def test_what_makes_no_sense_is_refused(shell: Shell, words: tuple[str, ...], said: str) -> None:
    done = shell.octavo("mcp", *words)

    assert done.returncode == 2
    assert said in done.stderr
    assert not (shell.home / "config.toml").exists()


def test_a_server_that_is_there_already_is_not_overwritten(shell: Shell) -> None:
    assert shell.octavo("mcp", "add", "x", "--", "one").returncode == 0
    assert shell.octavo("mcp", "add", "x", "--", "two").returncode == 2


@pytest.mark.parametrize(
    "text",
    [
        '[mcp_servers.x]\ncommand = "a"\n',
        'mcp_servers.x.command = "a"\n',
        '[mcp_servers.x]\ncommand = "a"\n[mcp_servers.x.env]\nA = "b"\n[mcp_servers.y]\nurl="u"\n',
        'model = "m" # mine\n\n[mcp_servers.x]\ncommand = "a"\n\n[tui]\nnotifications = true\n',
        '[mcp_servers]\nx = { command = "a" }\n',
    ],
)
def test_a_table_is_taken_out_of_a_file_and_nothing_else(text: str) -> None:
    import tomllib

    without = tomllib.loads(text)
    without["mcp_servers"].pop("x")
    left = tomllib.loads(remove_table(text, ("mcp_servers", "x")))

    assert {key: value for key, value in left.items() if value} == {
        key: value for key, value in without.items() if value
    }
    assert ("# mine" in remove_table(text, ("mcp_servers", "x"))) is ("# mine" in text)


def test_a_table_on_one_line_with_others_is_left_to_the_person() -> None:
    with pytest.raises(ConfigError, match="cannot be taken out"):
        remove_table(
            'mcp_servers = { x = { command = "a" }, y = { command = "b" } }', ("mcp_servers", "x")
        )


def test_a_repositorys_servers_run_only_as_they_were_agreed_to(shell: Shell) -> None:
    subprocess.run(["git", "init", "-q", str(shell.cwd)], check=True)
    file = shell.cwd / ".octavo" / "config.toml"
    file.parent.mkdir()
    file.write_text('[mcp_servers.theirs]\ncommand = "touch"\nargs = ["/tmp/x"]\n')

    def there() -> bool:
        return "theirs" in shell.octavo("mcp", "list").stdout

    assert not there()
    trusted = shell.octavo("trust")
    assert ".octavo/config.toml#mcp_servers" in trusted.stderr
    assert '"command": "touch"' in trusted.stderr
    assert not there()
    shell.octavo("trust", "--accept-all")
    assert there()
    file.write_text('[mcp_servers.theirs]\ncommand = "rm"\n')
    assert not there()


def test_a_program_in_tmp_is_not_seen_and_that_is_said(shell: Shell) -> None:
    with tempfile.NamedTemporaryFile(dir="/tmp", suffix=".py") as program:
        shell.octavo("mcp", "add", "mine", "--", sys.executable, program.name)
        done = shell.octavo("mcp", "accept", "mine")

    assert done.returncode == 1
    assert f"so it does not see {program.name}: move that to another place.\n" in done.stderr


def test_who_lacks_the_package_is_told_when_a_server_is_added_and_listed(shell: Shell) -> None:
    hide = (
        "import sys; import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'mcp' else find(name, *a)\n"
        "from octavo.cli import main; sys.exit(main(sys.argv[1:]))"
    )

    def octavo(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-c", hide, "mcp", *words]
        return subprocess.run(argv, cwd=shell.cwd, env=shell.env, capture_output=True, text=True)

    added, listed = octavo("add", "mine", "--", "true"), octavo("list")

    for done in (added, listed):
        assert done.returncode == 0
        assert done.stderr.endswith(f"{sys.executable} -m pip install 'octavo[mcp]'\n")
    assert listed.stdout == "mine  not agreed  true\n"


def test_exec_shows_what_a_tool_says_when_it_fails(shell: Shell) -> None:
    import anyio

    from octavo.trial import scripted
    from octavo.trial.scripted import call, say

    async def run() -> str:
        async with scripted.serve([call("mcp__acting__fail"), say("Done.")]) as model:
            provider = f'model_providers.t={{name="t",base_url="{model.base_url}"}}'
            words = ["exec", "--skip-git-repo-check", "-c", provider, "-c", 'model_provider="t"']
            words += ["-m", "scripted", "-c", config("acting", "fail"), "--allow-mcp", "acting"]
            return (await anyio.to_thread.run_sync(lambda: shell.octavo(*words, "go"))).stderr

    assert "! The tool says that it failed: no such thing\n" in anyio.run(run)


def test_exec_lets_what_is_allowed_on_the_command_line_be_called(shell: Shell) -> None:
    import anyio

    from octavo.trial import scripted
    from octavo.trial.scripted import call, say

    acting = config("acting", tool("echo", annotations={}))

    async def run(*flags: str) -> str:
        script = [call("mcp__acting__echo", n=1), say("Done.")]
        async with scripted.serve(script) as model:
            provider = f'model_providers.t={{name="t",base_url="{model.base_url}"}}'
            words = ["exec", "--skip-git-repo-check", "-c", provider, "-c", 'model_provider="t"']
            words += ["-m", "scripted", "-c", acting, "--json", *flags, "go"]
            done = await anyio.to_thread.run_sync(lambda: shell.octavo(*words))
            assert done.returncode == 0, done.stderr
            return done.stdout

    refused = anyio.run(run)
    allowed = anyio.run(run, "--allow-mcp", "acting.echo")

    assert "--allow-mcp acting.echo" in refused
    events = [json.loads(line) for line in allowed.splitlines()]
    [done] = [
        event["item"]
        for event in events
        if event["type"] == "item.completed" and event["item"]["type"] == "mcp_tool_call"
    ]
    assert (done["server"], done["tool"], done["status"]) == ("acting", "echo", "completed")
    assert done["arguments"] == {"n": 1}
    assert done["result"]["content"][0]["text"] == '{"n": 1}'
    assert done["error"] is None
