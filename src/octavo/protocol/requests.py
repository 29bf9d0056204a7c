"""What the server asks clients: parameters and result of each server request.

Names and shapes are the app-server's v2 (Codex 0.169); fields that begin with `octavo` are
octavo's, and optional to understand. `asking` makes the parameters and reads the results; these
types describe them.
"""

# No `annotations` of the future: msgspec would have to evaluate their text at every start.

from typing import Any, Literal

import msgspec

from octavo.protocol.asking import APPROVE_COMMAND, APPROVE_FILE_CHANGE, ELICIT, REQUEST_USER_INPUT
from octavo.protocol.methods import Method
from octavo.protocol.questions import Offer


class _Wire(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    pass


class _Asked(_Wire, frozen=True, kw_only=True):
    thread_id: str
    turn_id: str
    item_id: str


class Program(_Wire, frozen=True):
    """A program that a command starts; `path` is null where it was not found."""

    name: str
    path: str | None


class FileSystemGrant(_Wire, frozen=True):
    write: tuple[str, ...]


class NetworkGrant(_Wire, frozen=True):
    enabled: bool


class AdditionalPermissions(_Wire, frozen=True):
    """What a command is to get besides what the policy gives."""

    file_system: FileSystemGrant | None
    network: NetworkGrant | None


class NetworkContext(_Wire, frozen=True):
    """The host a running command wants to reach."""

    host: str
    protocol: Literal["http", "https", "socks5Tcp", "socks5Udp"]


class NetworkAmendment(_Wire, frozen=True):
    host: str
    action: Literal["allow", "deny"]


class CommandApprovalParams(_Asked, frozen=True, kw_only=True):
    """May this command run as it asks to? Text is safe to print; `octavoCommand` is as it is."""

    kind: Literal["command"]
    started_at_ms: int
    approval_id: str | None
    environment_id: str | None
    command: str
    cwd: str
    reason: str | None
    command_actions: tuple[dict[str, Any], ...]
    available_decisions: tuple[Any, ...]
    proposed_execpolicy_amendment: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    network_approval_context: NetworkContext | msgspec.UnsetType = msgspec.UNSET
    proposed_network_policy_amendments: tuple[NetworkAmendment, ...] | msgspec.UnsetType = (
        msgspec.UNSET
    )
    additional_permissions: AdditionalPermissions | msgspec.UnsetType = msgspec.UNSET
    octavo_command: str | msgspec.UnsetType = msgspec.UNSET
    octavo_outside: bool | msgspec.UnsetType = msgspec.UNSET
    octavo_why: str | None | msgspec.UnsetType = msgspec.UNSET
    octavo_justification: str | None | msgspec.UnsetType = msgspec.UNSET
    octavo_rules: Any = msgspec.UNSET
    octavo_programs: tuple[Program, ...] | msgspec.UnsetType = msgspec.UNSET
    octavo_paths: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    octavo_offers: tuple[Offer, ...] | msgspec.UnsetType = msgspec.UNSET
    octavo_hosts: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    octavo_port: int | None | msgspec.UnsetType = msgspec.UNSET


class ApprovalResult(_Wire, frozen=True, kw_only=True):
    """`decision`: one of those that were offered; anything else is a no."""

    decision: Any
    octavo_remember: str | None = None
    """The id of the offer that is taken."""


class FileChangeApprovalParams(_Asked, frozen=True, kw_only=True):
    """May these files be changed?"""

    started_at_ms: int
    reason: str | None
    grant_root: str | None
    octavo_paths: tuple[str, ...]
    octavo_offers: tuple[Offer, ...]


class UserInputOption(_Wire, frozen=True):
    label: str
    description: str


class UserInputQuestion(_Wire, frozen=True):
    id: str
    header: str
    question: str
    is_other: bool
    is_secret: bool
    options: tuple[UserInputOption, ...] | None


class UserInputParams(_Asked, frozen=True, kw_only=True):
    """The model asks the person."""

    questions: tuple[UserInputQuestion, ...]
    is_blocking: bool
    auto_resolution_ms: int | None


class UserInputAnswer(_Wire, frozen=True):
    answers: tuple[str, ...]


class UserInputResult(_Wire, frozen=True):
    """By the questions' ids."""

    answers: dict[str, UserInputAnswer]


class ElicitationParams(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={
        "thread_id": "threadId",
        "turn_id": "turnId",
        "server_name": "serverName",
        "requested_schema": "requestedSchema",
        "elicitation_id": "elicitationId",
        "meta": "_meta",
        "octavo_item_id": "octavoItemId",
        "octavo_why": "octavoWhy",
        "octavo_arguments": "octavoArguments",
        "octavo_offers": "octavoOffers",
    },
):
    """An MCP server asks the person; or octavo asks whether its tool may be called.

    The latter has `codex_approval_kind` in `_meta`, and an empty form.
    """

    thread_id: str
    turn_id: str
    server_name: str
    mode: Literal["form", "url"]
    message: str
    requested_schema: Any = msgspec.UNSET
    url: str | msgspec.UnsetType = msgspec.UNSET
    elicitation_id: None | msgspec.UnsetType = msgspec.UNSET
    meta: Any = msgspec.UNSET
    octavo_item_id: str | msgspec.UnsetType = msgspec.UNSET
    octavo_why: str | msgspec.UnsetType = msgspec.UNSET
    octavo_arguments: str | msgspec.UnsetType = msgspec.UNSET
    octavo_offers: tuple[Offer, ...] | msgspec.UnsetType = msgspec.UNSET


class ElicitationResult(msgspec.Struct, frozen=True, rename={"meta": "_meta"}):
    """What was filled in, with "accept". `persist` in `_meta` ("session") remembers a yes."""

    action: Literal["accept", "decline", "cancel"]
    content: Any = None
    meta: Any = None


REQUESTS = (
    Method(ELICIT, ElicitationParams, ElicitationResult),
    Method(APPROVE_COMMAND, CommandApprovalParams, ApprovalResult),
    Method(APPROVE_FILE_CHANGE, FileChangeApprovalParams, ApprovalResult),
    Method(REQUEST_USER_INPUT, UserInputParams, UserInputResult),
)
