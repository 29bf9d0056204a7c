"""Sandbox policies as the wire says them, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from octavo.config.settings import ApprovalPolicy
from octavo.protocol import methods as m
from octavo.protocol.methods import SandboxPolicy
from octavo.sandbox import OFF, OPEN, Mode, Network, Policy


def wire_policy(policy: Policy) -> SandboxPolicy:
    """`policy` in the app-server's words."""
    match policy.mode:
        case Mode.DANGER_FULL_ACCESS:
            return SandboxPolicy("dangerFullAccess", network_access=True)
        case Mode.EXTERNAL:
            is_off = policy.network.access == "off"
            access: Literal["restricted", "enabled"] = "restricted" if is_off else "enabled"
            return SandboxPolicy("externalSandbox", network_access=access)
        case Mode.READ_ONLY:
            return SandboxPolicy("readOnly", network_access=policy.network.access != "off")
        case Mode.WORKSPACE_WRITE:
            return SandboxPolicy(
                "workspaceWrite",
                tuple(str(root) for root in policy.writable_roots),
                policy.network.access != "off",
                not policy.write_tmpdir,
                not policy.write_tmp,
            )


def read_policy(wire: SandboxPolicy, policy: Policy) -> Policy:
    """`policy` changed to what `wire` says; directory and masked paths stay."""
    match wire.type_:
        case "dangerFullAccess":
            return msgspec.structs.replace(policy, mode=Mode.DANGER_FULL_ACCESS)
        case "externalSandbox":
            return msgspec.structs.replace(
                policy,
                mode=Mode.EXTERNAL,
                network=OPEN if wire.network_access in (True, "enabled") else OFF,
            )
        case "readOnly":
            return msgspec.structs.replace(
                policy, mode=Mode.READ_ONLY, network=_network(wire, policy)
            )
        case "workspaceWrite":
            return msgspec.structs.replace(
                policy,
                mode=Mode.WORKSPACE_WRITE,
                writable_roots=tuple(Path(root) for root in wire.writable_roots),
                network=_network(wire, policy),
                write_tmp=not wire.exclude_slash_tmp,
                write_tmpdir=not wire.exclude_tmpdir_env_var,
            )


def wire_approval(approval: ApprovalPolicy) -> m.ApprovalWord | m.GranularApproval:
    """`approval` in the app-server's words."""
    if isinstance(approval, str):
        return approval
    return msgspec.convert(msgspec.to_builtins(approval), m.GranularApproval)


def read_approval(wire: m.ApprovalWord | m.GranularApproval | None) -> Any:
    """The setting `approval_policy` that `wire` means; words of other versions ask on request."""
    if isinstance(wire, m.GranularApproval):
        return msgspec.to_builtins(wire)
    return wire if wire in (None, "never") else "on-request"


def read_reviewer(word: str | None) -> bool | None:
    """Whether a model judges in the person's place; None where nothing is said."""
    return None if word is None else word != "user"


def _network(wire: SandboxPolicy, policy: Policy) -> Network:
    """The wire knows on and off; what a person listed before counts as on."""
    if not wire.network_access:
        return OFF
    return OPEN if policy.network.access == "off" else policy.network
