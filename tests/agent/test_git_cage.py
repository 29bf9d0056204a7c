"""Commits just work, and nothing that a repository names is run by them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import msgspec
import pytest

from octavo.agent.git_cage import GitCage, GitRefused, Reach
from octavo.policy.porcelain import read_git
from octavo.sandbox import Command, Exit, Mode, Network, Policy, Sandbox, open_sandbox
from tests.tiers import skip_or_fail

pytestmark = pytest.mark.anyio

ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": os.environ["HOME"]}
PERSON = {
    "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
}  # fmt: skip


class Bench:
    """A repository, and the thread's cages."""

    def __init__(self, top: Path, stack: AsyncExitStack) -> None:
        self.top = top
        self.policy = Policy(mode=Mode.WORKSPACE_WRITE, cwd=top)
        self.opened: dict[bytes, Sandbox] = {}
        self._stack = stack

    async def open_cage(self, policy: Policy) -> Sandbox:
        key = repr(policy).encode()
        if key not in self.opened:
            sandbox = await self._stack.enter_async_context(open_sandbox(policy))
            report = await sandbox.ready()
            if report.tier != "namespaces":
                skip_or_fail(f"the cage is of {report.tier}", "namespaces")
            self.opened[key] = sandbox
        return self.opened[key]

    async def run(self, script: str, cwd: Path | None = None) -> tuple[Exit, str]:
        """Run a script of plain git as a thread would."""
        cage = GitCage(self.policy, self.open_cage)
        command = Command(("bash", "-c", script), cwd or self.top, ENV | PERSON)
        process = await cage.spawn(read_git(script), command)
        said = bytearray()

        async def listen() -> None:
            while data := await process.read():
                said.extend(data)

        async with anyio.create_task_group() as group:
            group.start_soon(listen)
            ended = await process.wait()
        return ended, said.decode("utf-8", "replace")

    async def good(self, script: str, cwd: Path | None = None) -> str:
        ended, said = await self.run(script, cwd)
        assert ended == Exit(code=0), said
        return said

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run git as the person does, outside."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=cwd or self.top,
            env=ENV | PERSON,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    place = Path(os.environ["HOME"]) / "git-cage"
    place.mkdir(exist_ok=True)
    top = place / f"{len(list(place.iterdir()))}"
    top.mkdir()
    async with AsyncExitStack() as stack:
        bench = Bench(top, stack)
        bench.git("init", "-q", "-b", "main")
        (top / "file").write_text("one\n")
        bench.git("add", "file")
        bench.git("commit", "-qm", "first")
        yield bench


async def test_a_change_is_committed(bench: Bench) -> None:
    (bench.top / "file").write_text("two\n")

    said = await bench.good('git add -A && git commit -m "second" && git log --oneline -1')

    assert "1 file changed" in said
    assert bench.git("log", "--format=%s").split() == ["second", "first"]
    assert bench.git("status", "--porcelain") == ""


async def test_a_message_of_many_lines_is_committed_as_it_is(bench: Bench) -> None:
    (bench.top / "file").write_text("two\n")

    await bench.good("git commit -a -m \"$(cat <<'EOF'\nIt's $HOME\n\n- `one`\nEOF\n)\"")

    assert bench.git("log", "-1", "--format=%B").strip() == "It's $HOME\n\n- `one`"


async def test_branches_merges_rebases_stashes_and_tags_work(bench: Bench) -> None:
    top = bench.top
    await bench.good("git switch -c side")
    (top / "other").write_text("x\n")
    await bench.good("git add other && git commit -m side && git switch main")
    (top / "file").write_text("two\n")
    await bench.good("git commit -am main && git merge --no-edit side && git tag -a v1 -m v1")
    (top / "file").write_text("three\n")
    await bench.good("git stash push -m later && git stash pop")
    await bench.good("git restore file; git switch -c again HEAD~1 && git rebase main")
    await bench.good("git reset --hard HEAD && git branch -D side")

    assert bench.git("tag").split() == ["v1"]
    assert bench.git("branch", "--show-current").strip() == "again"
    assert (top / "file").read_text() == "two\n"


