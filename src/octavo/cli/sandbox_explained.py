"""What a command could and could not touch in the sandbox, in plain words, without running it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence

import anyio

from octavo.config.load import Loaded
from octavo.protocol.visible import visible_name
from octavo.sandbox import Command, Limits, Mode, Network, Policy, Report, open_sandbox
from octavo.sandbox.cage.plan import Plan, make_plan
from octavo.sandbox.from_settings import permission_profile
from octavo.sandbox.policy import PROTECTED_NAMES, octavo_home, orders_for

_WIDTH = 11
_SHOWN = 12
"""What is named one by one before the rest is counted."""

Line = tuple[str, str]
"""What it is about, or "" for more of the same; and what there is to say."""


class Reasons:
    """Why a path is what it is, in a few words; paths are real ones."""

    def __init__(self, policy: Policy, loaded: Loaded) -> None:
        self.profile = permission_profile(loaded)
        self.of_profile = f"profile {self.profile}" if self.profile else ""
        self._cwd = os.path.realpath(policy.cwd)
        written = loaded.settings.sandbox_workspace_write.writable_roots
        named = () if self.profile else written
        self._roots = {os.path.realpath(root): root for root in named}
        self._held = [*map(os.path.realpath, policy.read_only)]
        self._denied = [*map(os.path.realpath, policy.deny_read)]
        if policy.deny_globs:
            from octavo.sandbox.globs import find

            self._denied += map(os.path.realpath, find(policy.deny_globs).paths)

    def writable(self, path: str) -> str:
        if path == self._cwd:
            return self.of_profile or "the working directory"
        if path in self._roots:
            named = self._roots[path]
            return "writable_roots" + ("" if named == path else f": {visible_name(named)}")
        if path in (os.path.realpath("/tmp"), os.path.realpath(os.environ.get("TMPDIR", "/tmp"))):
            return self.of_profile or "temporary files"
        return self.of_profile or "--add-dir"

    def held(self, path: str) -> str:
        if path in self._held:
            return self.of_profile
        if path == os.path.realpath(octavo_home()):
            return "octavo's own"
        if "/.git/" in path + "/":
            return "git's own: what is there can run later"
        name = os.path.basename(path)
        return "protected: it runs or decides later" if name in PROTECTED_NAMES else ""

    def hidden(self, path: str) -> str:
        return self.of_profile if path in self._denied else "keys, history, or root's alone"

    def denied(self, path: str) -> str:
        del path
        return self.of_profile


def explain(
    command: Command, policy: Policy, loaded: Loaded, *, network_is_asked: bool = False
) -> Iterator[str]:
    """Return the lines.

    Args:
        network_is_asked: the command line says whom it reaches, not the settings.

    Raises:
        SandboxError: no sandbox works here.
    """

    async def prove() -> Report:
        async with open_sandbox(policy) as sandbox:
            return await sandbox.ready()

    report = anyio.run(prove)
    plan = make_plan(orders_for(policy))
    plan.release()
    reasons = Reasons(policy, loaded)
    asked = "--network" if network_is_asked else ""
    for name, said in _lines(command, policy, loaded, report, plan, reasons, asked):
        yield f"{name:<{_WIDTH}} {said}".rstrip()


def _lines(
    command: Command,
    policy: Policy,
    loaded: Loaded,
    report: Report,
    plan: Plan,
    reasons: Reasons,
    asked: str,
) -> Iterator[Line]:
    yield "Program", _program(command, plan)
    full = "a reduced one" if report.gaps else "the full one"
    yield "Sandbox", f"{report.tier}: {full}"
    for gap in report.gaps:
        yield "", f"Gap: {gap}"
    if reasons.profile is not None:
        source = loaded.sources.get("default_permissions")
        yield "Profile", f"{reasons.profile} ({source.layer if source else 'default'})"
    source = None if reasons.profile else loaded.sources.get("sandbox_mode")
    default = "git repository or trusted" if policy.mode is Mode.WORKSPACE_WRITE else "not trusted"
    yield (
        "Mode",
        f"{policy.mode.value} ({source.layer if source else reasons.of_profile or default})",
    )
    yield from _writing(policy, plan, reasons, is_full=report.tier in ("namespaces", "bubblewrap"))
    yield "Reads", "every file that you may read, except these:"
    yield from _paths("Hidden", plan.secrets, why=reasons.hidden)
    sockets = [path for path in plan.masks if path not in plan.secrets]
    yield from _paths("", sockets, "socket: ")
    globs = [glob for glob in policy.deny_globs if not glob.startswith("!")]
    yield from _paths("", globs, "and what matches ", why=reasons.denied)
    is_full = report.tier == "namespaces"
    yield from _network(policy.network, asked or reasons.of_profile, is_full=is_full)
    yield from _paths("Sockets", plan.sockets, "may connect to ", why=reasons.denied)
    if plan.programs is not None:
        yield from _paths("Programs", plan.programs, "only ")
    yield "Processes", "it sees and signals only what it has started, all of which ends with it"
    yield "Limits", _limits(policy.limits)
    yield from _environment(command)


def _network(network: Network, source: str, *, is_full: bool) -> Iterator[Line]:
    because = f" ({source})" if source else ""
    if network.access == "open":
        yield "Network", f"on{because}"
    elif network.access == "off" or not is_full:
        servers = "; servers it starts itself can be reached on localhost"
        yield "Network", "off" + (servers if is_full else "")
    else:
        yield "Network", f"off, except these hosts{because}:"
        yield from _paths("", [*network.allow, *network.allow_local])
        yield from _paths("", network.deny, "never ")
        if network.reading_only:
            yield "", "and only to read: GET, HEAD and OPTIONS without TLS"


def _limits(limits: Limits) -> str:
    said = [f"{limits.pids} processes at a time"]
    if limits.memory_bytes is not None:
        said.append(f"{_size(limits.memory_bytes)} of memory for each")
    if limits.file_size_bytes is not None:
        said.append(f"{_size(limits.file_size_bytes)} in a file")
    if limits.cpu_s is not None:
        said.append(f"{limits.cpu_s} s of processor time for each")
    if limits.open_files is not None:
        said.append(f"{limits.open_files} open files for each")
    return ", ".join(said)


def _size(size_bytes: int) -> str:
    for unit, one in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size_bytes and size_bytes % one == 0:
            return f"{size_bytes // one} {unit}"
    return f"{size_bytes} bytes"


def _program(command: Command, plan: Plan) -> str:
    name = command.argv[0]
    path = name if "/" in name else shutil.which(name, path=command.env.get("PATH"))
    full = os.path.join(command.cwd, path) if path else ""
    if not os.path.isfile(full):
        return f"{visible_name(name)}: there is no such program"
    if not os.access(full, os.X_OK):
        return f"{visible_name(full)}: it may not be run"
    real = os.path.realpath(full)
    if any(real == mask or real.startswith(mask + "/") for mask in plan.masks):
        return f"{visible_name(real)}: hidden in the sandbox, so it cannot be run"
    leads = "" if real == full else f" (leads to {visible_name(real)})"
    return visible_name(full) + leads


def _writing(policy: Policy, plan: Plan, reasons: Reasons, *, is_full: bool) -> Iterator[Line]:
    if not plan.roots:
        yield "Writes", "no file of yours"
    yield from _paths("Writes", plan.roots, why=reasons.writable)
    if is_full:
        for path in plan.private:
            yield "", f"{visible_name(path)}: one of its own, empty at first and gone with it"
    asked = [os.path.realpath(path) for path in policy.writable_roots]
    for path in asked:
        if path not in plan.roots:
            yield (
                "",
                f"{visible_name(path)}: no, it is not a directory that can be written as a whole",
            )
    there = [path for path in plan.protected if not _is_placeholder(path)]
    yield from _paths("Read-only", there, why=reasons.held)
    missing = [os.path.basename(path) for path in plan.protected if _is_placeholder(path)]
    if missing:
        yield "", f"nor can it make {', '.join(missing)} in {visible_name(str(policy.cwd))}"
    if plan.roots and policy.write_cwd:
        yield "Git", "the model's plain git commands (add, commit, switch, …) may write .git"
        yield "", "in a cage of their own, in which only git runs; this command may not"


def _is_placeholder(path: str) -> bool:
    """Whether it was there only for the plan, which has been released."""
    return not os.path.lexists(path)


def _environment(command: Command) -> Iterator[Line]:
    removed = sorted(name for name in os.environ if name not in command.env)
    added = sorted(name for name in command.env if command.env[name] != os.environ.get(name))
    if removed:
        yield "Environment", f"without {_names(removed)}"
    if added:
        yield "" if removed else "Environment", f"with its own {_names(added)}"
    if not removed and not added:
        yield "Environment", "as it is here"


def _paths(
    title: str, paths: Sequence[str], prefix: str = "", why: Callable[[str], str] | None = None
) -> Iterator[Line]:
    for number, path in enumerate(paths[:_SHOWN]):
        reason = "" if why is None else why(path)
        because = f" ({reason})" if reason else ""
        yield "" if number else title, prefix + visible_name(path) + because
    if len(paths) > _SHOWN:
        yield "", f"and {len(paths) - _SHOWN} more"


def _names(names: Sequence[str]) -> str:
    return ", ".join(map(visible_name, names))
