"""Where a thread is put together: the one place that knows what is wrapped around what.

`Wiring` is made once a thread, from its settings; `equip` once a turn, and reuses what did not
change. The loop is given plain pieces and cannot tell how they were made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import anyio
import msgspec

from octavo.agent.allowed import Allowed
from octavo.agent.cages import Cages
from octavo.agent.network import reaching
from octavo.agent.purse import Metered, Purse
from octavo.agent.skills import Skills
from octavo.agent.snapshots import Snapshots
from octavo.agent.window import Limits
from octavo.config.auth import read_key
from octavo.config.load import Loaded
from octavo.config.paths import cache_dir, user_home
from octavo.config.settings import ApprovalPolicy, Settings, TurnBudget
from octavo.config.shell_env import env_for
from octavo.context.assemble import ContextItem, ContextState, context_changes
from octavo.context.base import base_instructions
from octavo.context.environment import environment_text
from octavo.context.instructions import find_instructions, instructions_text
from octavo.context.permissions import permissions_text
from octavo.model import Model, Prompt, Provider, catalog
from octavo.model.catalog import ModelInfo
from octavo.model.open import open_model
from octavo.model.registry import LOCALS, built_in, resolve
from octavo.model.retry import Patience
from octavo.protocol.errors import ConfigError
from octavo.protocol.events import TurnStarted
from octavo.sandbox import Mode, Policy, Report, Sandbox
from octavo.sandbox.from_settings import sandbox_policy
from octavo.sandbox.keeper import Spare
from octavo.sandbox.policy import private_directories
from octavo.store.kept import KeptOutput
from octavo.tools import Tool
from octavo.tools.builtin import AFTER_COMPACTION, TOOLS
from octavo.tools.declare import WebSearch, choose, declarations
from octavo.tools.login_env import capture_login_env
from octavo.tools.redact import redactor, secret_values
from octavo.tools.toolbox import Toolbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.agent.compaction import Means
    from octavo.agent.ears import Ears
    from octavo.agent.hooks.wraps import TurnHooks
    from octavo.agent.journal import Journal
    from octavo.agent.judge import Judge
    from octavo.agent.step import Setup
    from octavo.agent.yard import Yard
    from octavo.model.prices import Prices

DEFAULT_SHELL = "/bin/bash"


class TurnChoices(msgspec.Struct, frozen=True):
    """The settings a turn runs under; a turn may bring others, which then stay."""

    model: str
    provider: str
    policy: Policy
    approval: ApprovalPolicy
    effort: str | None = None
    summary: str | None = None
    verbosity: str | None = None
    approve_for_me: bool | None = None
    """A model judges in the person's place; None: as the thread's settings say."""

    def turn_started(self, turn_id: str, at_ms: int) -> TurnStarted:
        """The event that begins a turn under these settings."""
        return TurnStarted(
            turn_id,
            at_ms,
            self.model,
            self.provider,
            str(self.policy.cwd),
            self.policy.mode.value,
            approval_word(self.approval),
            self.effort,
        )


def approval_word(approval: ApprovalPolicy) -> str:
    """Return an approval policy in one word."""
    return approval if isinstance(approval, str) else "granular"


def default_choices(
    loaded: Loaded, cwd: Path, add_dirs: Sequence[Path] = (), hosts: Sequence[str] = ()
) -> TurnChoices:
    """What the settings say for a thread in `cwd`, and `hosts` that commands may reach besides.

    Raises:
        ConfigError: no model is known for the provider.
    """
    settings = loaded.settings
    provider = settings.model_provider or "openai"
    model = settings.model or catalog.default_model(provider)
    if model is None:
        if provider not in {**built_in({}), **settings.model_providers}:
            resolve(provider, settings.model_providers, {})  # says which providers there are
        raise ConfigError(
            f"No model is set for the provider {provider!r}.",
            hint="Name one with -m, or set `model` in config.toml.",
        )
    return TurnChoices(
        model=model,
        provider=provider,
        policy=reaching(sandbox_policy(loaded, cwd, add_dirs), hosts),
        approval=settings.approval_policy,
        effort=settings.model_reasoning_effort,
        summary=settings.model_reasoning_summary,
        verbosity=settings.model_verbosity,
    )


class LoginShell:
    """What the user's login shell sets, captured when it is first needed."""

    def __init__(
        self,
        sandbox: Sandbox,
        env: Mapping[str, str],
        cache: Path,
        on_note: Callable[[str], None],
    ) -> None:
        self._sandbox = sandbox
        self.env = env
        self._cache = cache
        self._on_note = on_note
        self._lock = anyio.Lock()
        self._captured: Mapping[str, str] | None = None

    async def __call__(self) -> Mapping[str, str]:
        if self._captured is not None:
            return self._captured
        async with self._lock:
            if self._captured is None:
                self._captured = await capture_login_env(
                    self._sandbox, self.env, self._cache, on_note=self._on_note
                )
        return self._captured


