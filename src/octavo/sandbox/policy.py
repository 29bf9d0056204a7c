"""A policy spelled out for the cage: real roots, secrets, protected names.

Read once from the environment of octavo itself; what commands are given as theirs plays no part.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from octavo.sandbox import Limits, Mode, Network, Policy
from octavo.sandbox.cage.listeners import PORTS
from octavo.sandbox.cage.orders import Orders

PROTECTED_NAMES = (
    ".git", ".octavo", ".agents", ".codex", ".claude", ".vscode", ".idea", ".envrc", ".mcp.json",
)  # fmt: skip
"""Read-only at the top of every writable root: what is there runs, or decides, later."""

_SECRETS_AT_HOME = (
    ".ssh", ".aws", ".azure", ".kube", ".gnupg", ".password-store", ".docker", ".config/gcloud",
    ".config/gh", ".config/op", ".config/containers", ".config/rclone", ".config/doctl",
    ".config/hub", ".config/google-chrome", ".config/chromium", ".config/BraveSoftware",
    ".config/microsoft-edge", ".mozilla", ".thunderbird", ".local/share/keyrings", ".netrc",
    ".git-credentials", ".config/git/credentials", ".pypirc", ".npmrc", ".yarnrc.yml",
    ".cargo/credentials.toml", ".cargo/credentials", ".gem/credentials", ".vault-token",
    ".terraform.d", ".pgpass", ".my.cnf", ".s3cfg", ".boto", ".bash_history", ".zsh_history",
    ".python_history", ".node_repl_history", ".psql_history", ".sqlite_history", ".lesshst",
    ".viminfo", ".local/share/fish/fish_history", ".codex/auth.json", ".codex/history.jsonl",
    ".codex/sessions", ".claude.json", ".claude/.credentials.json", ".claude/history.jsonl",
    ".claude/projects", ".gemini/oauth_creds.json", ".config/github-copilot",
    ".local/share/opencode/auth.json", ".octavo/auth.json",
)  # fmt: skip
SERVER_HOMES = "servers"
"""Where in octavo's directory servers have their homes; see `server_policy`."""
OUTPUTS = "outputs"
"""Where in octavo's directory the full outputs of commands are, which commands may read."""
MCP_LOGINS = "mcp_logins"
"""Where in octavo's directory the tokens of logins at servers are kept."""
_SECRETS_OF_OCTAVO = (
    "auth.json", "sessions", "archived_sessions", "index", "snapshots", "archive", SERVER_HOMES,
    "app-server.token", MCP_LOGINS,
)  # fmt: skip
"""The key, what other threads said and saw, what files were, what servers keep, what opens this
one, and logins at servers."""
_SECRETS_OF_THE_MACHINE = (
    "/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers",
    "/etc/sudoers.d", "/etc/ssl/private", "/etc/ssh", "/etc/krb5.keytab", "/root/.ssh", "/boot",
    "/lost+found", "/var/lib/docker", "/var/lib/containerd", "/var/lib/kubelet",
    "/var/run/secrets", "/var/lib/sss/secrets",
)  # fmt: skip

TIERS = ("namespaces", "bubblewrap", "landlock")
"""The mechanisms that confine, best first."""
Limit = tuple[int, int, int]
"""Which resource, as the system numbers them; what ends a process kindly; what ends it."""
_CPU, _FILE_SIZE, _DATA, _PROCESSES, _OPEN_FILES = 0, 1, 2, 6, 7
_CPU_GRACE_S = 2

UNCONFINED = ("none",)
"""What a person chooses: full access, a machine that is itself the sandbox, or one command or
change. Never a fallback."""


def orders_for(policy: Policy, tiers: Sequence[str] = TIERS) -> Orders:
    """Return what a cage for `policy` has to be."""
    private = [] if tiers == UNCONFINED else private_directories(policy)
    return Orders(
        cwd=os.fspath(policy.cwd),
        roots=[] if tiers == UNCONFINED else writable_roots(policy),
        private=private,
        kept=_needed_places(policy) if private else [],
        processes=policy.limits.pids,
        network=policy.network.access == "open",
        hosts=policy.network.access == "hosts",
        forwards=list(forwarded(policy.network)),
        sockets=[os.fspath(path) for path in policy.sockets],
        secrets=secrets_for(policy),
        protected=list(PROTECTED_NAMES),
        home=octavo_home(),
        tiers=list(tiers),
        read_only=[os.fspath(path) for path in policy.read_only],
        programs=None if policy.programs is None else [*map(os.fspath, policy.programs)],
    )


