"""The policy that the settings ask for, the same for every command of octavo's that has a cage."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from octavo.config.load import Loaded
from octavo.sandbox import OFF, OPEN, Limits, Mode, Policy


def sandbox_policy(loaded: Loaded, cwd: Path, add_dirs: Sequence[Path]) -> Policy:
    """The cage the settings ask for: by default the workspace, where it is one.

    A permission profile holds where one is chosen, unless a mode is chosen nearer by.

    Raises:
        ConfigError: the profile does not exist or cannot be used.
    """
    settings = loaded.settings
    policy = _by_mode(loaded, cwd, add_dirs)
    name = settings.default_permissions
    if name is None or _is_nearer("sandbox_mode", "default_permissions", loaded):
        return policy
    from octavo.sandbox.profiles import apply_profile  # few have one

    return apply_profile(name, settings.permissions, policy, os.environ)


def _is_nearer(one: str, other: str, loaded: Loaded) -> bool:
    """Whether a setting was given by a flag or `-c`, and the other was not."""
    given = {"flag": 2, "override": 1}
    ranks = [
        given.get(source.layer, 0) if (source := loaded.sources.get(key)) else 0
        for key in (one, other)
    ]
    return ranks[0] > ranks[1]


def _by_mode(loaded: Loaded, cwd: Path, add_dirs: Sequence[Path]) -> Policy:
    settings = loaded.settings
    is_workspace = loaded.trusted or loaded.repo_root is not None
    mode = settings.sandbox_mode or ("workspace-write" if is_workspace else "read-only")
    opened = mode == "external" or (
        mode == "workspace-write" and settings.sandbox_workspace_write.network_access
    )
    write, limits = settings.sandbox_workspace_write, settings.sandbox_limits
    return Policy(
        mode=Mode(mode),
        cwd=cwd,
        writable_roots=(*map(Path, write.writable_roots), *add_dirs),
        network=OPEN if opened else OFF,
        write_tmp=not write.exclude_slash_tmp,
        write_tmpdir=not write.exclude_tmpdir_env_var,
        tmp=write.tmp,
        limits=Limits(
            pids=limits.pids,
            memory_bytes=limits.memory_bytes or None,
            file_size_bytes=limits.file_size_bytes or None,
            cpu_s=limits.cpu_s or None,
            open_files=limits.open_files or None,
        ),
    )
