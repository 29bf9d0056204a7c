"""What a client may ask about MCP servers: as Codex has it, and octavo's own.

Apart from `methods`, as no thread needs it at its start.
"""

# No `annotations` of the future: msgspec would have to evaluate their text at every start.

from typing import Any, Literal

import msgspec

from octavo.protocol.methods import Method

RuntimeStatus = Literal[
    "notStarted",
    "starting",
    "connected",
    "authenticationRequired",
    "failed",
    "cancelled",
    "disabled",
]
AuthStatus = Literal["unknown", "unsupported", "notLoggedIn", "bearerToken", "oAuth"]
"""How a server over HTTP is opened: nothing is known, as it was not reached; it wants nothing, or
is a program; a person has to log in; with a token of the settings; with that of a login."""
Agreement = Literal["agreed", "changed", "seen", "unknown"]
"""A person agreed to what the server says of its tools; it says something else now; it was seen
and nobody agreed; it was never seen."""


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    pass


class McpStatusListParams(_Wire, frozen=True):
    """With a thread, of its servers as they run; else of those that a thread here would have."""

    thread_id: str | None = None
    server_name: str | None = None
    detail: Literal["full", "toolsAndAuthOnly"] | None = None
    cursor: str | None = None
    limit: int | None = None
    cwd: str | None = None


class McpServerStatus(_Wire, frozen=True, kw_only=True):
    """One server, and what it has. Tools by their real names, as the server describes them."""

    name: str
    tools: dict[str, dict[str, Any]]
    resources: tuple[dict[str, Any], ...] = ()
    resource_templates: tuple[dict[str, Any], ...] = ()
    auth_status: AuthStatus = "unsupported"
    server_info: dict[str, Any] | None = None
    server_capabilities: dict[str, Any] | None = None
    runtime_status: RuntimeStatus | None = None
    tools_error: str | None = None
    http_origin: str | None = None
    plugin_id: None = None
    octavo_agreement: Agreement = "unknown"
    octavo_log: tuple[str, ...] = ()
    """The last lines of its log."""


class McpStatusListResult(_Wire, frozen=True):
    data: tuple[McpServerStatus, ...]
    next_cursor: str | None = None


class McpResourceReadParams(_Wire, frozen=True):
    server: str
    uri: str
    thread_id: str | None = None
    cwd: str | None = None


class McpResourceReadResult(_Wire, frozen=True):
    contents: tuple[dict[str, Any], ...]
    origin_call_id: None = None


class McpToolCallParams(msgspec.Struct, frozen=True, rename={"thread_id": "threadId"}):
    """The client itself calls a tool; nobody is asked, and the model hears nothing of it."""

    thread_id: str
    server: str
    tool: str
    arguments: Any = None


class McpToolCallResult(
    msgspec.Struct,
    frozen=True,
    rename={
        "is_error": "isError",
        "structured_content": "structuredContent",
        "meta": "_meta",
    },
):
    content: tuple[dict[str, Any], ...]
    is_error: bool | None = None
    structured_content: Any = None
    meta: None = None


class McpChangesParams(_Wire, frozen=True):
    server: str
    cwd: str | None = None


class McpChangesResult(_Wire, frozen=True):
    """What a server says now, beside what was agreed to.

    Attributes:
        lines: to be shown to the person; nothing invisible is in them.
        digest: stands for all of it, to be given back with the yes.
    """

    agreement: Agreement
    lines: tuple[str, ...]
    tools: int
    digest: str


class McpAcceptParams(_Wire, frozen=True):
    """`digest`: of what the person was shown; something else is not agreed to."""

    server: str
    digest: str
    cwd: str | None = None


class McpAcceptResult(_Wire, frozen=True):
    tools: int


class McpOauthLoginParams(_Wire, frozen=True):
    """A person logs in at a server. Without a thread, at one that a thread here would have.

    Attributes:
        scopes: None: what the server asks for.
        timeout_secs: how long the person may take; 300.
        client_registration: octavo registers itself anew for each login ("dcr").
    """

    name: str
    scopes: tuple[str, ...] | None = None
    thread_id: str | None = None
    timeout_secs: int | None = None
    client_registration: Literal["auto", "cimd", "dcr"] | None = None
    cwd: str | None = None


class McpOauthLoginResult(_Wire, frozen=True):
    """The page that the person has to open; `mcpServer/oauthLogin/completed` follows.

    Attributes:
        octavo_hosts: all hosts that are spoken with in this login, with their ports.
    """

    authorization_url: str
    login_id: str
    octavo_hosts: tuple[str, ...] = ()


class McpLogoutParams(_Wire, frozen=True):
    server: str
    cwd: str | None = None


class McpLogoutResult(_Wire, frozen=True):
    """`warning`: why its tokens could not be revoked as well; they are forgotten all the same."""

    was_logged_in: bool
    warning: str | None = None


MCP_STATUS_LIST = Method("mcpServerStatus/list", McpStatusListParams, McpStatusListResult)
MCP_RESOURCE_READ = Method("mcpServer/resource/read", McpResourceReadParams, McpResourceReadResult)
MCP_TOOL_CALL = Method("mcpServer/tool/call", McpToolCallParams, McpToolCallResult)
MCP_OAUTH_LOGIN = Method("mcpServer/oauth/login", McpOauthLoginParams, McpOauthLoginResult)
MCP_LOGOUT = Method("octavo/mcp/logout", McpLogoutParams, McpLogoutResult)
MCP_CHANGES = Method("octavo/mcp/changes", McpChangesParams, McpChangesResult)
MCP_ACCEPT = Method("octavo/mcp/accept", McpAcceptParams, McpAcceptResult)
