"""Every setting octavo has, its type, its bounds and its default.

The keys are those of Codex's `config.toml` where the same thing exists there. None as a default
means "not set": whoever uses the setting decides then, and says so in its docstring. Where a value
comes from is not here; see `load.Loaded.sources`.

Annotations are evaluated as they are read, unlike elsewhere: msgspec would otherwise evaluate
their text at every start, which takes milliseconds.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Bytes = Annotated[int, Meta(ge=0, le=1 << 60)]
Positive = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Percent = Annotated[int, Meta(ge=10, le=100)]
Retries = Annotated[int, Meta(ge=0, le=100)]
Usd = Annotated[float, Meta(ge=0, le=1_000_000)]
Name = Annotated[str, Meta(min_length=1, max_length=1000)]

DEFAULT_MAX_RETRIES = 4
DEFAULT_STREAM_MAX_RETRIES = 5
DEFAULT_STREAM_IDLE_TIMEOUT_MS = 300_000


class ProviderConfig(Struct, frozen=True):
    """One `[model_providers.X]`."""

    name: str | None = None
    """For people; X itself when not given."""
    base_url: str | None = None
    env_key: str | None = None
    """Name of the environment variable that holds the key."""
    env_key_instructions: str | None = None
    """What to tell a person whose key is missing."""
    experimental_bearer_token: str | None = None
    wire_api: Literal["responses", "chat", "anthropic", "auto"] | None = None
    """Which API the server speaks: OpenAI's Responses or Chat Completions, or Anthropic's Messages.
    Not set, and "auto": Responses, and Chat Completions where the server has none."""
    query_params: dict[str, str] = {}
    http_headers: dict[str, str] = {}
    env_http_headers: dict[str, str] = {}
    """Header → the environment variable that holds its value."""
    request_max_retries: Retries = DEFAULT_MAX_RETRIES
    stream_max_retries: Retries = DEFAULT_STREAM_MAX_RETRIES
    stream_idle_timeout_ms: Positive = DEFAULT_STREAM_IDLE_TIMEOUT_MS
    requires_openai_auth: bool = False


SandboxMode = Literal["read-only", "workspace-write", "external", "danger-full-access"]


class SandboxWorkspaceWrite(Struct, frozen=True):
    """What `sandbox_mode = "workspace-write"` allows besides the workspace."""

    writable_roots: tuple[str, ...] = ()
    """Absolute after loading; in a file, relative to the file's directory."""
    network_access: bool = False
    exclude_tmpdir_env_var: bool = False
    exclude_slash_tmp: bool = False
    tmp: Literal["host", "private"] = "host"
    """"private": `/tmp` and `$TMPDIR` are the thread's own, and gone with it."""


class SandboxLimits(Struct, frozen=True):
    """The most that a command may use; 0 is as much as there is. See `sandbox.Limits`."""

    pids: Annotated[int, Meta(ge=512, le=4_000_000)] = 4096
    memory_bytes: Bytes = 0
    file_size_bytes: Bytes = 64 << 30
    cpu_s: Count = 0
    open_files: Count = 65_536


class ShellEnvironmentPolicy(Struct, frozen=True):
    """Which environment variables commands get."""

    inherit: Literal["all", "core", "none"] = "all"
    ignore_default_excludes: bool = False
    """True passes `*KEY*`, `*SECRET*` and `*TOKEN*` on; octavo removes them unless told."""
    exclude: tuple[str, ...] = ()
    """Globs, not case-sensitive."""
    include_only: tuple[str, ...] = ()
    set: dict[str, str] = {}


FileAccess = Literal["read", "write", "deny"]


class ProfileNetwork(Struct, frozen=True):
    """`[permissions.X.network]`: whom commands reach under this profile."""

    enabled: bool | None = None
    """None: if `domains` allows any host."""
    mode: Literal["limited", "full"] | None = None
    """"limited": only to read."""
    domains: dict[str, Literal["allow", "deny"]] = {}
    """Patterns of hosts. None at all is every host, if it is enabled."""
    unix_sockets: dict[str, Literal["allow", "deny", "none"]] = {}
    allow_local_binding: bool = True
    """Commands always may, inside the sandbox."""


class PermissionProfile(Struct, frozen=True):
    """One `[permissions.X]`. What it means is worked out in `sandbox.profiles`."""

    description: str | None = None
    extends: str | None = None
    """The profile whose entries count where this one has none of the same name."""
    filesystem: dict[str, FileAccess | dict[str, FileAccess]] = {}
    """By path, glob or special name; in the table ":workspace_roots", relative to the workspace."""
    network: ProfileNetwork = ProfileNetwork()


