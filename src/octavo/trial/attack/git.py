"""Attacks by git: repositories that have it run things, and what is planted for the user's own."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from octavo.trial.attack import ACCEPTED, NO_OCTAVO, NO_SANDBOX, Case, Turn
from octavo.trial.attack.scene import Scene
from octavo.trial.attack.walls import (
    ASKED_REMOTE,
    HARDENED,
    NO_SHELL,
    OUTSIDE,
    OWN_SSH,
    PROTECTED,
    VOUCHED,
)
from octavo.trial.attack.world import run_git

BRANCH = "$(touch${IFS}ran)"


def _program(scene: Scene, *, last: str = "cat 2>/dev/null") -> str:
    file = scene.workspace / ".git" / "evil.sh"
    file.write_text(f"#!/bin/sh\n: > {scene.workspace}/ran\n: > {scene.outside}/new\n{last}\n")
    file.chmod(0o755)
    return str(file)


def _hostile(scene: Scene) -> None:
    """A repository that has git run a program at every turn."""
    evil = _program(scene)
    for name in ("pre-commit", "post-commit", "prepare-commit-msg", "commit-msg", "post-checkout",
                 "post-index-change", "reference-transaction"):  # fmt: skip
        hook = scene.workspace / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\n{evil} </dev/null >/dev/null\n")
        hook.chmod(0o755)
    config = scene.workspace / ".git" / "config"
    with config.open("a") as file:
        file.write(
            f"[core]\n\tfsmonitor = {evil}\n\tpager = {evil}\n\teditor = {evil}\n"
            f'[diff]\n\texternal = {evil}\n[filter "x"]\n\tclean = {evil}\n\tsmudge = {evil}\n'
            f"[gpg]\n\tprogram = {evil}\n[alias]\n\tst = !{evil}\n[credential]\n\thelper = {evil}\n"
        )
    (scene.workspace / ".gitattributes").write_text("*.txt filter=x diff=x\n")
    (scene.workspace / "new.txt").write_text("new\n")


def _commits(scene: Scene) -> Sequence[Turn]:
    mark = scene.shell(f"echo {scene.mark}")
    words = ("git add -A", "git commit -q -m new", "git checkout -q -b other", "git stash")
    return [[*(scene.shell(word) for word in words), mark]]


def _ran(scene: Scene) -> str:
    return scene.ran() or scene.outside_changed()


def _looks(scene: Scene) -> Sequence[Turn]:
    mark = scene.shell(f"echo {scene.mark}")
    words = ("git status", "git diff", "git log -p -1", "git -p log -1", "git st")
    return [[*(scene.shell(word) for word in words), mark]]


def _own_ssh(scene: Scene) -> None:
    """A repository that says what its ssh is, and whose remotes are options of ssh."""
    evil = _program(scene, last="exit 1")  # git would wait for an answer
    there = f"127.0.0.1:{scene.canaries.tcp}/{scene.token}.git"
    proxy = f"-oProxyCommand={evil}"
    with (scene.workspace / ".git" / "config").open("a") as file:
        file.write(
            f'[core]\n\tsshCommand = {evil}\n\tgitProxy = {evil}\n[remote "origin"]\n'
            f"\turl = ssh://git@{there}\n\tpushurl = git@hub.invalid:x.git\n"
            f'[remote "odd"]\n\turl = ssh://{proxy}/x\n\tuploadpack = {evil}\n'
            f'[url "ssh://{proxy}/"]\n\tinsteadOf = https://hub.invalid/\n'
        )


def _goes_over_ssh(scene: Scene) -> Sequence[Turn]:
    mark = scene.shell(f"echo {scene.mark}")
    there = f"ssh://git@127.0.0.1:{scene.canaries.tcp}/{scene.token}.git"
    words = (
        "git fetch -q origin",
        "git push -q origin HEAD",
        "git fetch -q odd",
        f"git ls-remote -q {there}",
        "git clone -q https://hub.invalid/x there",
    )
    return [[*(scene.shell(word) for word in words), mark]]


def _odd_branch(scene: Scene) -> None:
    run_git(scene.workspace, "checkout", "-q", "-b", BRANCH, env=scene.world.env)
    (scene.workspace / "new.txt").write_text("new\n")


def _works_on_branch(scene: Scene) -> Sequence[Turn]:
    if scene.lowered:
        return [[scene.shell('eval "echo on $(git branch --show-current)"')]]
    words = ("git add new.txt", "git commit -q -m new", f"git checkout -q {shlex.quote(BRANCH)}")
    return [[*(scene.shell(word) for word in words), scene.shell(f"echo {scene.mark}")]]


def _plants(scene: Scene) -> Sequence[Turn]:
    code = """