async def test_a_conflict_ends_like_in_a_shell_and_what_follows_is_not_run(bench: Bench) -> None:
    await bench.good("git switch -c side")
    (bench.top / "file").write_text("side\n")
    await bench.good("git commit -am side && git switch main")
    (bench.top / "file").write_text("main\n")
    await bench.good("git commit -am main")

    ended, said = await bench.run("git merge side && git tag never || git status -s")

    assert ended.code == 0
    assert "CONFLICT" in said
    assert "UU file" in said
    assert bench.git("tag") == ""


def _script(top: Path, name: str, run: str) -> Path:
    path = top.parent / f"{top.name}-programs" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{run}\ncat\n")
    path.chmod(0o755)
    return path


def _set(top: Path, key: str, value: str) -> None:
    subprocess.run(["git", "-C", str(top), "config", key, value], check=True)


def _hook(top: Path, run: str) -> None:
    for name in ("pre-commit", "post-commit", "post-checkout", "reference-transaction"):
        hook = top / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\n{run}\n")
        hook.chmod(0o755)


HOSTILE = {
    "hooks": _hook,
    "hooks path": lambda top, run: _set(
        top, "core.hooksPath", str(_script(top, "h/pre-commit", run).parent)
    ),
    "fsmonitor": lambda top, run: _set(top, "core.fsmonitor", str(_script(top, "fs", run))),
    "pager": lambda top, run: _set(top, "core.pager", str(_script(top, "pager", run))),
    "editor": lambda top, run: _set(top, "core.editor", str(_script(top, "editor", run))),
    "external diff": lambda top, run: _set(top, "diff.external", str(_script(top, "ext", run))),
    "alias": lambda top, run: _set(top, "alias.add", f"!{_script(top, 'al', run)}"),
    "signing": lambda top, run: (
        _set(top, "gpg.program", str(_script(top, "gpg", run))),
        _set(top, "commit.gpgSign", "true"),
    ),
    "filter": lambda top, run: (
        (top / ".gitattributes").write_text("* filter=evil\n"),
        _set(top, "filter.evil.clean", str(_script(top, "clean", run))),
        _set(top, "filter.evil.smudge", str(_script(top, "smudge", run))),
    ),
    "process filter": lambda top, run: (
        (top / ".gitattributes").write_text("* filter=evil\n"),
        _set(top, "filter.evil.process", str(_script(top, "process", run))),
        _set(top, "filter.evil.required", "true"),
    ),
    "text conversion": lambda top, run: (
        (top / ".gitattributes").write_text("* diff=evil\n"),
        _set(top, "diff.evil.textconv", str(_script(top, "textconv", run))),
        _set(top, "diff.evil.command", str(_script(top, "command", run))),
    ),
    "merge driver": lambda top, run: (
        (top / ".gitattributes").write_text("* merge=evil\n"),
        _set(top, "merge.evil.driver", str(_script(top, "driver", run))),
    ),
    "included file": lambda top, run: (
        (top / "inc").write_text(f"[core]\n\tfsmonitor = {_script(top, 'inc-fs', run)}\n"),
        _set(top, "include.path", str(top / "inc")),
    ),
    "trailer": lambda top, run: _set(top, "trailer.x.command", str(_script(top, "tr", run))),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
async def test_nothing_that_the_repository_names_is_run(name: str, bench: Bench) -> None:
    mark = bench.top / "ran"
    HOSTILE[name](bench.top, f"echo ran >> {mark}")
    (bench.top / "file").write_text("two\n")

    await bench.run(
        "git add file && git commit -m second; git diff HEAD~1; git log -p -2; git switch -c side;"
        " git stash -u; git status; git merge main; git show HEAD"
    )

    assert not mark.exists()
    assert bench.git("log", "-1", "--format=%s").strip() == "second" or name == "process filter"


async def test_the_hostile_settings_are_obeyed_by_git_as_it_is(bench: Bench) -> None:
    """What the test above keeps from being run does run otherwise."""
    mark = bench.top / "ran"
    _hook(bench.top, f"echo ran >> {mark}")
    (bench.top / "file").write_text("two\n")

    bench.git("commit", "-qam", "second")

    assert mark.exists()


async def test_no_program_but_git_can_be_started(bench: Bench) -> None:
    cage = GitCage(bench.policy, bench.open_cage)
    script = read_git("git add file")
    await cage.spawn(script, Command(("x",), bench.top, ENV))
    sandbox = next(one for key, one in bench.opened.items() if b"programs=(" in key)

    for program in ("/bin/sh", "/usr/bin/env"):
        with pytest.raises(Exception, match="cannot be run"):
            await sandbox.spawn(Command((program, "-c", "true"), bench.top, ENV))


async def test_other_settings_that_git_would_write_are_put_back(bench: Bench) -> None:
    bench.git("branch", "other")

    await bench.good("git branch --set-upstream-to=other main")
    assert "[branch " in (bench.top / ".git" / "config").read_text()


async def test_hooks_and_info_are_read_only_to_git_itself(bench: Bench) -> None:
    cage = GitCage(bench.policy, bench.open_cage)
    await cage.spawn(read_git("git add file"), Command(("x",), bench.top, ENV))
    sandbox = next(one for key, one in bench.opened.items() if b"programs=(" in key)
    git = Command(
        ("/usr/bin/git", "bundle", "create", str(bench.top / ".git/hooks/x"), "main"),
        bench.top,
        ENV,
    )

    process = await sandbox.spawn(git)
    ended = await process.wait()

    assert ended.code != 0
    assert not (bench.top / ".git/hooks/x").exists()


async def test_a_linked_work_tree_and_its_repository_are_written(bench: Bench) -> None:
    tree = bench.top.parent / f"{bench.top.name}-tree"
    bench.git("worktree", "add", "-q", str(tree), "-b", "tree")
    bench.policy = msgspec.structs.replace(bench.policy, cwd=tree)
    (tree / "new").write_text("x")

    await bench.good("git add new && git commit -m tree", tree)

    assert bench.git("log", "-1", "--format=%s", "tree").strip() == "tree"


async def test_a_git_file_that_points_to_a_strangers_repository_is_refused(bench: Bench) -> None:
    victim = bench.top.parent / f"{bench.top.name}-victim"
    victim.mkdir()
    bench.git("init", "-q", cwd=victim)
    trap = bench.top / "trap"
    trap.mkdir()
    (trap / ".git").write_text(f"gitdir: {victim / '.git'}\n")
    (trap / "x").write_text("x")

    with pytest.raises(GitRefused, match="does not belong"):
        await bench.run("git add x", trap)
    shared = bench.top / "shared"
    shared.mkdir()
    bench.git("init", "-q", cwd=shared)
    (shared / ".git" / "commondir").write_text(str(victim / ".git"))
    with pytest.raises(GitRefused, match="does not belong"):
        await bench.run("git add .", shared)


async def test_a_repository_can_be_begun(bench: Bench) -> None:
    fresh = bench.top.parent / f"{bench.top.name}-fresh"
    fresh.mkdir()
    bench.policy = msgspec.structs.replace(bench.policy, cwd=fresh)
    (fresh / "x").write_text("x")

    await bench.good("git init -q -b main && git add x && git commit -m first", fresh)

    assert bench.git("log", "--format=%s", cwd=fresh).strip() == "first"


async def test_a_person_s_filter_is_not_left_out_silently(bench: Bench) -> None:
    subprocess.run(["git", "config", "--global", "filter.big.clean", "cat"], check=True, env=ENV)
    try:
        (bench.top / ".gitattributes").write_text("*.bin filter=big\n")
        ended, said = await bench.run("git add -A")
    finally:
        subprocess.run(["git", "config", "--global", "--remove-section", "filter.big"], env=ENV)

    assert ended.code == 128
    assert "filter 'big'" in said


async def test_a_script_that_is_killed_ends_and_starts_nothing_more(bench: Bench) -> None:
    cage = GitCage(bench.policy, bench.open_cage)
    script = "git add file; git commit --allow-empty -m never"
    process = await cage.spawn(read_git(script), Command(("x",), bench.top, ENV | PERSON))

    ended = await process.kill()

    assert ended == Exit(signal=9)
    assert "never" not in bench.git("log", "--format=%s")


# ---- Attacks from one repository on another ------------------------------------------------

EVIL = "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tfsmonitor = /tmp/evil.sh\n"


def _nested(bench: Bench, git_dir: str = "sub/.git") -> Path:
    """A repository that commands of the model could have made, whose commit holds a `config`."""
    sub = bench.top / "sub"
    sub.mkdir()
    bench.git("init", "-q", "-b", "main", cwd=sub)
    (sub / "config").write_text(EVIL)
    bench.git("add", "config", cwd=sub)
    bench.git("commit", "-qm", "evil", cwd=sub)
    return sub


async def test_a_nested_repository_cannot_name_the_outer_git_directory_as_its_work_tree(
    bench: Bench,
) -> None:
    sub = _nested(bench)
    before = (bench.top / ".git/config").read_bytes()
    with (sub / ".git/config").open("a") as config:
        config.write(f"[core]\n\tworktree = {bench.top}/.git\n")

    await bench.run("git -C sub reset --hard; git status")

    assert (bench.top / ".git/config").read_bytes() == before


async def test_a_folder_that_looks_like_a_bare_repository_is_not_taken_for_one(
    bench: Bench,
) -> None:
    sub = _nested(bench)
    before = (bench.top / ".git/config").read_bytes()
    for name in ("HEAD", "objects", "refs", "config"):
        target = sub / name
        if target.exists():
            target.unlink()
        os.rename(sub / ".git" / name, target)
    subprocess.run(["rm", "-rf", str(sub / ".git")], check=True)
    text = (sub / "config").read_text().replace("bare = true", "bare = false")
    (sub / "config").write_text(text + f"[core]\n\tworktree = {bench.top}/.git\n")

    await bench.run("git -C sub reset --hard")

    assert (bench.top / ".git/config").read_bytes() == before


async def test_a_nested_repository_s_links_do_not_lead_into_the_outer_git_directory(
    bench: Bench,
) -> None:
    sub = _nested(bench)
    before = (bench.top / ".git/config").read_bytes()
    (sub / ".git/COMMIT_EDITMSG").unlink()
    (sub / ".git/COMMIT_EDITMSG").symlink_to(bench.top / ".git/config")

    await bench.run(f"git -C sub commit --allow-empty -m '{EVIL}'; git commit --allow-empty -m x")

    assert (bench.top / ".git/config").read_bytes() == before


async def test_git_does_not_begin_a_repository_through_a_link_to_another_s(bench: Bench) -> None:
    victim = bench.top.parent / f"{bench.top.name}-other"
    victim.mkdir()
    bench.git("init", "-q", "-b", "main", cwd=victim)
    sub = bench.top / "sub"
    sub.mkdir()
    (sub / ".git").symlink_to(victim / ".git")

    for script in ("git -C sub init; git -C sub commit --allow-empty -m x", "git init sub"):
        with pytest.raises(GitRefused, match=r"leads|belong"):
            await bench.run(script)
    with pytest.raises(GitRefused, match="not in the workspace"):
        await bench.run(f"git init {victim}")

    assert not list((victim / ".git/refs/heads").iterdir())


async def test_a_work_tree_is_not_made_inside_of_the_git_directory(bench: Bench) -> None:
    hooks = bench.top / ".git/hooks"
    subprocess.run(["rm", "-rf", str(hooks)], check=True)
    bench.git("branch", "other")
    (bench.top / "link").symlink_to(".git")

    with pytest.raises(GitRefused, match="no place for git"):
        await bench.run("git worktree add link/hooks other")
    with pytest.raises(GitRefused, match="no place for git"):
        await bench.run("git -C link/refs worktree add ../hooks other")

    assert not (hooks / "file").exists()


async def test_hooks_that_are_missing_cannot_be_made_by_git(bench: Bench) -> None:
    hooks = bench.top / ".git/hooks"
    subprocess.run(["rm", "-rf", str(hooks)], check=True)
    cage = GitCage(bench.policy, bench.open_cage)

    await cage.spawn(read_git("git add file"), Command(("x",), bench.top, ENV))
    sandbox = next(one for key, one in bench.opened.items() if b"programs=(" in key)
    git = ("/usr/bin/git", "init", "--bare", str(hooks / "x"))
    process = await sandbox.spawn(Command(git, bench.top, ENV))
    ended = await process.wait()

    assert ended.code != 0
    assert not (hooks / "x").exists()


async def test_only_the_calls_that_talk_to_a_remote_reach_it(bench: Bench) -> None:
    cage = GitCage(bench.policy, bench.open_cage)
    lent = Reach(network=Network("hosts", allow=("example.org:443",)))

    process = await cage.spawn(
        read_git("git add file; git push"), Command(("x",), bench.top, ENV), lent
    )
    await process.kill()

    caged = [key for key in bench.opened if b"programs=(" in key]
    assert sorted(b"example.org:443" in key for key in caged) == [False, True]


async def _meanwhile(bench: Bench, change: Callable[[], object]) -> None:
    """Change something while git runs: as a race would, in which a folder became a link to `.git`.

    Git waits for its message, so the change falls between what is looked at before and after.
    """
    pipe = bench.top / "pipe"
    os.mkfifo(pipe)
    cage = GitCage(bench.policy, bench.open_cage)
    script = read_git("git commit --allow-empty -F pipe")
    process = await cage.spawn(script, Command(("x",), bench.top, ENV | PERSON))

    def plant() -> None:
        with pipe.open("w") as message:
            change()
            message.write("x")

    async with anyio.create_task_group() as group:
        group.start_soon(anyio.to_thread.run_sync, plant)
        ended = await process.wait()

    assert ended == Exit(code=0)
    assert bench.git("log", "-1", "--format=%s").strip() == "x"


async def test_what_would_lead_git_elsewhere_is_removed_after_a_call(bench: Bench) -> None:
    commondir = bench.top / ".git/commondir"

    await _meanwhile(bench, lambda: commondir.write_text(".\n"))

    assert not commondir.exists()


async def test_settings_that_became_others_during_a_call_are_put_back(bench: Bench) -> None:
    config = bench.top / ".git/config"
    before = config.read_text()

    await _meanwhile(bench, lambda: config.write_text(before + EVIL))

    assert config.read_text() == before


async def test_settings_that_became_huge_during_a_call_are_put_back(bench: Bench) -> None:
    config = bench.top / ".git/config"
    before = config.read_text()
    huge = before + EVIL + "#\n" * (3 << 20)

    await _meanwhile(bench, lambda: config.write_text(huge))

    assert config.read_text() == before


async def test_settings_that_became_a_link_to_a_copy_are_put_back(bench: Bench) -> None:
    config, copy = bench.top / ".git/config", bench.top / "copy"
    before = config.read_text()
    copy.write_text(before)

    def link() -> None:
        config.unlink()
        config.symlink_to(copy)

    await _meanwhile(bench, link)

    assert not config.is_symlink()
    assert config.read_text() == before


async def test_what_a_person_denies_is_denied_to_git_as_well(bench: Bench) -> None:
    network = Network(deny=("example.org",))
    bench.policy = msgspec.structs.replace(bench.policy, network=network)
    cage = GitCage(bench.policy, bench.open_cage)
    lent = Reach(network=Network("hosts", allow_local=("example.org:443",)))

    process = await cage.spawn(read_git("git push"), Command(("x",), bench.top, ENV), lent)
    await process.kill()

    assert any(
        b"allow_local=('example.org:443',)" in key and b"deny=('example.org',)" in key
        for key in bench.opened
    )
