"""The policy that the settings ask for, the same for every command of octavo's that has a cage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from octavo.config.load import Loaded
from octavo.sandbox import OFF, OPEN, Limits, Mode, Policy


def sandbox_policy(loaded: Loaded, cwd: Path, add_dirs: Sequence[Path]) -> Policy:
    """The cage the settings ask for: by default the workspace, where it is one."""
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
