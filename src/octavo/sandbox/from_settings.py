"""The policy that the settings ask for, the same for every command of octavo's that has a cage."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from octavo.config.load import Loaded
from octavo.protocol.errors import ConfigError
from octavo.sandbox import OFF, OPEN, Limits, Mode, Policy

_LAYERS = ("system", "user", "profile", "project", "override", "flag")
_LEAST_MEMORY_BYTES = 16 << 20
_LEAST_OPEN_FILES = 32


def sandbox_policy(loaded: Loaded, cwd: Path, add_dirs: Sequence[Path]) -> Policy:
    """The cage the settings ask for: by default the workspace, where it is one.

    Raises:
        ConfigError: the permission profile does not exist, or says what cannot be held; a writable
            root is none; a limit lets no program start.
    """
    settings = loaded.settings
    write, limits = settings.sandbox_workspace_write, settings.sandbox_limits
    _check_limits(loaded)
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
    if mode == "workspace-write":
        for root in write.writable_roots:
            _check_root(root, loaded)
    opened = mode == "external" or (mode == "workspace-write" and write.network_access)
    return Policy(
        mode=Mode(mode),
        cwd=cwd,
        writable_roots=(*map(Path, write.writable_roots), *add_dirs),
        network=OPEN if opened else OFF,
        write_tmp=not write.exclude_slash_tmp,
        write_tmpdir=not write.exclude_tmpdir_env_var,
    )


def _check_root(root: str, loaded: Loaded) -> None:
    real = os.path.realpath(root)
    if real != "/" and os.path.isdir(real):
        return
    named = repr(root) if real == root else f"{root!r}, which leads to {real!r},"
    if real == "/":
        why, hint = "is the whole disk", "Name the directories that commands are to write in."
    elif os.path.lexists(real):
        why, hint = "is not a directory", "Name the directory it is in."
    else:
        why, hint = "does not exist", "Make it with mkdir, or leave it out."
    key = ("sandbox_workspace_write", "writable_roots")
    raise ConfigError(f"{_where(loaded, key)}: writable_roots: {named} {why}.", hint=hint)


def _check_limits(loaded: Loaded) -> None:
    limits = loaded.settings.sandbox_limits
    for name, least in (("memory_bytes", _LEAST_MEMORY_BYTES), ("open_files", _LEAST_OPEN_FILES)):
        value: int = getattr(limits, name)
        if 0 < value < least:
            key = ("sandbox_limits", name)
            raise ConfigError(
                f"{_where(loaded, key)}: sandbox_limits.{name} is {value}, and hardly a program"
                f" starts with less than {least}.",
                hint="Raise it, or write 0 for no limit.",
            )


def _where(loaded: Loaded, key: tuple[str, ...]) -> str:
    """Return where a setting stands, for the beginning of a message."""
    from octavo.config.check import place

    source = loaded.sources.get(".".join(key))
    return "settings" if source is None else place(source, key)
