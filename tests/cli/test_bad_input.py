"""What makes no sense for the sandbox: one clear sentence that says how to mend it, nothing run."""

from __future__ import annotations

import pytest

from tests.cli.running import Shell

W = "sandbox_workspace_write"
PROFILE = 'default_permissions = "p"\n[permissions.p.'


def roots(path: str) -> str:
    return f'sandbox_mode = "workspace-write"\n[{W}]\nwritable_roots = ["{path}"]\n'


def domains(pattern: str) -> str:
    return f'{PROFILE}network]\ndomains = {{"{pattern}" = "allow"}}\n'


SETTINGS = [
    ('default_permissions = "nope"', "There is no permission profile 'nope'. There are:"),
    (f'{PROFILE}filesystem]\n":rot" = "read"', "no such special place. There are: :root"),
    (f'{PROFILE}filesystem]\n"docs" = "read"', "the path is relative. Write it from /"),
    (f'{PROFILE}filesystem]\n"/" = "write"', 'the whole disk cannot be "write". Name the'),
    (f'{PROFILE}filesystem]\n"/srv" = "full"', 'expected one of "read", "write", "deny"'),
    (f'{PROFILE}network]\nunix_sockets = {{"a.sock" = "allow"}}', "relative. Write it from /"),
    (roots("/"), "writable_roots: '/' is the whole disk. Name the directories"),
    (roots("../all"), "which leads to '/', is the whole disk."),
    (roots("../missing"), "does not exist. Make it with mkdir, or leave it out."),
    (roots("../gone"), "/nowhere', does not exist."),
    (roots("../file"), "is not a directory. Name the directory it is in."),
    (domains("a.*.com"), "a wildcard can only be the whole first part. Write a host"),
    (domains("a*.com"), "a wildcard can only be the whole first part."),
    (domains("**"), "a wildcard can only be the whole first part."),
    (domains("*.192.0.2.1"), "there is nothing below an address."),
    (domains("a\\u0001.com"), r'"a\x01.com" is not a pattern for hosts: it contains a space or'),
    (domains("\\u202ea.com"), "it is not an internationalised name."),
    (domains("xn--zzzz--.com"), "is no label of a host name."),
    (domains("a.com:0"), '"0" is not a port.'),
    (domains("a.com:65536"), '"65536" is not a port.'),
    (domains("a.com:http"), '"http" is not a port.'),
    (domains(""), "it is empty."),
    (domains("https://a.com/x"), "only the host is meant, without scheme, user or path."),
    (domains("me@a.com"), "only the host is meant"),
    (domains("1.2.3"), "is not an address of four decimal numbers."),
    ("sandbox_limits.pids = 3", "expected a whole number from 512 to 4000000, found 3."),
    ("sandbox_limits.cpu_s = -1", "expected a whole number from 0 to"),
    ("sandbox_limits.memory_bytes = 1000", "hardly a program starts with less than 16777216."),
    ("sandbox_limits.open_files = 2", "Raise it, or write 0 for no limit."),
]  # fmt: skip

OPTIONS = [
    (("-P", "nope"), "There is no permission profile 'nope'. There are:"),
    (("-P", ""), "the name is empty."),
    (("-p", "nope"), "There is no permission profile 'nope', and no settings profile"),
    (("-P", ":workspace", "-s", "read-only"), "both say what commands may do. Leave one out."),
    (("--add-dir", "/"), "the whole disk cannot be made writable. Name the directories"),
    (("--add-dir", "../all"), "cannot be made writable. It leads to /."),
    (("--add-dir", "../missing"), "there is no such directory. Make it first."),
    (("--add-dir", "../gone"), "this is not a directory. It leads to"),
    (("--add-dir", "../file"), "this is not a directory."),
    (("--add-dir", ""), "the path is empty."),
    (("--add-dir", "a\x1bb"), r"--add-dir a\x1bb: there is no such directory."),
    (("--network", ""), '--network: "" is not a pattern for hosts: it is empty.'),
    (("--network", "a.com,,b.com"), "it is empty."),
    (("--network", "on,a.com"), "'on' stands alone"),
    (("--network", "a.com\x07"), r"a.com\x07"),
    (("--network", "*.*.com"), "a wildcard can only be the whole first part."),
    (("--network", "a.com:70000"), '"70000" is not a port.'),
    (("--network", "http://a.com"), "only the host is meant"),
]  # fmt: skip


@pytest.fixture
def shell(shell: Shell) -> Shell:
    around = shell.cwd.parent
    (around / "all").symlink_to("/")
    (around / "gone").symlink_to("/nowhere")
    (around / "file").touch()
    return shell


def check(shell: Shell, said: str, *words: str) -> None:
    done = shell.octavo("sandbox", *words, "--", "touch", "made")

    error = done.stderr.removesuffix("\n")
    assert done.returncode == 2, (done.returncode, error)
    assert error.startswith("octavo: error: ")
    assert said in error
    assert error.isprintable()
    assert not done.stdout
    assert not list(shell.cwd.iterdir())


@pytest.mark.parametrize(("settings", "said"), SETTINGS)
def test_a_setting_that_makes_no_sense_runs_nothing(shell: Shell, settings: str, said: str) -> None:
    work = shell.cwd.parent
    shell.settings(settings.replace('["../', f'["{work}/'))

    check(shell, said)


@pytest.mark.parametrize(("words", "said"), OPTIONS)
def test_an_option_that_makes_no_sense_runs_nothing(
    shell: Shell, words: tuple[str, ...], said: str
) -> None:
    shell.settings('sandbox_mode = "workspace-write"\n' if "-s" not in words else "")

    check(shell, said, *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--allow-host", "a.*.com"), "--allow-host:"),
        (("--allow-host", ""), "it is empty."),
        (("--add-dir", "/"), "the whole disk cannot be made writable."),
        (("-P", "nope"), "There is no permission profile 'nope'."),
        (("-P", ":workspace", "-s", "read-only"), "Leave one out."),
    ],
)
def test_exec_refuses_the_same(shell: Shell, words: tuple[str, ...], said: str) -> None:
    done = shell.octavo("exec", "--skip-git-repo-check", *words, "hello")

    assert done.returncode != 0
    assert said in done.stderr


def test_a_wrong_rule_is_named_with_its_line(shell: Shell) -> None:
    file = shell.cwd / "x.rules"
    file.write_text('prefix_rule(pattern=["ls"], decision="allow")\nprefix_rule(pattern=[])\n')

    done = shell.octavo("execpolicy", "check", "--rules", str(file), "--", "ls")

    assert done.returncode == 2
    assert f"{file}:2: " in done.stderr


def test_a_root_that_is_a_link_is_shown_with_what_it_leads_to(shell: Shell) -> None:
    real = shell.cwd.parent / "real"
    real.mkdir()
    link = shell.cwd.parent / "link"
    link.symlink_to(real)
    shell.settings(roots(str(link)))

    done = shell.octavo("sandbox", "explain", "--", "true")

    if done.returncode == 125:
        pytest.skip(done.stderr)
    assert f"{real} (writable_roots: {link})" in done.stdout
