"""Names of settings: dotted keys, which ones exist, who may set them.

A key is a path of names. Written out it looks as in TOML: `model_providers.acme.base_url`,
`projects."/srv/a.b".trust_level`. Nothing here reads a file or knows a value.
"""

from __future__ import annotations

import re

from msgspec import Struct

from octavo.config import settings as words
from octavo.protocol.errors import UsageError

Key = tuple[str, ...]

_BARE = r"[A-Za-z0-9_-]+"
_QUOTED = r'"(?:[^"\\]|\\.)*"|' + r"'[^']*'"

TABLES: dict[type[Struct], dict[str, type[Struct]]] = {
    words.Settings: {
        "sandbox_workspace_write": words.SandboxWorkspaceWrite,
        "sandbox_limits": words.SandboxLimits,
        "shell_environment_policy": words.ShellEnvironmentPolicy,
        "history": words.History,
        "approval_policy": words.GranularPolicy,
        "tools": words.Tools,
        "budget": words.Budget,
        "tui": words.Tui,
        "undo": words.Undo,
        "gc": words.Gc,
        "skills": words.Skills,
    },
    words.PermissionProfile: {"network": words.ProfileNetwork},
    words.Budget: {"turn": words.TurnBudget, "thread": words.ThreadBudget},
    words.Tools: {"update_plan": words.UpdatePlan},
    words.Skills: {"bundled": words.BundledSkills},
    words.GranularPolicy: {"granular": words.Granular},
}
"""Settings that are tables with names of their own."""

NAMED_TABLES: dict[str, type[Struct]] = {
    "mcp_servers": words.McpServer,
    "model_providers": words.ProviderConfig,
    "permissions": words.PermissionProfile,
    "prices": words.PriceConfig,
    "projects": words.ProjectConfig,
}
"""Settings that are tables of such tables, under names the person chose."""

FENCES = frozenset(
    {
        words.PermissionProfile,
        words.ProfileNetwork,
        *(words.Budget, words.TurnBudget, words.ThreadBudget, words.PriceConfig),
    }
)
"""Tables in which an unknown key is always an error: a misspelt one could deny or limit."""

PROJECT_KEYS = frozenset(
    {
        "model",
        "model_context_window",
        "model_auto_compact_token_limit",
        "model_auto_compact_percent",
        "model_reasoning_effort",
        "model_reasoning_summary",
        "model_verbosity",
        "tool_output_token_limit",
        "project_doc_max_bytes",
        "project_doc_fallback_filenames",
        "developer_instructions",
        "step_limit",
        "hide_agent_reasoning",
        "show_raw_agent_reasoning",
        "tools.update_plan.enabled",
    }
)
"""All that a project's file may set. None of it widens what commands reach, sends data to another
address, or names a file outside the project."""

CONSENT_KEYS = {
    "shell_environment_policy": frozenset(
        {"shell_environment_policy.set", "shell_environment_policy.exclude"}
    ),
    "mcp_servers": frozenset({"mcp_servers"}),
}
"""What a project's file may set besides, by the table that the person must have agreed to, exactly
as it is; see `consent`."""

PATH_KEYS = (
    ("model_instructions_file",),
    ("experimental_compact_prompt_file",),
    ("sandbox_workspace_write", "writable_roots"),
)
"""Settings that hold paths, made absolute as they are read."""

CODEX_ONLY = frozenset(
    # Root keys of Codex's config.toml that octavo has no use for.
    """
    agents allow_login_shell analytics audio auto_review
    background_terminal_max_timeout check_for_update_on_startup cloud
    feedback features file_opener forced_chatgpt_workspace_id
    forced_login_method goals include_apps_instructions
    include_collaboration_mode_instructions
    include_environment_context instructions log_dir marketplaces
    mcp_oauth_callback_port mcp_oauth_callback_url mcp_oauth_credentials_store
    mcp_optional_startup_grace_ms memories
    model_auto_compact_token_limit_scope model_catalog_json
    model_post_turn_compact_threshold_percent notice otel personality
    plan_mode_reasoning_effort plugins profile profiles realtime responses_api_metadata
    review_model service_tier sqlite_home thread_unload_delay_secs windows
    """.split()
)

CODEX_ONLY_INSIDE: dict[type[Struct], frozenset[str]] = {
    words.ProviderConfig: frozenset(
        {"auth", "aws", "supports_websockets", "websocket_connect_timeout_ms"}
    ),
    words.McpServer: frozenset(
        """
        environment_id name oauth oauth_resource scopes supports_parallel_tool_calls
        """.split()
    ),
    words.History: frozenset({"max_bytes"}),
    words.ShellEnvironmentPolicy: frozenset({"experimental_use_profile"}),
    words.ProfileNetwork: frozenset(
        """
        allow_upstream_proxy credential_broker dangerously_allow_all_unix_sockets
        dangerously_allow_non_loopback_proxy enable_socks5 enable_socks5_udp mitm mitm_hooks
        proxy_url socks_url
        """.split()
    ),
    words.PermissionProfile: frozenset({"workspace_roots"}),
    words.Tools: frozenset(
        {"client_search_provider", "experimental_request_user_input", "view_image"}
    ),
    words.Tui: frozenset(
        """
        alternate_screen animations keymap notification_condition raw_output_mode
        show_tooltips status_line status_line_use_colors terminal_title theme vim_mode_default
        """.split()
    ),
    words.Settings: CODEX_ONLY,
}


def dotted(key: Key) -> str:
    """Write `key` as TOML would."""
    return ".".join(part if _is_bare(part) else _quote(part) for part in key)


def _is_bare(part: str) -> bool:
    return part.isascii() and part.replace("-", "x").replace("_", "x").isalnum()


def _quote(part: str) -> str:
    if "'" not in part and part.isprintable():
        return f"'{part}'" if '"' in part or "\\" in part else f'"{part}"'
    return basic_string(part)


def basic_string(text: str) -> str:
    """Write `text` as a TOML basic string on one line, with nothing unprintable in it."""
    return '"' + "".join(_escaped(c) for c in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"


def parse_key(text: str) -> Key:
    """Read a dotted key as a person types it after `-c`.

    Raises:
        UsageError: it is not a key.
    """
    simple = text.split(".")
    if all(map(_is_bare, simple)):
        return tuple(simple)
    parts: list[str] = []
    at = 0
    while True:
        found = re.compile(f"{_BARE}|{_QUOTED}").match(text, at)
        if found is None:
            break
        parts.append(_unquoted(found.group()))
        at = found.end()
        if at == len(text):
            return tuple(parts)
        if text[at] != ".":
            break
        at += 1
    raise UsageError(
        f"{text!r} is not a setting's name.",
        hint="Write it as in config.toml, such as sandbox_workspace_write.network_access.",
    )


def _unquoted(part: str) -> str:
    if part[0] not in "\"'":
        return part
    if part[0] == "'" or "\\" not in part:
        return part[1:-1]
    import tomllib

    try:
        value: str = tomllib.loads(f"k = {part}")["k"]
    except tomllib.TOMLDecodeError:
        raise UsageError(f"{part} is not a valid quoted name.") from None
    return value