class Equipment(msgspec.Struct, frozen=True):
    """What one turn works with; see `step.Setup` and `hands.Room`."""

    choices: TurnChoices
    model: Metered
    info: ModelInfo
    toolbox: Toolbox
    prompt: Prompt
    """With everything but the history."""
    tools_after_compaction: bytes
    """The declarations that take the place of the prompt's once a thread was compacted."""
    judge: Judge | None
    sandbox: Sandbox
    env: Mapping[str, str]
    writable_roots: tuple[Path, ...]
    network: bool
    login_env: LoginShell
    redact: Callable[[str], str]
    """Takes keys out of what tools say."""
    patience: Callable[[], Patience]


def hooked(setup: Setup, hooks: TurnHooks, ears: Ears, journal: Journal) -> Setup:
    """Return what a turn works with, with hooks around all of it: they are the outermost."""
    from octavo.agent.hooks.wraps import HookedEars, HookedModel, HookedToolbox

    return msgspec.structs.replace(
        setup,
        model=HookedModel(setup.model, hooks),
        toolbox=HookedToolbox(setup.toolbox, hooks),
        ears=HookedEars(ears, hooks, journal),
    )


class Wiring:
    """Puts the pieces of one thread together."""

    def __init__(
        self,
        thread_id: str,
        loaded: Loaded,
        env: Mapping[str, str],
        *,
        alone: bool,
        log_path: Path | None,
        close: Callable[[], None],
        on_bug: Callable[[str], None],
        allowed: Allowed,
        spare: Spare | None = None,
        yard: Yard | None = None,
        base: str | None = None,
        developer: str | None = None,
        judge: Judge | None = None,
    ) -> None:
        settings = loaded.settings
        if settings.approvals_reviewer == "auto_review":
            allowed = msgspec.structs.replace(allowed, approve_for_me=True)
        self.allowed = allowed
        self._judge = judge
        self.spare = spare
        self.yard = yard
        self.alone = alone
        self.log_path = log_path
        self.close = close
        self.on_bug = on_bug
        self.loaded = loaded
        self._thread_id = thread_id
        self._settings: Settings = loaded.settings
        self.env = env
        self._base = base
        self._developer = developer
        self.goal_text: Callable[[], str] = str
        """What the model is to know of the thread's goal."""

    @property
    def output_limit_tokens(self) -> int:
        return self._settings.tool_output_token_limit

    @property
    def step_limit(self) -> int:
        return self._settings.step_limit

    def context_window_tokens(self, choices: TurnChoices) -> int:
        """How much the model of `choices` can be sent."""
        return self._settings.model_context_window or catalog.find(choices.model).context_window

    @property
    def turn_budget(self) -> TurnBudget:
        """What a turn may take unless it says otherwise."""
        return self._settings.budget.turn

    def purse(self, journal: Journal, notice: Callable[[str], None]) -> Purse:
        """Return what the thread of `journal` spends from."""
        settings = self._settings

        def prices() -> Prices:
            from octavo.model.prices import Prices  # the first request does not wait for them

            free = LOCALS.keys() - settings.model_providers.keys()
            return Prices(settings.prices, free=free, on_trouble=notice)

        return Purse(journal, prices, settings.budget.thread)

    def snapshots(self, journal: Journal) -> Snapshots:
        """Return what keeps the files of a thread's workspaces; nothing for one without a log."""
        settings = self._settings.undo
        if self.log_path is None:
            settings = msgspec.structs.replace(settings, enabled=False)
        return Snapshots(self.loaded.home, user_home(self.env), journal, settings)

    def limits(self, choices: TurnChoices) -> Limits:
        """When a thread that the model of `choices` works on is compacted."""
        settings = self._settings
        window = self.context_window_tokens(choices)
        at, percent = settings.model_auto_compact_token_limit, settings.model_auto_compact_percent
        return Limits.of(window, at, percent)

    def means(
        self,
        equipment: Equipment,
        prompt: Callable[[], Prompt],
        surroundings: Callable[[], Sequence[ContextItem]],
        hooks: TurnHooks | None,
    ) -> Means:
        """Return what a compaction works with.

        Raises:
            ConfigError: `experimental_compact_prompt_file` cannot be used.
        """
        from octavo.agent.compaction import Means
        from octavo.context.summary import compact_prompt

        model: Model = equipment.model.counted_as("compaction")
        if hooks is not None:
            from octavo.agent.hooks.wraps import HookedModel

            model = HookedModel(model, hooks)
        settings = self._settings
        file = settings.experimental_compact_prompt_file
        return Means(
            model=model,
            prompt=prompt,
            patience=equipment.patience,
            surroundings=surroundings,
            redact=equipment.redact,
            policy=equipment.choices.policy,
            # Only OpenAI's own service is known to keep summaries.
            remote=equipment.choices.provider == "openai",
            own_prompt=compact_prompt(
                settings.compact_prompt, None if file is None else Path(file)
            ),
        )

    def keep_output(self, call_id: str) -> KeptOutput:
        """Open the file for the full output of a call."""
        return KeptOutput.open(self.loaded.home, self._thread_id, call_id)

    def provider(self, choices: TurnChoices) -> Provider:
        """Where the model of `choices` is reached.

        Raises:
            ConfigError: the provider is not known, or its key is missing.
        """
        return resolve(
            choices.provider,
            self._settings.model_providers,
            self.env,
            read_key(choices.provider, home=self.loaded.home),
            openai_base_url=self._settings.openai_base_url,
        )

    async def equip(
        self,
        choices: TurnChoices,
        cages: Cages,
        last: Equipment | None,
        notice: Callable[[str], None],
        purse: Purse,
    ) -> Equipment:
        """Return what a turn under `choices` works with; does not wait for the cage to be ready.

        Args:
            cages: the thread's.
            last: what the last turn worked with, to be reused.
            notice: told what a person should know.
            purse: pays for the requests.

        Raises:
            ConfigError: the provider is not known, or its key is missing.
        """
        if last is not None and last.choices == choices:
            return last
        provider = self.provider(choices)
        info = catalog.find(choices.model)
        if last is not None and last.choices.policy == choices.policy:
            sandbox, env, login_env = last.sandbox, last.env, last.login_env
        else:
            sandbox = await cages.open(choices.policy)
            env = self._command_env()
            login_env = LoginShell(sandbox, self.env, cache_dir(self.loaded.home), notice)
        # Only the Responses API has freeform tools.
        freeform = info.apply_patch == "freeform" and provider.wire_api in ("responses", "auto")
        tools = choose(self._tools(), freeform=freeform)
        all_tools = [*tools, *AFTER_COMPACTION]
        search = self._web_search(provider.id, info)
        redact = redactor([*secret_values(self.env), *provider.secrets()])
        opened = open_model(provider, notice)
        model = purse.metered(opened, provider.id, most_output_tokens=info.max_output)
        prompt = Prompt(
            model=choices.model,
            input=(),
            tools=declarations(tools, web_search=search),
            cache_key=self._thread_id,
            effort=choices.effort or info.default_effort,
            summary=None if choices.summary == "none" else choices.summary,
            verbosity=choices.verbosity,
            parallel_calls=info.parallel_calls,
        )
        return Equipment(
            choices=choices,
            model=model,
            info=info,
            toolbox=Toolbox(
                all_tools,
                redact=redact,
                on_bug=lambda bug: self.on_bug(repr(bug)),
            ),
            prompt=prompt,
            tools_after_compaction=declarations(all_tools, web_search=search),
            judge=self._reviewer(choices, model, prompt, redact),
            sandbox=sandbox,
            env=env,
            writable_roots=_writable_roots(choices.policy, self.env),
            network=choices.policy.network.access == "open" or not choices.policy.mode.is_confined,
            login_env=login_env,
            redact=redact,
            patience=lambda: Patience(provider),
        )

    def nobody_answers(self, choices: TurnChoices) -> bool:
        """Whether there is no person to ask.

        A client that hands its questions to a reviewer may answer what still reaches it without
        showing it to anybody, as Codex's SDK does; so nothing does.
        """
        return self.alone or choices.approve_for_me is True

    def has_reviewer(self, choices: TurnChoices) -> bool:
        """Whether a model judges in the person's place."""
        wanted = choices.approve_for_me
        return self.allowed.approve_for_me if wanted is None else wanted

    def _reviewer(
        self, choices: TurnChoices, model: Metered, prompt: Prompt, redact: Callable[[str], str]
    ) -> Judge | None:
        """Return who judges in the person's place, where they want that."""
        if self._judge is not None or not self.has_reviewer(choices):
            return self._judge
        from octavo.agent.reviewer import Reviewer  # few threads have one

        return Reviewer(model.counted_as("reviewer"), prompt, redact=redact)

    def context(
        self,
        known: Mapping[str, str],
        choices: TurnChoices,
        equipment: Equipment,
        report: Report | None,
        skills: Skills,
        pins: Mapping[str, str],
    ) -> tuple[Sequence[ContextItem], Sequence[str]]:
        """Return what the model must be told now, and warnings for the person.

        Args:
            known: what it was told last, as digests by key.
            report: what the cage is; None while that is not known.
            skills: the turn's.
            pins: what the user pinned, by id.
        """
        tier = "namespaces" if report is None else report.tier
        gaps = () if report is None else report.gaps
        settings, policy = self._settings, choices.policy
        found = find_instructions(
            policy.cwd,
            home=self.loaded.home,
            max_bytes=settings.project_doc_max_bytes,
            fallback_names=settings.project_doc_fallback_filenames,
            root_markers=settings.project_root_markers,
        )
        file = settings.model_instructions_file
        state = ContextState(
            base=self._base or base_instructions(None if file is None else Path(file)),
            permissions=permissions_text(
                policy.mode.value,
                [str(root) for root in equipment.writable_roots],
                network=policy.network.access == "open",
                approval=approval_word(choices.approval),
                hosts=policy.network.allow if policy.network.access == "hosts" else (),
                denied=[
                    *map(str, policy.deny_read),
                    *(glob for glob in policy.deny_globs if not glob.startswith("!")),
                ],
                held=[str(path) for path in policy.read_only],
                denied_hosts=policy.network.deny if policy.network.access == "hosts" else (),
                only_reading=policy.network.reading_only,
                gaps=gaps,
                loopback=tier in ("namespaces", "bubblewrap"),
                alone=self.nobody_answers(choices),
                private_tmp=tier in ("namespaces", "bubblewrap")
                and bool(private_directories(policy)),
            ),
            environment=environment_text(policy.cwd, shell=self.env.get("SHELL", DEFAULT_SHELL)),
            developer=self._developer or settings.developer_instructions or "",
            skills=skills.text(self.context_window_tokens(choices)),
            agents_md=instructions_text(found, policy.cwd),
            pins=_pinned(pins) if pins else "",
            goal=self.goal_text(),
        )
        warnings = (*found.warnings, *skills.found.notices())
        if gaps:
            weak = "The sandbox here is a reduced one: " + " ".join(gaps)
            warnings = (*warnings, f"{weak} `octavo doctor` says how to get the full one.")
        return context_changes(known, state), warnings

    def _command_env(self) -> Mapping[str, str]:
        env = env_for(self.env, self._settings.shell_environment_policy)
        env["OCTAVO_THREAD_ID"] = self._thread_id
        return env

    def _tools(self) -> Sequence[Tool]:
        if self._settings.tools.update_plan.enabled:
            return TOOLS
        return [tool for tool in TOOLS if tool.name != "update_plan"]

    def _web_search(self, provider: str, info: ModelInfo) -> WebSearch:
        """Which hosted search to declare; only OpenAI's own service is known to have it."""
        chosen = self._settings.web_search
        if chosen is None:
            switched_off = self._settings.tools.web_search is False
            chosen = "disabled" if switched_off or provider != "openai" else "cached"
        return chosen if info.web_search else "disabled"


def _pinned(pins: Mapping[str, str]) -> str:
    from octavo.context.pins import pins_text  # few threads have any

    return pins_text(pins)


def _writable_roots(policy: Policy, env: Mapping[str, str]) -> tuple[Path, ...]:
    if policy.mode is Mode.READ_ONLY:
        return ()
    if not policy.mode.is_confined:
        return (Path("/"),)
    roots = [policy.cwd, *policy.writable_roots] if policy.write_cwd else [*policy.writable_roots]
    if policy.write_tmp or policy.tmp == "private":
        roots.append(Path("/tmp"))
    tmpdir = env.get("TMPDIR", os.environ.get("TMPDIR"))
    if (policy.write_tmpdir or policy.tmp == "private") and tmpdir:
        roots.append(Path(tmpdir))
    return tuple(dict.fromkeys(roots))