class History(Struct, frozen=True):
    """What is kept of a thread when it is over."""

    persistence: Literal["save-all", "none"] = "save-all"


class ProjectConfig(Struct, frozen=True):
    """One `[projects."/path"]`."""

    trust_level: Literal["trusted", "untrusted"] | None = None


class UpdatePlan(Struct, frozen=True):
    """The `update_plan` tool."""

    enabled: bool = True


class Granular(Struct, frozen=True):
    """Which kinds of question the person wants to be asked; the others are answered with no."""

    sandbox_approval: bool = True
    """About what cannot be undone or read, and about more than the sandbox gives."""
    rules: bool = True
    """About commands that only a rule asks about."""
    mcp_elicitations: bool = True
    request_permissions: bool = False
    skill_approval: bool = False


class GranularPolicy(Struct, frozen=True):
    """`approval_policy = { granular = { … } }`."""

    granular: Granular


ApprovalPolicy = Literal["on-request", "never"] | GranularPolicy


class Tools(Struct, frozen=True):
    """Tools that can be switched."""

    update_plan: UpdatePlan = UpdatePlan()
    web_search: bool | None = None
    """False is `web_search = "disabled"`; that key wins when both are set."""


class PriceConfig(Struct, frozen=True):
    """One `[prices."MODEL"]`: what a model's tokens cost, in dollars per a million."""

    input: Usd
    output: Usd
    cached_input: Usd | None = None
    """None: as much as `input`."""
    cache_write: Usd | None = None
    """None: as much as `input`."""


class TurnBudget(Struct, frozen=True):
    """The most that one turn may take; None is no limit."""

    max_cost_usd: Annotated[float, Meta(gt=0, le=1_000_000)] | None = None
    max_tokens: Positive | None = None
    """Of all requests together: input, cached or not, and output."""
    max_time_s: Annotated[float, Meta(gt=0, le=100_000_000)] | None = None
    """By the clock, waiting for answers included."""


class ThreadBudget(Struct, frozen=True):
    """The most that all turns of a thread may take together; None is no limit."""

    max_cost_usd: Annotated[float, Meta(gt=0, le=1_000_000)] | None = None
    max_tokens: Positive | None = None


class Budget(Struct, frozen=True):
    """`[budget]`: what a turn and a thread may cost. Reached, they end and can be gone on with."""

    turn: TurnBudget = TurnBudget()
    thread: ThreadBudget = ThreadBudget()


class Tui(Struct, frozen=True):
    """What faces with a terminal do."""

    notifications: bool | tuple[Name, ...] = False
    """Whether the terminal calls the person when a turn has ended; or the kinds of news it calls
    them for, of which octavo has "agent-turn-complete"."""
    notification_method: Literal["auto", "osc9", "bel"] = "auto"


class SkillChoice(Struct, frozen=True, omit_defaults=True):
    """One `[[skills.config]]`: a skill, by name or by the path of its SKILL.md."""

    name: Name | None = None
    path: Name | None = None
    enabled: bool = True


class BundledSkills(Struct, frozen=True):
    """Octavo's own skills."""

    enabled: bool = True


class Skills(Struct, frozen=True):
    """`[skills]`."""

    config: tuple[SkillChoice, ...] = ()
    bundled: BundledSkills = BundledSkills()
    include_instructions: bool = True
    """The model is told which skills there are."""


Seconds = Annotated[float, Meta(gt=0, le=86_400)]
ApprovalMode = Literal["auto", "prompt", "writes", "approve"]


class McpTool(Struct, frozen=True):
    """One `[mcp_servers.X.tools.NAME]`."""

    approval_mode: ApprovalMode | None = None
    """None: as the server's `default_tools_approval_mode` says."""


class McpServer(Struct, frozen=True):
    """One `[mcp_servers.X]`: a program that speaks MCP over pipes, or a URL."""

    command: Name | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    env_vars: tuple[Name, ...] = ()
    """Names of environment variables that are passed on to it."""
    cwd: Name | None = None
    """None: the thread's. Relative to that."""
    url: Name | None = None
    bearer_token_env_var: Name | None = None
    http_headers: dict[str, str] = {}
    env_http_headers: dict[str, str] = {}
    """Header → the environment variable that holds its value."""
    network: tuple[Name, ...] = ()
    """Patterns of hosts that a program may reach; none is no network. A URL reaches its own host,
    and these."""
    enabled: bool = True
    required: bool = False
    """A turn fails where it cannot be started."""
    startup_timeout_sec: Seconds | None = None
    startup_timeout_ms: Positive | None = None
    tool_timeout_sec: Seconds | None = None
    enabled_tools: tuple[Name, ...] | None = None
    """None: all."""
    disabled_tools: tuple[Name, ...] = ()
    default_tools_approval_mode: ApprovalMode = "auto"
    """"auto" and "writes": what only reads runs, the rest is asked about. "prompt": all is.
    "approve": nothing is."""
    tools: dict[str, McpTool] = {}