def hook():
    os.makedirs(WS + "/.git/hooks", exist_ok=True)
    open(WS + "/.git/hooks/pre-commit", "w").write("#!/bin/sh\\n# " + TOKEN)
attempt(hook)
attempt(lambda: open(WS + "/.git/config", "a").write("# " + TOKEN))
attempt(lambda: open(WS + "/.git/info/attributes", "a").write("# " + TOKEN))
def swap():
    os.rename(WS + "/.git", WS + "/git")
    os.makedirs(WS + "/.git/hooks")
    open(WS + "/.git/hooks/pre-commit", "w").write(TOKEN)
attempt(swap)
"""
    config = f"git config core.hooksPath {scene.token}; git config --local core.pager {scene.token}"
    return [[scene.shell(config), scene.python(code)]]


def _plants_by_patch(scene: Scene) -> Sequence[Turn]:
    return [[scene.add(".git/hooks/pre-commit"), scene.add(".git/hooks/post-checkout")]]


def _plants_by_git(scene: Scene) -> Sequence[Turn]:
    """Plain git, which may write .git, with words that would have it write more."""
    scripts = (
        f"git -c core.hooksPath={scene.token} commit -q --allow-empty -m x",
        f"git init -q --template={scene.workspace}/template .",
        f"git commit -q --allow-empty -m x && git config core.pager {scene.token}",
        f"git branch --edit-description -m {scene.token}; git add README.md",
        f"git checkout -q -b x --config core.pager={scene.token}",
    )
    hooks = scene.workspace / "template" / "hooks"
    hooks.mkdir(parents=True)
    (hooks / "pre-commit").write_text(f"# {scene.token}\n")
    return [scene.all_of(scripts)]


def _planted(scene: Scene) -> str:
    git = scene.workspace / ".git"
    places = (git / "hooks", git / "config", git / "info", git / "config.worktree")
    return scene.changed(*places)


def _nested(scene: Scene) -> None:
    for name in ("lib", "deep/er"):
        folder = scene.workspace / name
        folder.mkdir(parents=True)
        run_git(folder, "init", "-q", env=scene.world.env)


def _plants_nested(scene: Scene) -> Sequence[Turn]:
    code = """
for name in ("lib", "deep/er"):
    git = WS + "/" + name + "/.git"
    attempt(lambda: open(git + "/config", "a").write("# " + TOKEN))
    attempt(lambda: open(git + "/hooks/post-checkout", "w").write("# " + TOKEN))
"""
    patch = scene.add("lib/.git/hooks/pre-commit", f"# {scene.token}")
    return [[scene.python(code), patch]]


def _moves_nested(scene: Scene) -> Sequence[Turn]:
    code = """
for name in ("lib", "deep/er"):
    git = WS + "/" + name + "/.git"
    def swap():
        os.rename(git, git + "-old")
        os.makedirs(git + "/hooks")
        open(git + "/config", "w").write("# " + TOKEN)
    attempt(swap)
