"""The policy that the settings ask for, the same for every command of octavo's that has a cage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from octavo.config.load import Loaded
from octavo.sandbox import OFF, OPEN, Limits, Mode, Policy

_LAYERS = ("system", "user", "profile", "project", "override", "flag")


def sandbox_policy(loaded: Loaded, cwd: Path, add_dirs: Sequence[Path]) -> Policy:
    """The cage the settings ask for: by default the workspace, where it is one.

    Raises:
        ConfigError: the permission profile does not exist, or says what cannot be held.
    """
    settings = loaded.settings
    write, limits = settings.sandbox_workspace_write, settings.sandbox_limits
    name = permission_profile(loaded)
    if name is None:
        policy = _mode_policy(loaded, cwd, add_dirs)
    else:
        from octavo.sandbox.profiles import profile_policy

        policy = profile_policy(name, settings.permissions, cwd, add_dirs)
    return replace(
        policy,
        tmp=write.tmp,
        limits=Limits(
            pids=limits.pids,
            memory_bytes=limits.memory_bytes or None,
            file_size_bytes=limits.file_size_bytes or None,
            cpu_s=limits.cpu_s or None,
            open_files=limits.open_files or None,
        ),
    )


def permission_profile(loaded: Loaded) -> str | None:
    """Return the profile that holds; None where a `sandbox_mode` of a stronger layer does."""
    mode, profile = (loaded.sources.get(key) for key in ("sandbox_mode", "default_permissions"))
    if mode and profile and _LAYERS.index(mode.layer) > _LAYERS.index(profile.layer):
        return None
    return loaded.settings.default_permissions


def _mode_policy(loaded: Loaded, cwd: Path, add_dirs: Sequence[Path]) -> Policy:
    settings = loaded.settings
    is_workspace = loaded.trusted or loaded.repo_root is not None
    mode = settings.sandbox_mode or ("workspace-write" if is_workspace else "read-only")
    write = settings.sandbox_workspace_write
    opened = mode == "external" or (mode == "workspace-write" and write.network_access)
    return Policy(
        mode=Mode(mode),
        cwd=cwd,
        writable_roots=(*map(Path, write.writable_roots), *add_dirs),
        network=OPEN if opened else OFF,
        write_tmp=not write.exclude_slash_tmp,
        write_tmpdir=not write.exclude_tmpdir_env_var,
    )
