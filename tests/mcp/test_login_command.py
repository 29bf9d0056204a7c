"""`octavo mcp login` and `logout`, as a person runs them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import Shell
from tests.mcp.browsing import decide, guarded

PAGE = re.compile(r"^  (http://127\.0\.0\.1:\S+)$")


@pytest.fixture
def shell(workspace: Path) -> Shell:
    return Shell(workspace)


def log_in(shell: Shell, *options: str, decision: str = "allow") -> tuple[int, str, str]:
    """Run `octavo mcp login web`, do what it says in a browser, and return how it ended."""
    command = [sys.executable, "-m", "octavo", "mcp", "login", "web", *options]
    with subprocess.Popen(
        command,
        cwd=shell.cwd,
        env=shell.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = ""
        page = None
        while page is None:
            line = process.stdout.readline()
            assert line, process.communicate()
            said += line
            page = PAGE.match(line.rstrip("\n"))
        decide(page[1], decision)
        said += process.stdout.read()
        assert process.stderr is not None
        errors = process.stderr.read()
    return process.returncode, said, errors


def test_a_person_logs_in_declines_and_logs_out(shell: Shell) -> None:
    with guarded() as web:
        shell.settings(f'[mcp_servers.web]\nurl = "{web.url}"\n')
        declined = log_in(shell, "--no-browser", decision="deny")
        locked = shell.octavo("mcp", "accept", "web", "-y")
        logged_in = log_in(shell, "--no-browser", "--scopes", "add,more")
        accepted = shell.octavo("mcp", "accept", "web", "-y")
        shown = shell.octavo("mcp", "get", "web")
        granted = web.test("seen")["granted"]
        out = shell.octavo("mcp", "logout", "web")
        again = shell.octavo("mcp", "logout", "web")

    assert declined[0] == 1
    assert "Not logged in at web. The login was not allowed" in declined[2]
    assert locked.returncode != 0
    assert "MCP server web needs login: octavo mcp login web." in locked.stderr
    assert logged_in[0] == 0, logged_in
    assert logged_in[1].endswith("Logged in at web.\n")
    assert f"octavo speaks only with {web.url[7:-4]}, {web.authority[7:]}." in logged_in[1]
    assert granted == [["add", "more"]]
    assert accepted.stdout == "Accepted: web, 1 tool.\n"
    assert "logged in  yes" in shown.stdout
    assert (out.stdout, out.stderr) == ("Logged out of web.\n", "")
    assert again.stdout == "You are not logged in at web.\n"


def test_a_program_needs_no_login_and_an_unknown_server_is_none(shell: Shell) -> None:
    shell.settings('[mcp_servers.git]\ncommand = "mcp-server-git"\n')

    program = shell.octavo("mcp", "login", "git")
    unknown = shell.octavo("mcp", "login", "nobody")

    assert "git is a program, and nobody logs in at a program." in program.stderr
    assert "There is no MCP server 'nobody' here." in unknown.stderr
    assert program.returncode != 0 != unknown.returncode


def test_a_server_that_is_removed_takes_its_login_along(shell: Shell) -> None:
    with guarded() as web:
        shell.settings(f'[mcp_servers.web]\nurl = "{web.url}"\n')
        log_in(shell, "--no-browser")
        removed = shell.octavo("mcp", "remove", "web")

    assert "Its login was forgotten here, not revoked" in removed.stdout
    assert list((shell.home / "mcp_logins").glob("*.json")) == []
