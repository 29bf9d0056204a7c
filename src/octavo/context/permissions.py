"""What the model is told it may do. The sandbox enforces it; this text only saves wrong tries."""

from __future__ import annotations

from collections.abc import Sequence

from octavo.context.visible import visible_line
from octavo.sandbox.policy import PROTECTED_NAMES

_NO_SANDBOX = (
    "There is no sandbox: commands run with all the rights of the user, network included, and",
    "nothing stops or undoes a mistake. Keep changes to the working directory unless the task",
    "needs more, and check every path before you delete or overwrite.",
)

_ONLY_READING = (
    "- Hosts can only be read from, with GET, HEAD and OPTIONS over plain `http://`: what is"
    " encrypted cannot be told apart and is blocked."
)
_NAMED = 20
"""How many entries of a profile are named one by one."""


def permissions_text(
    mode: str,
    writable_roots: Sequence[str],
    *,
    network: bool,
    approval: str,
    gaps: Sequence[str] = (),
    loopback: bool = True,
    alone: bool = False,
    protected: Sequence[str] = PROTECTED_NAMES,
    private_tmp: bool = False,
    hosts: Sequence[str] = (),
    denied: Sequence[str] = (),
    held: Sequence[str] = (),
    denied_hosts: Sequence[str] = (),
    only_reading: bool = False,
) -> str:
    """Return the permissions as the model reads them.

    Args:
        mode: "read-only", "workspace-write", "external" or "danger-full-access".
        writable_roots: every directory commands may write in, the working directory included.
        network: commands reach the network.
        approval: "never" or "on-request".
        gaps: what the sandbox cannot stop here, one sentence each.
        loopback: with the network off, a command reaches the servers it has started itself.
        alone: no person is there (`octavo exec`).
        protected: names that stay read-only inside the writable roots.
        private_tmp: commands have a `/tmp` of their own.
        hosts: patterns of the only hosts that commands reach.
        denied: paths and patterns of files that nobody may read.
        held: paths in the writable roots that are only to be read.
        denied_hosts: patterns of hosts that stay unreachable whatever is allowed.
        only_reading: hosts can be asked, and sent nothing.
    """
    asks = approval != "never" and not alone
    if mode in ("external", "danger-full-access"):
        lines = _external(network) if mode == "external" else list(_NO_SANDBOX)
        if asks:
            lines.append("You need not ask before a command: `sandbox_permissions` has no effect.")
    else:
        lines = [
            f"Commands and file changes are confined by a sandbox (mode `{mode}`):",
            "",
            "- Read: all files, except stored keys and credentials, which are hidden.",
            *_denied("Never to be read, and no permission changes that", denied),
            *_writing(mode, writable_roots, protected, asks, private_tmp),
            *_denied("Read-only as well", held),
            _network(network, hosts, asks=asks, loopback=loopback),
            *_denied("Hosts that are denied, whatever else is allowed", denied_hosts),
            *([_ONLY_READING] if only_reading and hosts else []),
            *_weaker(gaps),
            "",
            *_blocked(asks),
        ]
    lines += _presence(asks, alone)
    return "\n".join(["<permissions instructions>", *lines, "</permissions instructions>"])


def _external(network: bool) -> list[str]:
    return [
        "The container or machine that this runs in is the sandbox; octavo adds none. Commands run",
        "with all the rights of the user in it, and nothing undoes a mistake. Keep changes to the",
        "working directory unless the task needs more, and check every path before you delete or",
        "overwrite.",
        *([] if network else ["Its network is restricted: what fails there, fails again."]),
    ]


_REMOTES = {
    True: "`push`, `fetch` and `pull` over https ask the user.",
    False: "`push`, `fetch` and `pull` work only if the user has allowed them beforehand.",
}


