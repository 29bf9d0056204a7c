"""Permission profiles: what is written is what holds, and what makes no sense is refused."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.config.load import load
from octavo.protocol.errors import ConfigError
from octavo.sandbox import Mode, Network, Policy
from octavo.sandbox.from_settings import sandbox_policy
from octavo.sandbox.profiles import matching
from tests.cli.running import Shell
from tests.sandbox.conftest import shell as in_cage

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "permissions.md"


def _policy(tmp_path: Path, text: str, *overrides: str) -> Policy:
    home = tmp_path / "octavo-home"
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(text)
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    env = {"HOME": str(tmp_path), "OCTAVO_HOME": str(home)}
    return sandbox_policy(load(cwd=work, env=env, overrides=overrides), work, [])


def examples() -> list[str]:
    """The profiles of the guide."""
    found = re.findall(r"```toml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(found) == 2
    return found


def test_the_first_example_of_the_guide_means_what_the_guide_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    work = tmp_path / "work"
    (work / "deep" / "er").mkdir(parents=True)
    (work / "deep" / "er" / "x.env").touch()

    policy = _policy(tmp_path, examples()[0])

    assert policy.mode is Mode.WORKSPACE_WRITE
    assert policy.writable_roots == (tmp_path / "notes",)
    assert policy.read_only == (work / "vendor",)
    assert set(policy.deny_read) == {tmp_path / "clients", work / "deep" / "er" / "x.env"}
    assert policy.network == Network("hosts", allow=("docs.python.org", "*.example.org"))


def test_the_second_example_of_the_guide_only_looks(tmp_path: Path) -> None:
    policy = _policy(tmp_path, examples()[1])

    assert policy.mode is Mode.READ_ONLY
    assert policy.network == Network(
        "hosts",
        allow=("**.example.org",),
        deny=("private.example.org",),
        reading_only=True,
    )


@pytest.mark.anyio
async def test_a_command_can_do_what_its_profile_says_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from octavo.sandbox import open_sandbox

    place = Path(os.environ["HOME"]) / "profiles" / tmp_path.name
    place.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(place))
    for folder in ("work/vendor", "notes", "clients"):
        (place / folder).mkdir(parents=True)
    (place / "work" / ".env").write_text("KEY=1")
    (place / "work" / "a.env").write_text("KEY=1")
    (place / "clients" / "list").write_text("everybody")
    policy = _policy(place, examples()[0])
    script = (
        "for f in ok ../notes/ok vendor/no ../clients/no ../no; do echo x > $f && echo $f; done;"
        "cat a.env ../clients/list; cat .env"
    )

    async with open_sandbox(policy) as cage:
        if (await cage.ready()).tier == "landlock":
            pytest.skip("the reduced tier cannot hold a directory read-only")
        _, said = await in_cage(cage, f"({script}) 2>/dev/null", place / "work")

    assert said.split() == ["ok", "../notes/ok"]


WRONG = {
    'default_permissions = "nope"': "There is no permission profile 'nope'",
    "[permissions.p]\nextends = 'q'\n[permissions.q]\nextends = 'p'": "it extends itself",
    "[permissions.p]\nextends = 'q'": "There is no permission profile 'q'",
    "[permissions.p.filesystem]\n'/' = 'write'\n':workspace_roots' = 'write'": "lets / be written",
    "[permissions.p.filesystem]\n':root' = 'write'": ":root is 'write'",
    "[permissions.p.filesystem]\n':root' = 'deny'": ":root is 'deny'",
    "[permissions.p.filesystem]\n':home' = 'read'": "':home' is no place it knows",
    "[permissions.p.filesystem]\n'notes' = 'write'": "the path 'notes' is relative",
    "[permissions.p.filesystem]\n'~/n/*.md' = 'write'": "the pattern '~/n/*.md' is 'write'",
    "[permissions.p.filesystem]\n'~/n' = 'write'": "and not :workspace_roots",
    "[permissions.p.filesystem]\n'~/n' = 'maybe'": "filesystem",
    "[permissions.p.filesystem.':workspace_roots']\n'../x' = 'read'": "leads out of the workspace",
    "[permissions.p.filesystem.':workspace_roots']\n'x' = 'maybe'": "'x' is 'maybe'",
    "[permissions.p.network]\nenabled = true\nmode = 'limited'": "to no host",
    "[permissions.p.network]\nunix_sockets = {'x.sock' = 'allow'}": "unix socket 'x.sock'",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_makes_no_sense_is_refused_with_what_is_wrong(text: str, tmp_path: Path) -> None:
    chosen = "" if text.startswith("default") else 'default_permissions = "p"\n'

    with pytest.raises(ConfigError, match=re.escape(WRONG[text])) as refused:
        _policy(tmp_path, chosen + text)

    assert "\n" not in str(refused.value)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


HOSTS = ["a..b", "*", "*.*.org", "a.*.org", "exa mple.org", "example.org:0", "example.org:70000",
         "http://example.org", "", "\u202eexample.org", "-a.org", "[::1", "1.2.3.4.5"]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_is_none_is_refused_before_anything_runs(shell: Shell, host: str) -> None:
    denied = "deny" if host == "*" else "allow"
    shell.settings(
        f"default_permissions = 'p'\n[permissions.p]\nextends = ':workspace'\n"
        f"[permissions.p.network]\nenabled = true\ndomains = {{ {host!r} = '{denied}' }}\n"
        if "\u202e" not in host
        else "default_permissions = 'p'\n[permissions.p]\nextends = ':workspace'\n"
        '[permissions.p.network]\nenabled = true\ndomains = { "\\u202eexample.org" = "allow" }\n'
    )

    done = shell.octavo("sandbox", "--", "touch", "ran")

    assert done.returncode == 2
    assert "is not a pattern for hosts" in done.stderr
    assert "\u202e" not in done.stderr
    assert not (shell.cwd / "ran").exists()


def test_a_project_can_neither_define_nor_choose_a_profile(shell: Shell) -> None:
    project = shell.cwd / ".octavo"
    project.mkdir()
    (project / "config.toml").write_text(
        "default_permissions = 'p'\n[permissions.p.filesystem]\n'~' = 'write'\n"
    )
    shell.octavo("trust")

    done = shell.octavo("config", "show")

    assert "a project's file may not" in done.stdout + done.stderr


def test_a_mode_that_is_asked_for_nearer_by_beats_a_profile(tmp_path: Path) -> None:
    text = "default_permissions = ':workspace'"

    assert _policy(tmp_path, text).mode is Mode.WORKSPACE_WRITE
    assert _policy(tmp_path, text, "sandbox_mode='read-only'").mode is Mode.READ_ONLY


@given(st.lists(st.sampled_from(["a", "b.env", "**", "*", "x?", "[ab]"]), min_size=1, max_size=4))
def test_a_pattern_never_fits_what_is_not_below_its_folder(parts: list[str]) -> None:
    pattern = "/".join(["", "usr", "share", "doc", *parts, "*"])

    for path in matching(pattern, limit_entries=300):
        assert path.is_relative_to("/usr/share/doc")


def test_the_guide_is_toml() -> None:
    for example in examples():
        tomllib.loads(example)