class Undo(Struct, frozen=True):
    """`[undo]`: what is kept of a workspace's files, so that turns can be taken back."""

    enabled: bool = True
    file_limit_bytes: Bytes = 64 << 20
    """A larger file is not kept."""


class Gc(Struct, frozen=True):
    """`[gc]`: how much `octavo gc` leaves of what octavo keeps besides its threads."""

    max_age_days: Count = 90
    """Snapshots and kept outputs that no turn has used for longer go."""
    snapshots_bytes: Bytes = 10 << 30
    outputs_bytes: Bytes = 2 << 30


class Settings(Struct, frozen=True):
    """All layers together."""

    model: Name | None = None
    """None: the provider's default."""
    model_provider: Name | None = None
    """None: "openai"."""
    model_providers: dict[str, ProviderConfig] = {}
    openai_base_url: str | None = None
    oss_provider: Literal["ollama", "lmstudio", "vllm", "llamacpp"] | None = None
    """Which local server `--oss` means; None: the one that answers."""
    model_context_window: Positive | None = None
    """Tokens; None: what the catalog says."""
    model_reasoning_effort: Name | None = None
    model_reasoning_summary: Literal["auto", "concise", "detailed", "none"] | None = None
    model_verbosity: Literal["low", "medium", "high"] | None = None
    approval_policy: ApprovalPolicy = "on-request"
    approvals_reviewer: Literal["user", "auto_review"] = "user"
    """"auto_review": a model judges in your place what needs no wider sandbox."""
    sandbox_mode: SandboxMode | None = None
    """None: "workspace-write" in a Git or trusted directory, "read-only" elsewhere. "external": the
    container or machine that octavo runs in is the sandbox."""
    sandbox_workspace_write: SandboxWorkspaceWrite = SandboxWorkspaceWrite()
    sandbox_limits: SandboxLimits = SandboxLimits()
    default_permissions: Name | None = None
    """The permission profile: one of `permissions`, or a built-in one, whose names begin with ":".
    Where it is set, it says what `sandbox_mode` and `sandbox_workspace_write` say otherwise."""
    permissions: dict[str, PermissionProfile] = {}
    shell_environment_policy: ShellEnvironmentPolicy = ShellEnvironmentPolicy()
    web_search: Literal["live", "cached", "disabled"] | None = None
    """None: "cached" where the provider has a search, unless `tools.web_search` is false."""
    tool_output_token_limit: Positive = 10_000
    project_doc_max_bytes: Count = 32_768
    project_doc_fallback_filenames: tuple[Name, ...] = ()
    project_root_markers: tuple[Name, ...] = (".git",)
    developer_instructions: str | None = None
    model_instructions_file: Name | None = None
    """Absolute after loading; in a file, relative to the file's directory."""
    model_auto_compact_token_limit: Positive | None = None
    """Tokens at which a thread is compacted; None: a share of the model's window."""
    model_auto_compact_percent: Percent = 90
    """That share."""
    compact_prompt: str | None = None
    """What a model is asked when it is to sum a thread up; None: octavo's own prompt."""
    experimental_compact_prompt_file: Name | None = None
    """The same out of a file. Absolute after loading."""
    history: History = History()
    projects: dict[str, ProjectConfig] = {}
    cli_auth_credentials_store: Literal["auto", "keyring", "file"] = "auto"
    step_limit: Positive = 1000
    """Model requests in one turn."""
    budget: Budget = Budget()
    prices: dict[str, PriceConfig] = {}
    """By the model's name, or "provider/model"; stronger than the prices that octavo knows."""
    log_level: Literal["off", "error", "warn", "info", "debug", "trace"] = "off"
    hide_agent_reasoning: bool = False
    show_raw_agent_reasoning: bool = False
    tools: Tools = Tools()
    undo: Undo = Undo()
    gc: Gc = Gc()
    hooks: dict[str, Any] = {}
    """As in `hooks.json`, by event; what it means is worked out in `hooks`. `enabled = false`
    switches off all hooks, those of files too."""
    notify: tuple[str, ...] = ()
    """A program and its arguments, started with one more of JSON when a turn is complete."""
    tui: Tui = Tui()
    skills: Skills = Skills()
    mcp_servers: dict[str, McpServer] = {}