def _writing(
    mode: str, roots: Sequence[str], protected: Sequence[str], asks: bool, private_tmp: bool
) -> list[str]:
    if mode == "read-only" or not roots:
        nowhere = (
            "- Write: nowhere, not even in `/tmp`. `apply_patch` and commands that write files"
            " fail; so do programs that need temporary files, such as most test runners."
        )
        only_there = (
            "- Write: nowhere but in `/tmp`, which is the sandbox's own and thrown away with it;"
            " commands may use it, such as test runners. `apply_patch` and commands that write"
            " elsewhere fail."
        )
        lines = [only_there if private_tmp else nowhere]
        if not asks:
            lines.append("- If the task asks for changes, show them as a diff in your report.")
        return lines
    places = ", ".join(f"`{visible_line(root)}`" for root in roots)
    lines = [f"- Write: only in {places} and below."]
    if private_tmp:
        lines.append(
            "- `/tmp` is the sandbox's own: empty at first, kept between commands, thrown away at"
            " the end; leave nothing there that the user is to have."
        )
    if protected:
        names = ", ".join(f"`{name}`" for name in protected)
        lines.append(
            f"- Read-only even there: {names}."
            " Those that are missing may show up as empty directories: pay them no attention."
        )
    if ".git" in protected:
        lines.append(
            "- git may write `.git` where a call is nothing but plain git: `add`, `commit`,"
            " `switch`, `branch`, `merge`, `rebase`, `stash`, `tag`, `reset` and the like, joined"
            " by `&&` or `;`; no pipes, variables, `-c` or other programs. Hooks, filters, editors"
            " and signing"
            f" are off there. {_REMOTES[asks]}"
        )
    return lines


def _network(network: bool, hosts: Sequence[str], *, asks: bool, loopback: bool) -> str:
    if network:
        return "- Network: on. Send nothing of the user's anywhere the task does not need."
    if hosts:
        named = ", ".join(f"`{visible_line(host)}`" for host in hosts)
        others = (
            " When a command needs another host, the user is asked, and you are told the answer."
            if asks
            else " Others cannot be allowed here."
        )
        return (
            f"- Network: only {named}, and servers you start yourself, on localhost.{others} Send"
            " nothing of the user's there that the task does not need."
        )
    reach = "; only servers you start yourself can be reached, on localhost" if loopback else ""
    return (
        f"- Network: off{reach}. Downloads, package installs and the like fail;"
        " trying again does not help. Work with what is installed."
    )


def _denied(title: str, entries: Sequence[str]) -> list[str]:
    if not entries:
        return []
    named = ", ".join(f"`{visible_line(entry)}`" for entry in entries[:_NAMED])
    more = f" and {len(entries) - _NAMED} more" if len(entries) > _NAMED else ""
    return [f"- {title}: {named}{more}."]


def _weaker(gaps: Sequence[str]) -> list[str]:
    if not gaps:
        return []
    return [
        "- The sandbox is weaker on this machine; keep to the limits where it does not stop you:",
        *(f"  - {gap}" for gap in gaps),
    ]


def _blocked(asks: bool) -> list[str]:
    if not asks:
        return [
            "These limits cannot be widened in this session: leave `sandbox_permissions` out, a",
            "call that asks for more is refused. When something the task needs is blocked, reach",
            "the same end inside the limits if that is sound; else do the rest, and say in your",
            "report what was blocked and the command the user can run. Do not try to get around",
            "the sandbox. Commands that cannot be undone (`git reset --hard`, forced deletion",
            "outside the writable directories, ...) or read (`eval`, functions) are refused.",
        ]
    return [
        "When a command the task needs fails because of these limits, call it again with",
        '`sandbox_permissions: "with_additional_permissions"`, the directories or hosts it needs',
        "in `additional_permissions`, and a `justification`: one short question to the user, as in",
        '"Look it up on docs.example.com?". If the user agrees, that one command gets',
        "them. Only what cannot work in any sandbox needs `require_escalated`: it runs outside.",
        "Ask for the one command that needs it, not for a script that does more, and try without",
        "first unless it cannot work. Commands that cannot be undone or read, and a patch outside",
        "the writable directories, ask by themselves. If the user declines, do not reach the same",
        "end another way; go on without it or say what is missing.",
    ]


def _presence(asks: bool, alone: bool) -> list[str]:
    if alone:
        return [
            "",
            "Nobody is there to answer while you work, `request_user_input` included. Do not end",
            "with a question or an offer: decide what is open yourself, in the way easiest to",
            "undo, and name the assumption in your report.",
        ]
    if not asks:
        return ["", "The user chose not to be asked for approvals."]
    return []
