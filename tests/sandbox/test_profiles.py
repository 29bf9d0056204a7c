"""Permission profiles become policies, and the cage holds them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from octavo.config.load import load
from octavo.protocol.errors import ConfigError
from octavo.sandbox import OFF, OPEN, Command, Mode, Network, Policy, Sandbox, open_sandbox
from octavo.sandbox.from_settings import sandbox_policy
from octavo.sandbox.globs import MAX_ENTRIES, find, gaps_of


def policy_of(place: Path, text: str, *overrides: str) -> Policy:
    home = place / "home"
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(text)
    work = place / "work"
    work.mkdir(exist_ok=True)
    env = {"HOME": str(place), "OCTAVO_HOME": str(home)}
    return sandbox_policy(load(cwd=work, env=env, overrides=overrides), work, [])


def test_the_workspace_is_writable_but_for_what_the_profile_holds(tmp_path: Path) -> None:
    work = tmp_path / "work"

    policy = policy_of(
        tmp_path,
        f"""
        default_permissions = "careful"
        [permissions.careful.filesystem]
        ":slash_tmp" = "write"
        "{tmp_path}/out" = "write"
        "{tmp_path}/keys" = "deny"
        [permissions.careful.filesystem.":workspace_roots"]
        "." = "write"
        "docs" = "read"
        "docs/generated" = "write"
        "**/*.env" = "deny"
        "demo.env" = "read"
        """,
    )

    assert policy == Policy(
        mode=Mode.WORKSPACE_WRITE,
        cwd=work,
        writable_roots=(tmp_path / "out", work / "docs/generated"),
        write_tmpdir=False,
        deny_read=(tmp_path / "keys",),
        deny_globs=(
            f"{work}/**/*.env",
            *(f"!{path}" for path in ("/tmp", tmp_path / "out", work)),
            *(f"!{work}/{name}" for name in ("docs", "docs/generated", "demo.env")),
        ),
        read_only=(work / "docs", work / "demo.env"),
    )


def test_a_workspace_that_is_only_read_is_not_writable_beside_another_place(tmp_path: Path) -> None:
    policy = policy_of(
        tmp_path,
        f"""
        default_permissions = "p"
        [permissions.p.filesystem]
        ":workspace_roots" = "read"
        "{tmp_path}/out" = "write"
        """,
    )

    assert policy.mode is Mode.WORKSPACE_WRITE
    assert not policy.write_cwd
    assert policy.writable_roots == (tmp_path / "out",)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("", OFF),
        ("enabled = true", OPEN),
        ('enabled = true\nmode = "limited"', Network("hosts", allow=("*",), reading_only=True)),
        ('domains = {"a.example" = "allow", "b.example" = "deny"}',
         Network("hosts", allow=("a.example",), deny=("b.example",))),
        ('enabled = true\ndomains = {"b.example" = "deny"}', Network("hosts", deny=("b.example",))),
        ('enabled = false\ndomains = {"a.example" = "allow"}', OFF),
        ("enabled = true\nallow_local_binding = false", OPEN),
    ],
)  # fmt: skip
def test_the_network_of_a_profile(tmp_path: Path, network: str, expected: Network) -> None:
    text = f'default_permissions = "p"\n[permissions.p.network]\n{network}\n'

    assert policy_of(tmp_path, text).network == expected


def test_a_profile_extends_another_and_its_own_entries_hold(tmp_path: Path) -> None:
    policy = policy_of(
        tmp_path,
        """
        default_permissions = "mine"
        [permissions.mine]
        extends = "team"
        [permissions.mine.filesystem]
        "/srv/b" = "read"
        [permissions.mine.network]
        unix_sockets = {"/srv/s.sock" = "allow", "/srv/t.sock" = "none"}
        [permissions.team]
        extends = ":workspace"
        [permissions.team.filesystem]
        "/srv/a" = "write"
        "/srv/b" = "write"
        [permissions.team.network]
        enabled = true
        """,
    )

    assert policy.writable_roots == (Path("/srv/a"),)
    assert policy.write_cwd
    assert policy.write_tmp
    assert policy.network == OPEN
    assert policy.sockets == (Path("/srv/s.sock"),)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        (":read-only", Mode.READ_ONLY),
        (":workspace", Mode.WORKSPACE_WRITE),
        (":danger-full-access", Mode.DANGER_FULL_ACCESS),
    ],
)
def test_built_in_profiles(tmp_path: Path, name: str, mode: Mode) -> None:
    assert policy_of(tmp_path, f'default_permissions = "{name}"').mode is mode


def test_of_two_entries_about_one_place_deny_beats_write_beats_read(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/srv")
    lines = [f'"{tmp_path}/link/x" = "read"', '"/srv/x" = "write"', '"/srv/./x" = "deny"']
    text = 'default_permissions = "p"\n[permissions.p.filesystem]\n'

    assert policy_of(tmp_path, text + "\n".join(lines[:2])).writable_roots == (Path("/srv/x"),)
    assert policy_of(tmp_path, text + "\n".join(lines)).deny_read == (Path("/srv/x"),)


def test_a_mode_on_the_command_line_beats_the_profile_of_a_file(tmp_path: Path) -> None:
    text = 'default_permissions = ":workspace"\nsandbox_mode = "read-only"\n'

    assert policy_of(tmp_path, text).mode is Mode.WORKSPACE_WRITE
    assert policy_of(tmp_path, text, 'sandbox_mode="read-only"').mode is Mode.READ_ONLY


FILES = 'default_permissions = "p"\n[permissions.p.filesystem]\n'
INNER = 'default_permissions = "p"\n[permissions.p.filesystem.":workspace_roots"]\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('default_permissions = "q"', "There is no permission profile 'q'"),
        ('default_permissions = "p"\n[permissions.p]\nextends = "q"', "extends 'q'"),
        (
            'default_permissions = "p"\n[permissions.p]\nextends = "q"\n'
            '[permissions.q]\nextends = "p"',
            "p → q → p",
        ),
        (
            'default_permissions = "p"\n[permissions.p]\nextends = ":danger-full-access"',
            "cannot be extended",
        ),
        ('default_permissions = ":workspace"\n[permissions.":workspace"]', "octavo's own"),
        (FILES + '":nowhere" = "read"', "There are: :root"),
        (FILES + '"docs" = "read"', "the path is relative"),
        (FILES + '"**/*.env" = "deny"', "the path is relative"),
        (FILES + '":root" = "write"', "whole disk"),
        (FILES + '"/" = "write"', "whole disk"),
        (FILES + '"/srv/.." = "deny"', "whole disk"),
        (FILES + '"/srv/*" = "write"', "can only be denied"),
        (FILES + '"/srv/*.md" = "read"', "can only be denied"),
        (FILES + '"/srv" = "deny"\n"/srv/a" = "write"', "holds /srv/a"),
        (FILES + '":workspace_roots" = "deny"', "it is denied and holds"),
        (FILES + '"/srv" = {a = "read"}', "can be a table"),
        (FILES + '"/srv" = "all"', 'expected one of "read", "write", "deny"'),
        ('default_permissions = "p"\n[permissions.p.filesystm]\n"/srv" = "deny"', "did you mean"),
        ('default_permissions = "p"\n[permissions.p.network]\ndomain = {}', "did you mean"),
        (INNER + '"../up" = "read"', "not a path inside the workspace"),
        (INNER + '"/srv" = "read"', "not a path inside the workspace"),
        (
            'default_permissions = "p"\n[permissions.p.network]\ndomains = {"a.*.b" = "allow"}',
            "permissions.p.network.domains",
        ),
        (
            'default_permissions = "p"\n[permissions.p.network]\nunix_sockets = {"s" = "allow"}',
            "the path is relative",
        ),
    ],
)
def test_what_cannot_be_held_is_refused_with_a_sentence(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        policy_of(tmp_path, text)

    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_project_neither_chooses_nor_defines_profiles(tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / ".octavo").mkdir(parents=True)
    (work / ".git").mkdir()
    (work / ".git" / "HEAD").touch()
    (work / ".octavo" / "config.toml").write_text(FILES + '"/srv" = "write"\n')
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text(f'[projects."{work}"]\ntrust_level = "trusted"\n')

    loaded = load(cwd=work, env={"HOME": str(tmp_path), "OCTAVO_HOME": str(home)})

    assert loaded.settings.default_permissions is None
    assert not loaded.settings.permissions
    told = " ".join(loaded.warnings)
    assert "default_permissions is ignored" in told
    assert "permissions is ignored" in told


def test_patterns_find_files_and_directories_and_follow_no_links(tmp_path: Path) -> None:
    for name in ("a.env", "sub/deep/b.env", "sub/c.txt", "x.env/inside", "shown.env"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "loop").symlink_to(tmp_path)

    found = find([f"{tmp_path}/**/*.env", f"!{tmp_path}/shown.env"])

    assert {os.path.relpath(path, tmp_path) for path in found.paths} == {
        "a.env",
        "sub/deep/b.env",
        "x.env",
    }
    assert found.is_complete
    assert find([f"{tmp_path}/[ab].en?"]).paths == (f"{tmp_path}/a.env",)


def test_a_walk_that_met_its_bound_is_a_gap(tmp_path: Path) -> None:
    assert gaps_of([f"{tmp_path}/**/*.env"]) == ()
    for number in range(MAX_ENTRIES + 1):
        os.link(tmp_path / "0", tmp_path / str(number)) if number else (tmp_path / "0").touch()

    assert "first 20000 names" in gaps_of([f"{tmp_path}/**/*.env"])[0]


async def said(sandbox: Sandbox, cwd: Path, script: str) -> str:
    process = await sandbox.spawn(
        Command(("/bin/sh", "-c", script), cwd, {"PATH": "/usr/bin:/bin"})
    )
    output = b""
    while data := await process.read():
        output += data
    await process.wait()
    return output.decode()


@pytest.mark.anyio
async def test_the_cage_holds_what_a_profile_says(tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "docs/generated").mkdir(parents=True)
    (work / "sub").mkdir()
    (work / "sub/x.env").write_text("secret")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/k").write_text("secret")
    policy = policy_of(
        tmp_path,
        f"""
        default_permissions = "careful"
        [permissions.careful.filesystem]
        "{tmp_path}/keys" = "deny"
        [permissions.careful.filesystem.":workspace_roots"]
        "." = "write"
        "docs" = "read"
        "docs/generated" = "write"
        "**/*.env" = "deny"
        """,
    )

    async with open_sandbox(policy) as sandbox:
        told = await said(
            sandbox,
            work,
            "cat sub/x.env; cat ../keys/k; touch a && echo made; touch docs/no || echo held;"
            "touch docs/generated/yes && echo generated; touch ../out || echo outside",
        )
        assert "secret" not in told
        for word in ("made", "held", "generated", "outside"):
            assert f"{word}\n" in told
        (work / "sub" / "later.env").write_text("secret")
        assert "secret" not in await said(sandbox, work, "cat sub/later.env")
        (work / "new").mkdir()
        (work / "new" / "y.env").write_text("secret")
        assert "secret" not in await said(sandbox, work, "cat new/y.env")


@pytest.mark.anyio
async def test_a_workspace_to_read_stays_so_beside_a_place_to_write(tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "build").mkdir(parents=True)
    text = INNER + '"." = "read"\nbuild = "write"\n'

    async with open_sandbox(policy_of(tmp_path, text)) as sandbox:
        told = await said(sandbox, work, "touch a || echo held; touch build/b && echo built")

    assert "held\n" in told
    assert "built\n" in told
    assert os.listdir(work) == ["build"]


GUIDE = Path(__file__).parents[2] / "docs/guide/permissions.md"


def test_every_profile_of_the_guide_is_one(tmp_path: Path) -> None:
    examples = re.findall(r"```toml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    careful, reader, release = (policy_of(tmp_path, example) for example in examples)
    work, home = tmp_path / "work", Path.home()

    assert careful.read_only == (work / "docs/published", work / "examples/demo.env")
    assert careful.deny_read == (home / "notes",)
    assert careful.network.deny == ("upload.example.org",)
    assert reader.mode is Mode.READ_ONLY
    assert reader.network.reading_only
    assert len(reader.sockets) == 1
    assert release.writable_roots == (home / "releases",)
    assert release.write_cwd
    assert release.network.allow == ("example.com",)