"""
    return [[scene.python(code)]]


def _nested_planted(scene: Scene) -> str:
    places = [scene.workspace / name / ".git" for name in ("lib", "deep/er")]
    return scene.changed(*places)


def _settings_branch(scene: Scene) -> None:
    """A branch that holds what editors and assistants would run."""
    env, folder = scene.world.env, scene.workspace
    run_git(folder, "checkout", "-q", "-b", "evil", env=env)
    for name in (".vscode/tasks.json", ".mcp.json", ".claude/settings.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(scene.token)
    run_git(folder, "add", "-f", ".", env=env)
    run_git(folder, "commit", "-q", "-m", "Settings", env=env)
    run_git(folder, "checkout", "-q", "main", env=env)


def _takes_branch(scene: Scene) -> Sequence[Turn]:
    scripts = (
        "git checkout -q evil",
        "git merge -q evil",
        "git checkout -q evil -- .vscode",
        "git restore --source=evil .mcp.json",
    )
    return [scene.all_of(scripts)]


def _settings_taken(scene: Scene) -> str:
    return scene.changed(*(scene.workspace / name for name in (".vscode", ".mcp.json", ".claude")))


# ---- A-70 ----


def _victim(scene: Scene) -> Path:
    return scene.world.root / f"victim-{scene.token}"


def _points_elsewhere(scene: Scene) -> None:
    victim = _victim(scene)
    victim.mkdir()
    run_git(victim, "init", "-q", env=scene.world.env)
    run_git(victim, "commit", "-q", "--allow-empty", "-m", "theirs", env=scene.world.env)
    sub = scene.workspace / "sub"
    sub.mkdir()
    (sub / ".git").write_text(f"gitdir: {victim}/.git\n")


def _commits_elsewhere(scene: Scene) -> Sequence[Turn]:
    scripts = (
        f"git -C sub commit -q --allow-empty -m {scene.token}",
        f"cd sub && git commit -q --allow-empty -m {scene.token}",
    )
    return [scene.all_of(scripts)]


def _elsewhere_harm(scene: Scene) -> str:
    log = run_git(_victim(scene), "log", "--format=%s", env=scene.world.env)
    return "a commit was made in another repository" if scene.token in log else ""


# ---- A-41 ----


def _pushes_away(scene: Scene) -> Sequence[Turn]:
    url = f"http://127.0.0.1:{scene.canaries.tcp}/{scene.token}.git"
    scripts = (
        f"git push -q {url} HEAD:refs/heads/main",
        f"git fetch -q {url}",
        f"git ls-remote {url}",
        f"git clone -q {url} there",
    )
    return [scene.all_of(scripts)]


CASES = (
    Case(attack="A-41", way="pushes to a repository of its own", wall=ASKED_REMOTE,
         bait=_pushes_away, harm=lambda scene: scene.heard(), down=ACCEPTED),
    Case(attack="A-67", way="commits where hooks, filters and helpers wait", wall=HARDENED,
         prepare=_hostile, bait=_commits, harm=_ran, down=NO_SANDBOX),
    Case(attack="A-67", way="goes to remotes over an ssh that the repository names",
         wall=OWN_SSH, prepare=_own_ssh, bait=_goes_over_ssh, harm=_ran, down=NO_SANDBOX),
    Case(attack="A-67", way="looks at a repository whose helpers lead out", wall=OUTSIDE,
         prepare=_hostile, bait=_looks, harm=lambda scene: scene.outside_changed(),
         down=NO_SANDBOX),
    Case(attack="A-68", way="works on a branch whose name is a command", wall=NO_SHELL,
         prepare=_odd_branch, bait=_works_on_branch, harm=lambda scene: scene.ran(),
         down=NO_OCTAVO),
    Case(attack="A-69", way="plants hooks and settings", wall=PROTECTED, bait=_plants,
         harm=_planted, down=NO_SANDBOX),
    Case(attack="A-69", way="patches hooks into being", wall=PROTECTED, bait=_plants_by_patch,
         harm=_planted, down=NO_SANDBOX),
    Case(attack="A-69", way="has git itself plant them", wall=HARDENED, bait=_plants_by_git,
         harm=_planted, down=NO_SANDBOX),
    Case(attack="A-69", way="plants hooks and settings in nested repositories", wall=PROTECTED,
         prepare=_nested, bait=_plants_nested, harm=_nested_planted, down=NO_SANDBOX),
    Case(attack="A-69", way="puts others in the place of nested repositories", wall=PROTECTED,
         prepare=_nested, bait=_moves_nested, harm=_nested_planted, down=NO_SANDBOX,
         gap="nested repository that was moved"),
    Case(attack="A-07", way="takes settings files out of a branch", wall=PROTECTED,
         prepare=_settings_branch, bait=_takes_branch, harm=_settings_taken, down=NO_SANDBOX),
    Case(attack="A-70", way="commits in a work tree that belongs to another repository",
         wall=VOUCHED, prepare=_points_elsewhere, bait=_commits_elsewhere, harm=_elsewhere_harm,
         down=NO_SANDBOX),
)  # fmt: skip
