"""What a policy is in the words of macOS: a Seatbelt profile for `sandbox-exec`.

A pure generator. Nothing of octavo runs its result yet: it has not been tried on macOS, and octavo
refuses to run commands there. What it promises is tested in the text itself.

Later rules win over earlier ones in a profile, so what is allowed comes before what is denied. No
path stands in the text: paths are parameters, given beside it as `-D NAME=value`, so that no name
can be read as a rule. Names that are protected in a root are denied by a pattern, which covers
those that do not exist yet; a pattern is text, and what is in it is escaped twice.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec

from octavo.protocol.errors import SandboxError
from octavo.sandbox import Policy
from octavo.sandbox.policy import PROTECTED_NAMES, private_directories, secrets_for, writable_roots

PROGRAM = "/usr/bin/sandbox-exec"
"""Never looked for anywhere else."""

_MOVED = ("/tmp", "/var", "/etc")
"""On macOS these are links into /private, and rules match only real paths."""

_HEAD = """\
(version 1)
(deny default)
(allow process-exec process-fork)
(allow process-info* (target same-sandbox))
(allow signal (target same-sandbox))
(allow sysctl-read)
(allow file-read*)
(allow file-write-data file-ioctl
    (literal "/dev/null") (literal "/dev/zero") (literal "/dev/tty") (literal "/dev/ptmx")
    (regex #"^/dev/ttys[0-9]+$"))
(allow pseudo-tty)
(allow ipc-posix-sem)
(allow mach-lookup
    (global-name "com.apple.system.opendirectoryd.libinfo")
    (global-name "com.apple.system.logger")
    (global-name "com.apple.system.notification_center")
    (global-name "com.apple.bsd.dirhelper")
    (global-name "com.apple.PowerManagement.control"))
"""
"""What Python, node, git and a shell need to start at all, and nothing that leads out."""


class Profile(msgspec.Struct, frozen=True):
    """A profile and the values of its parameters."""

    text: str
    parameters: dict[str, str]

    def argv(self, command: Sequence[str]) -> tuple[str, ...]:
        """Return the command line that runs `command` under it."""
        given = [f"-D{name}={value}" for name, value in self.parameters.items()]
        return (PROGRAM, "-p", self.text, *given, "--", *command)


def profile(policy: Policy, *, proxy_port: int | None = None) -> Profile:
    """Return the profile for `policy`.

    Args:
        policy: what commands may touch. Its limits are not a profile's business.
        proxy_port: where the proxy for allowed hosts listens on localhost; without it, a policy
            with allowed hosts has no network.

    Raises:
        SandboxError: the policy says what a profile cannot, or a path has a character no profile
            can hold.
    """
    if not policy.mode.is_confined:
        raise SandboxError(f"There is no profile for the mode {policy.mode.value}.")
    if private_directories(policy) and policy.tmp == "private":
        raise SandboxError("A private /tmp is not to be had on macOS.")
    written = _Writer()
    roots = list(dict.fromkeys(_real(root) for root in writable_roots(policy)))
    if "/" in roots:
        raise SandboxError("The whole disk cannot be a writable directory.")
    for root in roots:
        written.allow_root(root, {*roots})
    for held in policy.read_only:
        written.rule("deny", "file-write*", _subtree(written.name("READ_ONLY", _real(held))))
    for secret in secrets_for(policy):
        for path in dict.fromkeys((_canonical(secret), _real(secret))):
            name = written.name("SECRET", path)
            written.rule("deny", "file-read* file-write*", _subtree(name))
    if policy.programs is not None:
        written.rule("deny", "process-exec", "")
        for program in policy.programs:
            name = written.name("PROGRAM", _real(program))
            written.rule("allow", "process-exec", _subtree(name))
    _network(written, policy, proxy_port)
    return Profile(_HEAD + "".join(written.rules), written.parameters)


class _Writer:
    """Rules in order, and the parameters they speak of."""

    def __init__(self) -> None:
        self.rules: list[str] = []
        self.parameters: dict[str, str] = {}

    def name(self, kind: str, path: str) -> str:
        """Return the name of a parameter for `path`."""
        if "\0" in path or not os.path.isabs(path):
            raise SandboxError(f"{path!r} cannot be a path of a sandbox.")
        name = f"{kind}_{sum(known.startswith(f'{kind}_') for known in self.parameters)}"
        self.parameters[name] = path
        return name

    def rule(self, verdict: str, operations: str, what: str) -> None:
        self.rules.append(f"({verdict} {operations}{' ' if what else ''}{what})\n")

    def allow_root(self, root: str, opened: set[str]) -> None:
        """Allow writing below `root`, but for its protected names, whether they exist or not."""
        name = self.name("ROOT", root)
        parts = [f'(subpath (param "{name}"))']
        for protected in PROTECTED_NAMES:
            path = os.path.join(root, protected)
            if path not in opened:
                held = self.name("PROTECTED", path)
                parts.append(f'(require-not (literal (param "{held}")))')
                parts.append(f'(require-not (subpath (param "{held}")))')
        patterns = map(_quoted, _patterns(root, opened))
        parts += [f"(require-not (regex {pattern}))" for pattern in patterns]
        # The root itself is not renamed or removed, or all that is protected in it would move.
        parts.append(f'(require-not (literal (param "{name}")))')
        self.rule("allow", "file-write*", f"(require-all {' '.join(parts)})")


def _patterns(root: str, opened: set[str]) -> list[str]:
    """Return anchored patterns of names that are not writable in `root`.

    Names in any case, because disks of a Mac usually make no difference; and the settings and
    hooks of repositories at any depth.
    """
    top = "^" + _escaped(root.rstrip("/")) + "/"
    names = [_any_case(name) for name in PROTECTED_NAMES if os.path.join(root, name) not in opened]
    nested = _any_case(".git")
    deeper = f"{top}(.+/){nested}/({_any_case('config')}|{_any_case('hooks')})(/.*)?$"
    return [*(f"{top}{name}(/.*)?$" for name in names), deeper]


def _any_case(name: str) -> str:
    return "".join(
        f"[{char.lower()}{char.upper()}]" if char.isalpha() else _escaped(char) for char in name
    )


def _escaped(text: str) -> str:
    """Return a pattern that matches just `text`."""
    return "".join(f"\\{char}" if char in r"\.^$|?*+()[]{}" else char for char in text)


def _quoted(text: str) -> str:
    """Return a string literal of the profile's language."""
    if any(ord(char) < 0x20 or ord(char) == 0x7F for char in text):
        raise SandboxError("A writable directory with a control character in its name is refused.")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _subtree(name: str) -> str:
    return f'(literal (param "{name}")) (subpath (param "{name}"))'


def _network(written: _Writer, policy: Policy, proxy_port: int | None) -> None:
    """Nothing at all, the proxy alone, or everybody; unix sockets only those that are named."""
    network = policy.network
    if network.access == "open":
        written.rule("allow", "network-outbound", '(remote ip "*:*")')
        written.rule("allow", "network-inbound network-bind", '(local ip "*:*")')
        resolver = '(literal "/private/var/run/mDNSResponder")'
        written.rule("allow", "network-outbound", resolver)
    elif network.access == "hosts" and proxy_port is not None:
        if not 0 < proxy_port < 65536:
            raise SandboxError(f"{proxy_port} is no port.")
        written.rule("allow", "network-outbound", f'(remote ip "localhost:{proxy_port}")')
    for path in policy.sockets:
        name = written.name("SOCKET", _real(path))
        written.rule("allow", "network-outbound", f'(literal (param "{name}"))')


def _real(path: os.PathLike[str] | str) -> str:
    return _canonical(os.path.realpath(path))


def _canonical(path: str) -> str:
    """Return where macOS has `path`: what is a link there need not be one where this runs."""
    path = os.path.normpath(path)
    for top in _MOVED:
        if path == top or path.startswith(f"{top}/"):
            return f"/private{path}"
    return path