def forwarded(network: Network) -> dict[int, str]:
    """Return the local servers that commands find where they are outside, by port.

    Those are the ones that are listed as 127.0.0.1 or localhost with a port, if it is not one on
    which the cage itself listens.
    """
    if network.access != "hosts":
        return {}
    found: dict[int, str] = {}
    for text in (*network.allow_local, *network.allow):
        host, _, port = text.partition(":")
        if host in ("127.0.0.1", "localhost") and port.isdecimal() and int(port) not in PORTS:
            found.setdefault(int(port), host)
    return found


def secrets_for(policy: Policy) -> list[str]:
    """Return what nobody in a cage may read."""
    home = os.path.expanduser("~")
    secrets = [os.path.join(home, name) for name in _SECRETS_AT_HOME]
    secrets += [os.path.join(octavo_home(), name) for name in _SECRETS_OF_OCTAVO]
    secrets += _SECRETS_OF_THE_MACHINE
    secrets += map(os.fspath, policy.deny_read)
    if policy.deny_globs:
        from octavo.sandbox.globs import find

        secrets += find(policy.deny_globs).paths
    return secrets


def writable_roots(policy: Policy) -> list[str]:
    """Return where the policy lets commands write, as it names the places."""
    if policy.mode is not Mode.WORKSPACE_WRITE:
        return []
    roots = [os.fspath(policy.cwd)] if policy.write_cwd else []
    roots += map(os.fspath, policy.writable_roots)
    temporary = _temporary_directories()
    if policy.write_tmp or policy.tmp == "private":
        roots.append(temporary[0])
    if policy.write_tmpdir or policy.tmp == "private":
        roots += temporary[1:]
    return roots


def resource_limits(limits: Limits, *, tier: str) -> tuple[Limit, ...]:
    """Return what each process of a command in a cage of `tier` is limited to by itself."""
    if tier == UNCONFINED[0]:
        return ()
    cpu_s = limits.cpu_s
    found = [
        (_CPU, cpu_s, None if cpu_s is None else cpu_s + _CPU_GRACE_S),
        (_FILE_SIZE, limits.file_size_bytes, limits.file_size_bytes),
        (_DATA, limits.memory_bytes, limits.memory_bytes),
        (_OPEN_FILES, limits.open_files, limits.open_files),
    ]
    if tier in ("namespaces", "bubblewrap") and os.geteuid() != 0:
        # Counted in the cage's own user namespace, so what else the user runs plays no part.
        found.append((_PROCESSES, limits.pids, limits.pids))
    return tuple((which, soft, hard) for which, soft, hard in found if soft and hard)


def not_given(policy: Policy, *, tier: str) -> tuple[str, ...]:
    """Return as gaps what the policy allows and a tier beside the full one cannot give."""
    if tier in UNCONFINED:
        return ()
    globs: tuple[str, ...] = ()
    if policy.deny_globs:
        from octavo.sandbox.globs import gaps_of

        globs = gaps_of(policy.deny_globs)
    if tier == "namespaces":
        return globs
    hosts = "Allowed hosts cannot be reached: only the full sandbox has the proxy for them."
    sockets = "Allowed unix sockets cannot be reached: no unix socket can be."
    return (
        *globs,
        *((hosts,) if policy.network.access == "hosts" else ()),
        *((sockets,) if policy.sockets and tier == "landlock" else ()),
    )


def private_directories(policy: Policy) -> list[str]:
    """Return the directories of which commands get ones of their own instead."""
    if policy.mode is Mode.READ_ONLY or policy.tmp == "private":
        return _temporary_directories()
    return []


def _temporary_directories() -> list[str]:
    tmpdir = os.environ.get("TMPDIR", "")
    return ["/tmp", tmpdir] if os.path.isabs(tmpdir) else ["/tmp"]


def _needed_places(policy: Policy) -> list[str]:
    """Return what is to be seen also where a private directory lies over it."""
    repository = policy.cwd
    while not os.path.lexists(repository / ".git") and repository != repository.parent:
        repository = repository.parent
    places = [policy.cwd, repository] if repository != repository.parent else [policy.cwd]
    programs = [path for path in os.environ.get("PATH", "").split(":") if os.path.isabs(path)]
    return [*map(os.fspath, places), os.path.expanduser("~"), sys.prefix, *programs]


def octavo_home() -> str:
    """Return octavo's own directory, which commands may not write."""
    return os.path.abspath(os.environ.get("OCTAVO_HOME") or os.path.expanduser("~/.octavo"))
