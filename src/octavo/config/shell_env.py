"""The environment that commands get.

A pure function from this process's environment and the `shell_environment_policy` settings.
Variables that look like keys are left out unless the settings say otherwise, and so are the
addresses of agents that would act for the user outside the cage, always.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from octavo.config.settings import ShellEnvironmentPolicy

Inherit = Literal["all", "core", "none"]

_DEFAULT_EXCLUDES = ("KEY", "SECRET", "TOKEN")
"""Anywhere in a name: `*KEY*`, `*SECRET*`, `*TOKEN*`."""

_CORE = frozenset(
    ("HOME", "LOGNAME", "PATH", "SHELL", "USER", "USERNAME", "TMPDIR", "TEMP", "TMP", "LANG")
)
_OUTSIDE_AGENTS = frozenset(
    (
        *("SSH_AUTH_SOCK", "SSH_AGENT_PID", "GPG_AGENT_INFO", "GNOME_KEYRING_CONTROL"),
        *("DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS"),
    )
)


def env_for(environ: Mapping[str, str], policy: ShellEnvironmentPolicy) -> dict[str, str]:
    """Return the environment for commands that `policy` asks for."""
    return command_env(
        environ,
        inherit=policy.inherit,
        ignore_default_excludes=policy.ignore_default_excludes,
        exclude=policy.exclude,
        include_only=policy.include_only,
        set=policy.set,
    )


def command_env(
    environ: Mapping[str, str],
    *,
    inherit: Inherit = "all",
    ignore_default_excludes: bool = False,
    exclude: Sequence[str] = (),
    include_only: Sequence[str] = (),
    set: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the environment for commands.

    Patterns are globs without regard to case. The order is Codex's: what is inherited, less the
    default excludes, less `exclude`, with `set` laid over it, and of that only `include_only`.
    """
    env = _inherited(environ, inherit)
    if not ignore_default_excludes:
        env = {name: value for name, value in env.items() if not is_excluded_by_default(name)}
    if exclude:
        unwanted = _matcher(exclude)
        env = {name: value for name, value in env.items() if not unwanted(name)}
    env.update(set or {})
    if include_only:
        wanted = _matcher(include_only)
        env = {name: value for name, value in env.items() if wanted(name)}
    return env


def is_excluded_by_default(name: str) -> bool:
    """Return whether a variable of this name is taken for a key."""
    return any(part in name.upper() for part in _DEFAULT_EXCLUDES)


def _inherited(environ: Mapping[str, str], inherit: Inherit) -> dict[str, str]:
    if inherit == "none":
        return {}
    return {
        name: value
        for name, value in environ.items()
        if name not in _OUTSIDE_AGENTS and (inherit == "all" or name.upper() in _CORE)
    }


def _matcher(globs: Sequence[str]) -> Callable[[str], bool]:
    import re  # most settings name no patterns
    from fnmatch import translate

    pattern = re.compile("|".join(map(translate, globs)), re.IGNORECASE)
    return lambda name: pattern.match(name) is not None
