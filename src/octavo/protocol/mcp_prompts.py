"""Prompts of MCP servers: texts that a person asks a server for, to use them as their own."""

# No `annotations` of the future: msgspec would have to evaluate their text at every start.

import msgspec

from octavo.protocol.methods import Method


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    pass


class McpPromptsListParams(_Wire, frozen=True):
    """With a thread, of its server as it runs; else of one that a thread here would have."""

    server: str
    thread_id: str | None = None
    cwd: str | None = None


class McpPromptArgument(_Wire, frozen=True):
    name: str
    description: str = ""
    required: bool = False


class McpPrompt(_Wire, frozen=True):
    """One prompt. What the server says of it is bounded, and nothing invisible is in it."""

    name: str
    title: str = ""
    description: str = ""
    arguments: tuple[McpPromptArgument, ...] = ()


class McpPromptsListResult(_Wire, frozen=True):
    """`left_out` says what was too many, or too large."""

    data: tuple[McpPrompt, ...]
    left_out: str | None = None


class McpPromptGetParams(_Wire, frozen=True):
    server: str
    name: str
    arguments: dict[str, str] = {}
    thread_id: str | None = None
    cwd: str | None = None


class McpPromptGetResult(_Wire, frozen=True):
    """A prompt, filled in. It is a stranger's text, whoever is shown it or told it.

    Attributes:
        text: its messages, one after the other; the other's words are marked as such. Nothing
            invisible is in it, and it is cut where it is too long.
        images: its images as data URLs, in the order in which the text mentions them.
        left_out_characters: how much of it was too much.
    """

    text: str
    description: str = ""
    images: tuple[str, ...] = ()
    left_out_characters: int = 0


MCP_PROMPTS_LIST = Method("octavo/mcp/prompts/list", McpPromptsListParams, McpPromptsListResult)
MCP_PROMPT_GET = Method("octavo/mcp/prompts/get", McpPromptGetParams, McpPromptGetResult)
