"""Permission profiles: `[permissions.X]` as the part of a policy that it decides.

The most specific entry holds; of two about the same place, "deny" before "write" before "read".
Reading is possible everywhere unless it is denied, as without profiles. What the cage could not
hold is refused here with a sentence, and nothing is run: a readable place in a hidden one, a
hidden one around the workspace.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from octavo.config.settings import FileAccess, PermissionProfile, ProfileNetwork
from octavo.protocol.errors import ConfigError
from octavo.sandbox import OFF, OPEN, Mode, Network, Policy
from octavo.sandbox.globs import is_glob

FULL_ACCESS = ":danger-full-access"
_WORKSPACE = ":workspace_roots"
BUILT_IN: Mapping[str, PermissionProfile] = {
    ":read-only": PermissionProfile(filesystem={":root": "read"}),
    ":workspace": PermissionProfile(
        filesystem={":root": "read", _WORKSPACE: "write", ":tmpdir": "write", ":slash_tmp": "write"}
    ),
}
_SPECIAL = (":root", ":tmpdir", ":slash_tmp", _WORKSPACE)
_STRENGTH = {"read": 0, "write": 1, "deny": 2}


class Entry(Struct, frozen=True):
    """What one line of a profile says about one place."""

    key: str
    """As it stands in the file, for messages."""
    place: str
    """Absolute; a pattern if `is_glob(place)`."""
    access: FileAccess


def profile_policy(
    name: str, profiles: Mapping[str, PermissionProfile], cwd: Path, add_dirs: Sequence[Path] = ()
) -> Policy:
    """Return what profile `name` allows in `cwd`; `add_dirs` are workspace roots as well.

    Raises:
        ConfigError: there is no such profile, or it says what cannot be held.
    """
    if name == FULL_ACCESS:
        return Policy(mode=Mode.DANGER_FULL_ACCESS, cwd=cwd, network=OPEN)
    misnamed = next((known for known in profiles if known.startswith(":") or not known), None)
    if misnamed is not None:
        raise ConfigError(
            f"permissions.{misnamed!r}: names that begin with a colon are octavo's own.",
            hint="Give the profile another name.",
        )
    profile = _inherited(name, profiles)
    where = f"permissions.{name}"
    roots = [cwd, *add_dirs]
    entries = list(_entries(profile.filesystem, roots, f"{where}.filesystem"))
    network, sockets = _network(profile.network, f"{where}.network")
    policy = _files(entries, cwd, add_dirs, f"{where}.filesystem")
    return replace(policy, network=network, sockets=sockets)


def _inherited(name: str, profiles: Mapping[str, PermissionProfile]) -> PermissionProfile:
    """Return a profile with all that it extends."""
    chain: list[str] = []
    merged: PermissionProfile | None = None
    following: str | None = name
    while following is not None:
        if following in chain:
            circle = " → ".join([*chain, following])
            raise ConfigError(
                f"permissions.{name}: it extends itself: {circle}.",
                hint="Take one `extends` out.",
            )
        profile = profiles.get(following) or BUILT_IN.get(following)
        if profile is None:
            raise _unknown(following, chain[-1] if chain else None, profiles)
        chain.append(following)
        merged = profile if merged is None else _over(merged, profile)
        following = profile.extends
    assert merged is not None
    return merged


def _unknown(name: str, by: str | None, profiles: Mapping[str, PermissionProfile]) -> ConfigError:
    there = ", ".join([*sorted(profiles), *BUILT_IN, FULL_ACCESS])
    if by is None:
        message = f"There is no permission profile {name!r}."
    elif name == FULL_ACCESS:
        message = f"permissions.{by}: {name} cannot be extended, because it confines nothing."
    else:
        message = f"permissions.{by} extends {name!r}, which does not exist."
    return ConfigError(message, hint=f"There are: {there}.")


def _over(own: PermissionProfile, base: PermissionProfile) -> PermissionProfile:
    """Return `own` with what only `base` says."""
    filesystem = {**base.filesystem, **own.filesystem}
    below, above = base.filesystem.get(_WORKSPACE), own.filesystem.get(_WORKSPACE)
    if isinstance(above, Mapping) and below is not None:
        inherited = below if isinstance(below, Mapping) else {".": below}
        filesystem[_WORKSPACE] = {**inherited, **above}
    mine, theirs = own.network, base.network
    return PermissionProfile(
        filesystem=filesystem,
        network=ProfileNetwork(
            enabled=theirs.enabled if mine.enabled is None else mine.enabled,
            mode=mine.mode or theirs.mode,
            domains={**theirs.domains, **mine.domains},
            unix_sockets={**theirs.unix_sockets, **mine.unix_sockets},
        ),
    )


def _entries(
    table: Mapping[str, FileAccess | dict[str, FileAccess]], roots: Sequence[Path], where: str
) -> Iterator[Entry]:
    for key, access in table.items():
        if isinstance(access, dict):
            if key != _WORKSPACE:
                raise ConfigError(
                    f"{where}.{key!r}: only {_WORKSPACE!r} can be a table.",
                    hint='Write it as "path" = "read", "write" or "deny".',
                )
            for inner, inner_access in access.items():
                _check_inner(inner, f"{where}.{_WORKSPACE!r}")
                for root in roots:
                    place = os.path.normpath(root / inner)
                    yield _entry(inner, place, inner_access, f"{where}.{_WORKSPACE!r}")
            continue
        for place in _places(key, roots, where):
            yield _entry(key, place, access, where)


def _check_inner(key: str, where: str) -> None:
    inside = os.path.normpath(key)
    if _is_odd(key) or os.path.isabs(key) or key[:1] in (":", "~") or inside.split("/")[0] == "..":
        raise ConfigError(
            f"{where}.{key!r}: this is not a path inside the workspace.",
            hint=f"Write it relative to the workspace, or outside the table {_WORKSPACE!r}.",
        )


def _places(key: str, roots: Sequence[Path], where: str) -> list[str]:
    """Return the places that a name outside the workspace's table means here."""
    if key.startswith(":"):
        if key not in _SPECIAL:
            raise ConfigError(
                f"{where}.{key!r}: there is no such special place.",
                hint=f"There are: {', '.join(_SPECIAL)}.",
            )
        tmpdir = os.environ.get("TMPDIR", "")
        places = {":root": ["/"], ":slash_tmp": ["/tmp"], _WORKSPACE: [*map(str, roots)]}
        return places.get(key) or ([tmpdir] if os.path.isabs(tmpdir) else [])
    path = os.path.expanduser(key)
    if _is_odd(key) or not os.path.isabs(path):
        raise ConfigError(
            f"{where}.{key!r}: the path is relative.",
            hint=f"Write it from / or ~/, or put it into [{where}.{_WORKSPACE!r}].",
        )
    return [os.path.normpath("/" + path.lstrip("/"))]


