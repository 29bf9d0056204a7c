"""What octavo and a server's host say to each other: JSON-RPC over the host's pipes.

The host is in the cage with the server, so nothing it says is believed more than the server is.
"""

# No `annotations` of the future: msgspec would have to evaluate their text at every start.

from typing import Any, Literal

import msgspec

CONNECT = "connect"
CALL = "call"
LIST = "list"
READ = "read"
PROMPT = "prompt"
CANCEL = "cancel"
ELICIT = "elicit"
CHANGED = "changed"
PROGRESS = "progress"
LOG = "log"
TOKEN = "token"

FRAME_LIMIT_BYTES = 24 << 20
"""Of one frame between octavo and a host."""
MESSAGE_LIMIT_BYTES = 16 << 20
"""Of one message of a server; what is longer is passed over, and its call fails."""
TOOLS_LIMIT = 2_000
"""How many tools, resources, templates or prompts of one server are taken."""
TOOL_LIMIT_BYTES = 256 << 10
"""Of one tool's description, schemas and all; a larger one is left out."""

UNASKED_LIMIT_BYTES = 64 << 10
"""Of what a host says by itself: progress, log lines, questions."""
TEXT_CHARACTERS = 2_000
"""Of what is told in passing: progress, log lines, errors."""
VALUES_LIMIT = 500_000
"""How many values one answer may have: as objects they take fifty times the bytes they come in."""

SERVER_SAID_NO = 1
TIMED_OUT = 2
BROKEN = 3
NEEDS_LOGIN = 4
"""Codes of refusals: the server's own error; no answer in time; an answer that is none; it wants a
token, and there is none that it takes."""


class Stdio(msgspec.Struct, frozen=True, tag="stdio"):
    """A program that speaks over its pipes."""

    command: str
    args: tuple[str, ...]
    cwd: str
    env: dict[str, str]


class Http(msgspec.Struct, frozen=True, tag="http"):
    """A service that speaks streamable HTTP."""

    url: str
    headers: dict[str, str]
    token: str | None = None
    """Of a login; when it is used up, another one is asked for."""


class Connect(msgspec.Struct, frozen=True):
    """Begin; asked once, first."""

    to: Stdio | Http
    version: str
    timeout_s: float
    elicits: bool = True
    """A person may be asked on the server's behalf."""


class Connected(msgspec.Struct, frozen=True):
    """What a server says of itself."""

    protocol: str = ""
    info: dict[str, Any] | None = None
    capabilities: dict[str, Any] = {}
    instructions: str | None = None


class CallParams(msgspec.Struct, frozen=True):
    """Call a tool. `call` names it in `Progress` and `Cancel`."""

    call: str
    tool: str
    arguments: dict[str, Any]
    timeout_s: float


class CallResult(msgspec.Struct, frozen=True, rename="camel"):
    """What a tool gave, as MCP has it; more members are none of our business."""

    content: list[dict[str, Any]] = []
    structured_content: Any = None
    is_error: bool = False


class ListParams(msgspec.Struct, frozen=True):
    """List all there is of a kind, page after page."""

    what: Literal["tools", "resources", "templates", "prompts"]
    timeout_s: float


class Listed(msgspec.Struct, frozen=True):
    """As the server described them. `left_out` says what was too much."""

    found: list[dict[str, Any]] = []
    left_out: str | None = None


class ReadParams(msgspec.Struct, frozen=True):
    """Read a resource."""

    uri: str
    timeout_s: float


class ReadResult(msgspec.Struct, frozen=True):
    """Its contents, as MCP has them."""

    contents: list[dict[str, Any]] = []


class PromptParams(msgspec.Struct, frozen=True):
    """Get a prompt, filled in with these arguments."""

    name: str
    arguments: dict[str, str]
    timeout_s: float


class PromptResult(msgspec.Struct, frozen=True):
    """Its messages, as MCP has them: `role` and `content`, one part each."""

    messages: list[dict[str, Any]] = []
    description: str | None = None


class CancelParams(msgspec.Struct, frozen=True):
    """Nobody waits for a call any more."""

    call: str


class ElicitParams(msgspec.Struct, frozen=True):
    """The server wants to know something of a person: a form, or a page that they should visit."""

    message: str
    schema: dict[str, Any] | None = None
    url: str | None = None


class ElicitResult(msgspec.Struct, frozen=True):
    """What the person said."""

    action: Literal["accept", "decline", "cancel"]
    content: dict[str, Any] | None = None


class TokenParams(msgspec.Struct, frozen=True):
    """The server does not take this token any more."""

    refused: str


class Token(msgspec.Struct, frozen=True):
    """One that it may take; None: a person has to log in."""

    token: str | None


class ChangedParams(msgspec.Struct, frozen=True):
    """What the server has is not what it was."""

    what: str


class ProgressParams(msgspec.Struct, frozen=True):
    """A call goes on."""

    call: str
    text: str


class LogParams(msgspec.Struct, frozen=True):
    """A line of the server's own log."""

    level: str
    text: str
