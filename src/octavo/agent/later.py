"""Files at the top of a workspace that run, or configure programs, after the turn that wrote them.

They belong to the project, so a turn may change them; but what a command was not allowed to do in
the sandbox, such a file can do outside it, as soon as the person runs the next program. So a change
is pointed out. What is protected anyway (`.git`, `.envrc`, …) is not here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

FILES = (
    # Shells and tools read these when they start in the directory.
    *(".bashrc", ".bash_profile", ".profile", ".zshrc", ".npmrc", ".yarnrc", ".yarnrc.yml"),
    *(".pnpmfile.cjs", ".ripgreprc", ".editorconfig", ".tool-versions", "mise.toml", ".mise.toml"),
    *(".gdbinit", ".lldbinit", ".vimrc", ".nvimrc", ".exrc", ".irbrc", ".pryrc", ".justfile"),
    # Git takes filters, diff drivers and addresses of other repositories from them.
    *(".gitattributes", ".gitmodules", ".gitconfig", ".lfsconfig"),
    # Hooks of commits, and what continuous integration runs.
    *(".pre-commit-config.yaml", "lefthook.yml", ".lintstagedrc", ".gitlab-ci.yml", "Jenkinsfile"),
    # What building, installing or testing runs.
    *("Makefile", "makefile", "GNUmakefile", "justfile", "Justfile", "Rakefile", "CMakeLists.txt"),
    *("package.json", "conftest.py", "setup.py", "setup.cfg", "pyproject.toml", "tox.ini"),
    *("noxfile.py", "pytest.ini", "sitecustomize.py", "usercustomize.py", "build.rs"),
    *("build.gradle", "build.gradle.kts", "gradlew", "pom.xml", "mvnw", "Gemfile"),
    *("Dockerfile", "docker-compose.yml", "compose.yaml", "Vagrantfile"),
)  # fmt: skip
FOLDERS = (".husky", ".githooks", ".github/workflows", ".cargo", ".mvn", ".devcontainer", ".yarn")
"""Directories of such files."""
MAX_ENTRIES = 64
"""How many files of a directory are looked at."""
_NAMED = 8

Stamp = tuple[int, ...]


def look(workspace: Path) -> dict[str, Stamp]:
    """Return what those that exist are now, by name."""
    found: dict[str, Stamp] = {}
    try:
        top = os.open(workspace, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return found
    try:  # from here on no path is walked: that is most of what a look takes
        names = list(FILES)
        for folder in FOLDERS:
            names += [f"{folder}/{entry}" for entry in _entries(folder, top)]
        for name in names:
            try:
                state = os.lstat(name, dir_fd=top)
            except OSError:
                continue
            found[name] = (state.st_ino, state.st_mode, state.st_size, state.st_mtime_ns)
    finally:
        os.close(top)
    return found


def _entries(folder: str, top: int) -> list[str]:
    try:
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=top)
    except OSError:
        return []
    try:
        return sorted(os.listdir(place))[:MAX_ENTRIES]
    except OSError:
        return []
    finally:
        os.close(place)


def changes(before: dict[str, Stamp], workspace: Path) -> list[str]:
    """Return the names of what is new, or another than before, in order. What is gone is not."""
    return [name for name, stamp in look(workspace).items() if before.get(name) != stamp]


def pointed_out(names: Sequence[str]) -> str:
    """Return the sentence for the person."""
    from octavo.context.visible import visible_line

    listed = ", ".join(map(visible_line, names[:_NAMED]))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (
        f"This turn changed {listed}{more}, which run or configure programs later; "
        "look at them before you run anything."
    )