def _is_odd(key: str) -> bool:
    return not key or "\0" in key


def _entry(key: str, place: str, access: FileAccess, where: str) -> Entry:
    if is_glob(place) and access != "deny":
        raise ConfigError(
            f"{where}.{key!r}: a pattern can only be denied.",
            hint=f'Name the directory that is "{access}".',
        )
    if not is_glob(place) and os.path.realpath(place) == "/" and access != "read":
        raise ConfigError(
            f'{where}.{key!r}: the whole disk cannot be "{access}".',
            hint=f'Name the directories that are; or use "{FULL_ACCESS}", which confines nothing.'
            if access == "write"
            else "Name what is to be hidden: commands need the programs on the disk.",
        )
    return Entry(key, place if is_glob(place) else os.path.realpath(place), access)


def _files(entries: Sequence[Entry], cwd: Path, add_dirs: Sequence[Path], where: str) -> Policy:
    decided: dict[str, Entry] = {}
    for entry in entries:
        known = decided.get(entry.place)
        if known is None or _STRENGTH[known.access] < _STRENGTH[entry.access]:
            decided[entry.place] = entry
    here = os.path.realpath(cwd)
    plain = {place: entry for place, entry in decided.items() if not is_glob(place)}
    for directory in map(os.path.realpath, add_dirs):
        plain.setdefault(directory, Entry("--add-dir", directory, "write"))
    needed = Entry("the working directory", here, "read")
    for entry in [*plain.values(), needed]:
        around = _around(entry.place, plain, itself=entry is needed)
        if around is not None and around.access == "deny" and entry.access != "deny":
            raise ConfigError(
                f"{where}.{around.key!r}: it is denied and holds {entry.place}, which is not.",
                hint="A denied directory is hidden with all in it: deny what is beside it instead.",
            )
    writes = [place for place, entry in plain.items() if entry.access == "write"]
    held = [
        place
        for place, entry in plain.items()
        if entry.access == "read" and (up := _around(place, plain)) and up.access == "write"
    ]
    denied = [place for place, entry in plain.items() if entry.access == "deny"]
    tmpdir = os.environ.get("TMPDIR", "")
    shown = [f"!{place}" for place, entry in plain.items() if entry.access != "deny"]
    globs = [place for place in decided if is_glob(place)]
    temporary = {os.path.realpath("/tmp"), os.path.realpath(tmpdir) if tmpdir else ""}
    return Policy(
        mode=Mode.WORKSPACE_WRITE if writes else Mode.READ_ONLY,
        cwd=cwd,
        writable_roots=tuple(Path(p) for p in writes if p != here and p not in temporary),
        write_cwd=here in writes or not writes,
        write_tmp=os.path.realpath("/tmp") in writes,
        write_tmpdir=bool(tmpdir) and os.path.realpath(tmpdir) in writes,
        deny_read=tuple(map(Path, denied)),
        deny_globs=(*globs, *(shown if globs else ())),
        read_only=tuple(map(Path, held)),
    )


def _around(place: str, plain: Mapping[str, Entry], *, itself: bool = False) -> Entry | None:
    """Return the nearest entry about a directory that `place` is in."""
    if itself and place in plain:
        return plain[place]
    while place != "/":
        place = os.path.dirname(place)
        if place in plain:
            return plain[place]
    return None


def _network(asked: ProfileNetwork, where: str) -> tuple[Network, tuple[Path, ...]]:
    sockets: list[Path] = []
    for key, access in asked.unix_sockets.items():
        path = os.path.expanduser(key)
        if _is_odd(key) or not os.path.isabs(path):
            raise ConfigError(
                f"{where}.unix_sockets.{key!r}: the path is relative.",
                hint="Write it from / or ~/.",
            )
        if access == "allow":
            sockets.append(Path(path))
    allow = tuple(host for host, access in asked.domains.items() if access == "allow")
    deny = tuple(host for host, access in asked.domains.items() if access == "deny")
    if asked.domains:
        from octavo.sandbox.net.rules import HostRules  # only where hosts are named

        try:
            HostRules(allow, deny)
        except ConfigError as error:
            raise ConfigError(f"{where}.domains: {error.args[0]}", hint=error.hint) from None
    enabled = bool(allow) if asked.enabled is None else asked.enabled
    if not enabled:
        return OFF, tuple(sockets)
    limited = asked.mode == "limited"
    if not asked.domains and not limited:
        return OPEN, tuple(sockets)
    hosts = allow if asked.domains else ("*",)
    return Network("hosts", allow=hosts, deny=deny, reading_only=limited), tuple(sockets)
