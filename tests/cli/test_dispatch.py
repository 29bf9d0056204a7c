"""Help, mistakes and exit statuses, as a person meets them."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import subprocess
import sys

import pytest

from octavo.cli import commands, load_command
from octavo.cli.parser import Parser
from tests.cli.running import Shell


def test_bare_octavo_prints_the_help_and_succeeds(shell: Shell) -> None:
    done = shell.octavo()
    assert (done.returncode, done.stderr) == (0, "")
    assert all(f"  {name} " in done.stdout for name in commands())
    assert len(done.stdout.splitlines()) <= 34
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert shell.octavo("--help").stdout == shell.octavo("help").stdout == done.stdout
    assert not shell.home.exists()


def test_the_version_is_that_of_the_package(shell: Shell) -> None:
    done = shell.octavo("--version")
    assert done.stdout == f"octavo {importlib.metadata.version('octavo')}\n"


def test_the_version_imports_nothing_else() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "from octavo.cli import main; main(['--version'])\n"
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[1] == "['__future__', 'octavo', 'octavo.cli']"


@pytest.mark.parametrize("name", commands())
def test_every_command_has_a_help_of_one_screen(name: str, shell: Shell) -> None:
    done = shell.octavo(name, "--help")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) <= 44
    assert max(map(len, lines)) <= 100
    assert shell.octavo("help", name).stdout == done.stdout


@pytest.mark.parametrize("name", commands())
def test_a_help_fits_into_the_terminal_there_is(name: str, shell: Shell) -> None:
    shell.env["COLUMNS"] = "60"
    said = shell.octavo(name, "--help").stdout
    prose = [line for line in said.splitlines() if not line.startswith(" ")]
    assert max(map(len, prose)) <= 60
    assert "what to do" not in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["exce"], "There is no command 'exce'. Did you mean `octavo exec`?"),
        (["frobnicate"], "There is no command 'frobnicate'. See `octavo --help`."),
        (["help", "frobnicate"], "There is no command 'frobnicate'. See `octavo --help`."),
        (["--frob"], "There is no option --frob before a command. See `octavo --help`."),
        (["exec", "--jsn", "x"], "Unrecognized arguments: --jsn. Did you mean --json?"),
        (["skills", "list", "--jsno"], "Unrecognized arguments: --jsno. Did you mean --json?"),
        (["skills", "show"], "Missing: NAME. See `octavo skills show --help`."),
        (
            ["sessions", "lst"],
            "There is no `octavo sessions lst`. Did you mean `octavo sessions list`?",
        ),
        (
            ["thread", "frob"],
            "There is no `octavo thread frob`. There are: compact, pins, pin, unpin.",
        ),
        (["mcp", "add"], "Missing: NAME, COMMAND. See `octavo mcp add --help`."),
        (["login", "--frob"], "Unrecognized arguments: --frob. See `octavo login --help`."),
        (
            ["config"],
            "Missing: show | path | set | unset | import-codex. See `octavo config --help`.",
        ),
        (["config", "show", "-c", "x"], "-c 'x' is not key=value. For example: -c model=gpt-5."),
        (
            ["config", "show", "--prof", "x"],
            "Unrecognized arguments: --prof. Did you mean --profile?",
        ),
    ],
)
def test_a_mistake_is_one_line_and_status_2(words: list[str], said: str, shell: Shell) -> None:
    done = shell.octavo(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"octavo: error: {said}\n"


def test_a_reader_that_has_seen_enough_is_no_error(shell: Shell) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "octavo", "config", "show", "--all"],
        stdout=writing,
        stderr=subprocess.PIPE,
        env=shell.env,
        cwd=shell.cwd,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_working_directory_that_is_gone_is_said(shell: Shell) -> None:
    script = 'rmdir "$PWD" && exec "$0" -m octavo config show'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable],
        cwd=shell.cwd,
        env=shell.env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "octavo: error: The working directory is gone. Change to one that exists.\n"
    )


@pytest.mark.parametrize("name", commands())
def test_no_option_is_without_an_explanation(name: str) -> None:
    parser = Parser(prog=name)
    load_command(name).add_arguments(parser)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            assert all(each.help for each in action._get_subactions()), name
        else:
            assert action.help, (name, action.dest)


def test_the_program_ends_at_once_with_everything_said() -> None:
    code = (
        "import atexit, sys; atexit.register(print, 'late'); sys.argv[1:] = ['--version']\n"
        "from octavo.cli import program; program()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.count("\n"), done.stderr) == (0, 1, "")


def _on(platform: str) -> subprocess.CompletedProcess[str]:
    code = (
        f"import sys; sys.platform = {platform!r}\n"
        "from octavo.cli import main; sys.exit(main(['exec', '--skip-git-repo-check', 'hello']))"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_on_windows_one_sentence_says_what_to_do() -> None:
    done = _on("win32")
    said = "octavo: error: octavo needs Linux: on Windows, run it in WSL.\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


def test_on_macos_nothing_is_run_without_a_sandbox_that_was_tried_there() -> None:
    done = _on("darwin")
    assert (done.returncode, done.stdout) == (1, "")
    assert "its sandbox works on Linux only" in done.stderr
