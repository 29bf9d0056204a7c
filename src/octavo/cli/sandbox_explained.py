"""What a command could and could not touch in the sandbox, in plain words, without running it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence

import anyio

from octavo.config.load import Loaded
from octavo.context.visible import visible_line
from octavo.sandbox import Command, Limits, Mode, Network, Policy, Report, open_sandbox
from octavo.sandbox.cage.plan import Plan, make_plan
from octavo.sandbox.policy import orders_for

_WIDTH = 11
_SHOWN = 12
"""What is named one by one before the rest is counted."""

Line = tuple[str, str]
"""What it is about, or "" for more of the same; and what there is to say."""


def explain(command: Command, policy: Policy, loaded: Loaded) -> Iterator[str]:
    """Return the lines.

    Raises:
        SandboxError: no sandbox works here.
    """

    async def prove() -> Report:
        async with open_sandbox(policy) as sandbox:
            return await sandbox.ready()

    report = anyio.run(prove)
    plan = make_plan(orders_for(policy))
    plan.release()
    for name, said in _lines(command, policy, loaded, report, plan):
        yield f"{name:<{_WIDTH}} {said}".rstrip()


def _lines(
    command: Command, policy: Policy, loaded: Loaded, report: Report, plan: Plan
) -> Iterator[Line]:
    yield "Program", _program(command, plan)
    full = "a reduced one" if report.gaps else "the full one"
    yield "Sandbox", f"{report.tier}: {full}"
    for gap in report.gaps:
        yield "", f"Gap: {gap}"
    source = loaded.sources.get("sandbox_mode")
    default = "git repository or trusted" if policy.mode is Mode.WORKSPACE_WRITE else "not trusted"
    name = loaded.settings.default_permissions
    why = source.layer if source else default
    why = why if name is None else f"permission profile {visible_line(name)}, unless -s says else"
    yield "Mode", f"{policy.mode.value} ({why})"
    yield from _writing(policy, plan, is_full=report.tier in ("namespaces", "bubblewrap"))
    yield "Reads", "every file that you may read, except these:"
    yield from _paths("Hidden", plan.secrets)
    sockets = [path for path in plan.masks if path not in plan.secrets]
    yield from _paths("", sockets, "socket: ")
    yield from _network(policy.network, is_full=report.tier == "namespaces")
    yield "Processes", "it sees and signals only what it has started, all of which ends with it"
    yield "Limits", _limits(policy.limits)
    yield from _environment(command)


def _network(network: Network, *, is_full: bool) -> Iterator[Line]:
    if network.access == "open":
        yield "Network", "on"
    elif network.access == "off" or not is_full:
        servers = "; servers it starts itself can be reached on localhost"
        yield "Network", "off" + (servers if is_full else "")
    else:
        yield "Network", "off, except these hosts:"
        yield from _paths("", [*network.allow, *network.allow_local])
        yield from _paths("", network.deny, "never ")
        if network.reading_only:
            yield "", "and only to read: GET, HEAD and OPTIONS without TLS"


def _limits(limits: Limits) -> str:
    said = [f"{limits.pids} processes at a time"]
    if limits.memory_bytes is not None:
        said.append(f"{limits.memory_bytes} bytes of memory for each")
    if limits.file_size_bytes is not None:
        said.append(f"{limits.file_size_bytes} bytes in a file")
    if limits.cpu_s is not None:
        said.append(f"{limits.cpu_s} s of processor time for each")
    if limits.open_files is not None:
        said.append(f"{limits.open_files} open files for each")
    return ", ".join(said)


def _program(command: Command, plan: Plan) -> str:
    name = command.argv[0]
    path = name if "/" in name else shutil.which(name, path=command.env.get("PATH"))
    full = os.path.join(command.cwd, path) if path else ""
    if not os.path.isfile(full):
        return f"{visible_line(name)}: there is no such program"
    if not os.access(full, os.X_OK):
        return f"{visible_line(full)}: it may not be run"
    real = os.path.realpath(full)
    if any(real == mask or real.startswith(mask + "/") for mask in plan.masks):
        return f"{visible_line(real)}: hidden in the sandbox, so it cannot be run"
    leads = "" if real == full else f" (leads to {visible_line(real)})"
    return visible_line(full) + leads


def _writing(policy: Policy, plan: Plan, *, is_full: bool) -> Iterator[Line]:
    if not plan.roots:
        yield "Writes", "no file of yours"
    yield from _paths("Writes", plan.roots)
    if is_full:
        for path in plan.private:
            yield "", f"{visible_line(path)}: one of its own, empty at first and gone with it"
    asked = [os.path.realpath(path) for path in policy.writable_roots]
    for path in asked:
        if path not in plan.roots:
            yield (
                "",
                f"{visible_line(path)}: no, it is not a directory that can be written as a whole",
            )
    there = [path for path in plan.protected if not _is_placeholder(path)]
    yield from _paths("Read-only", there)
    missing = [os.path.basename(path) for path in plan.protected if _is_placeholder(path)]
    if missing:
        yield "", f"nor can it make {', '.join(missing)} in {visible_line(str(policy.cwd))}"


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


def _paths(title: str, paths: Sequence[str], prefix: str = "") -> Iterator[Line]:
    for number, path in enumerate(paths[:_SHOWN]):
        yield "" if number else title, prefix + visible_line(path)
    if len(paths) > _SHOWN:
        yield "", f"and {len(paths) - _SHOWN} more"


def _names(names: Sequence[str]) -> str:
    return ", ".join(map(visible_line, names))
