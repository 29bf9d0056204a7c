"""Threads: begin one, open one again, list them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread
import msgspec

from octavo import __version__
from octavo.agent.clock import now_ms
from octavo.agent.journal import Journal
from octavo.agent.thread import Agent
from octavo.agent.wiring import TurnChoices, Wiring, default_choices
from octavo.config.load import Loaded, load
from octavo.config.paths import log_dir, octavo_home
from octavo.protocol import items as it
from octavo.protocol import methods as m
from octavo.protocol.errors import StoreError, ThreadBusy, UsageError
from octavo.protocol.events import (
    FORMAT,
    CallEnded,
    CallFacts,
    Event,
    GoalCleared,
    Noticed,
    ProcessEnded,
    ShellEnded,
    ThreadStarted,
    TurnEnded,
)
from octavo.protocol.fold import Thread
from octavo.protocol.ids import new_id
from octavo.protocol.inputs import Text
from octavo.protocol.notifications import ThreadStarted as ThreadStartedNotification
from octavo.protocol.project import Projection
from octavo.protocol.show import user_inputs
from octavo.server.budgets import thread_flags
from octavo.server.connection import Connection, Handler, Request
from octavo.server.diary import diary
from octavo.server.followers import Followers
from octavo.server.live import Live
from octavo.server.policies import read_approval, read_reviewer, wire_approval, wire_policy
from octavo.store.diagnostics import Diagnostics
from octavo.store.rollout import Rollout
from octavo.tools.redact import redactor, secret_values
from octavo.workspace.git import read_head

if TYPE_CHECKING:
    from octavo.protocol.sessions import ThreadForkParams
    from octavo.server.server import Launch, Server

    _Params = m.ThreadStartParams | m.ThreadResumeParams | ThreadForkParams


async def start(request: Request) -> m.ThreadResult:
    """thread/start"""
    params = request.params(m.ThreadStartParams)
    cwd = _directory(params.cwd)
    loaded = _settings(request.server, cwd, params)
    launch = request.server.launch
    choices = default_choices(loaded, cwd, launch.add_dirs, launch.allowed.hosts)
    thread_id, at_ms = new_id(), now_ms()
    ephemeral = bool(params.ephemeral) or loaded.settings.history.persistence == "none"
    log = None if ephemeral else Rollout.create(loaded.home, thread_id, at_ms)
    head = read_head(cwd)
    journal = Journal(Thread(), log, waits_for_turn=True)
    journal.emit(
        ThreadStarted(
            thread_id=thread_id,
            cwd=str(cwd),
            at_ms=at_ms,
            version=__version__,
            model=choices.model,
            provider=choices.provider,
            source=request.server.launch.source,
            git_branch=head.branch if head else None,
            git_commit=head.commit if head else None,
        )
    )
    agent = _load(request.server, request.connection, params, loaded, journal, log, choices)
    for warning in loaded.warnings:
        journal.emit(Noticed(now_ms(), warning))
    result = result_of(agent)
    request.connection.post(ThreadStartedNotification(result.thread))
    return result


async def resume(request: Request) -> m.ThreadResult:
    """thread/resume"""
    params = request.params(m.ThreadResumeParams)
    running = request.server.threads.get(params.thread_id)
    if running is not None:
        turns: tuple[it.Turn, ...] = ()
        if not params.exclude_turns:
            from octavo.server.earlier import earlier_turns

            turns = await earlier_turns(request.server, running)
        if request.server.threads.get(running.id) is running:  # it was not closed meanwhile
            followers = request.server.followers[running.id]
            followers.tell_goal(request.connection)
            followers.add(request.connection)  # with what is said below, all is said, and once
            whole = not params.exclude_turns
            return result_of(running, followers.live, turns=turns, whole=whole)
    from octavo.agent.reopen import reopen  # off the way to a new thread's first request
    from octavo.store.find import find, is_archived, thread_id_of
    from octavo.store.forks import read_thread

    home = octavo_home(request.server.launch.env)
    path = find(home, params.thread_id)
    if is_archived(home, path):
        raise StoreError(
            f"Thread {thread_id_of(path)} is archived.",
            hint=f"`octavo sessions unarchive {thread_id_of(path)}` takes it out again.",
        )
    try:
        log = Rollout.open(path)
    except ThreadBusy:
        return await _held(request, params, path)
    try:
        reading = await anyio.to_thread.run_sync(read_thread, home, path)
        thread, warnings = reopen(reading)
        if thread.started is None:
            raise StoreError(f"{path} is empty.", hint="Begin a new thread.")
        cwd = _workspace(params.cwd, thread)
        loaded = _settings(request.server, cwd, params)
        choices = _resumed_choices(loaded, cwd, thread, request.server.launch)
        journal = Journal(thread, log)
        # Before anybody follows: it is not news of this run.
        cut = await _cut_calls(reading.events, thread, loaded, request.server.launch.env)
        for event in (*cut, *_endings(thread)):
            journal.emit(event)
    except BaseException:
        log.close()
        raise
    agent = _load(request.server, request.connection, params, loaded, journal, log, choices)
    if cut:
        from octavo.agent.unfinished import told_in_short

        warnings.append(told_in_short(cut))
    for warning in (*loaded.warnings, *warnings):
        journal.emit(Noticed(now_ms(), warning))
    request.server.followers[agent.id].tell_goal()
    turns = ()
    if not params.exclude_turns:
        from octavo.server.earlier import earlier_turns

        turns = await earlier_turns(request.server, agent)
    result = result_of(agent, turns=turns)
    agent.goes_on_alone = request.server.launch.source not in _ONE_THING
    agent.pursue()
    return result


async def _held(request: Request, params: m.ThreadResumeParams, path: Path) -> m.ThreadResult:
    """Open a thread that another process writes, to be read."""
    from octavo.server.earlier import read_held, shown_held

    server = request.server
    held = await read_held(server, path)
    shown = await shown_held(request, held, turns=not params.exclude_turns)
    cwd = _any_place(params.cwd or _last_cwd(held.thread), octavo_home(server.launch.env))
    loaded = _settings(server, cwd, params)
    choices = _resumed_choices(loaded, cwd, held.thread, server.launch)
    server.held[shown.id] = held
    return _told(shown, choices, reviewed=loaded.settings.approvals_reviewer == "auto_review")


async def fork(request: Request) -> m.ThreadResult:
    """thread/fork: a thread that goes on from another one's log, of which nothing is copied"""
    from octavo.agent.reopen import reopen
    from octavo.protocol.sessions import ThreadForkParams
    from octavo.store.find import find
    from octavo.store.forks import read_thread
    from octavo.store.shelf import fork_point

    params = request.params(ThreadForkParams)
    home = octavo_home(request.server.launch.env)
    path = find(home, params.thread_id)
    base = await anyio.to_thread.run_sync(fork_point, home, path, params.last_turn_id)
    source, _ = reopen(await anyio.to_thread.run_sync(read_thread, home, path))
    cwd = _workspace(params.cwd, source)
    loaded = _settings(request.server, cwd, params)
    head = read_head(cwd)
    started = ThreadStarted(
        thread_id=new_id(),
        cwd=str(cwd),
        at_ms=now_ms(),
        version=__version__,
        model=source.turns[-1].started.model,
        provider=source.turns[-1].started.provider,
        source=request.server.launch.source,
        format=FORMAT,
        git_branch=head.branch if head else None,
        git_commit=head.commit if head else None,
        forked_from=base,
    )
    log = Rollout.create(home, started.thread_id, started.at_ms)
    try:
        log.append(started)
        reading = await anyio.to_thread.run_sync(read_thread, home, log.path)
        thread, warnings = reopen(reading)
        journal = Journal(thread, log)
        for event in _endings(thread):
            journal.emit(event)
        if thread.goal is not None:  # two threads would go after one goal
            journal.emit(GoalCleared(now_ms()))
        await journal.sync()
        choices = _resumed_choices(loaded, cwd, thread, request.server.launch)
        agent = _load(request.server, request.connection, params, loaded, journal, log, choices)
    except BaseException:
        log.path.unlink(missing_ok=True)
        log.close()
        raise
    for warning in (*loaded.warnings, *warnings):
        journal.emit(Noticed(now_ms(), warning))
    result = result_of(agent)
    request.connection.post(ThreadStartedNotification(result.thread))
    return result


_ONE_THING = ("exec", "cli")
"""Faces that open a thread for one thing. In others an active goal goes on at once."""
_LOOKED_AT_BYTES = 1 << 17
"""Of what a stopped command wrote: much more than is told, so that keys are seen whole."""

HANDLERS: dict[str, Handler] = {
    m.THREAD_START.name: start,
    m.THREAD_RESUME.name: resume,
    "thread/fork": fork,
}


def _directory(path: str | None) -> Path:
    cwd = Path(os.path.abspath(path or "."))
    if not cwd.is_dir():
        raise UsageError(f"{cwd} is not a directory.", hint="Name an existing one with -C.")
    return cwd


def _workspace(asked: str | None, thread: Thread) -> Path:
    """Where a thread goes on: where one says, or where it was.

    Raises:
        UsageError: that place is not there.
    """
    last = _last_cwd(thread)
    if asked is None and last is not None and not os.path.isdir(last):
        raise UsageError(
            f"The thread worked in {last}, which is not there any more.",
            hint="If it has moved, name its new place with -C.",
        )
    return _directory(asked or last)


def _any_place(path: str | None, otherwise: Path) -> Path:
    """Return a directory; what is only read may have moved."""
    cwd = Path(os.path.abspath(path or "."))
    return cwd if cwd.is_dir() else otherwise


def _settings(server: Server, cwd: Path, params: _Params) -> Loaded:
    """The settings for a thread in `cwd`: what the server was started with, then `params`."""
    launch = server.launch
    flags = dict(launch.flags)
    flags |= {
        "model": params.model or flags.get("model"),
        "model_provider": params.model_provider or flags.get("model_provider"),
        "sandbox_mode": params.sandbox or flags.get("sandbox_mode"),
        "approval_policy": read_approval(params.approval_policy) or flags.get("approval_policy"),
    }
    flags |= params.config or {}
    if params.octavo_budget is not None:
        flags |= thread_flags(params.octavo_budget)
    return load(
        cwd=cwd,
        env=launch.env,
        profile=launch.profile,
        overrides=launch.overrides,
        flags=flags,
        strict=launch.strict_config,
        ignore_user_config=launch.ignore_user_config,
    )


def _load(
    server: Server,
    connection: Connection,
    params: _Params,
    loaded: Loaded,
    journal: Journal,
    log: Rollout | None,
    choices: TurnChoices,
) -> Agent:
    started = journal.thread.started
    assert started is not None
    settings = loaded.settings
    diagnostics = Diagnostics(
        log_dir(loaded.home), settings.log_level, redactor(secret_values(server.launch.env))
    )

    def close() -> None:
        if log is not None:
            log.close()
        diagnostics.close()

    wiring = Wiring(
        started.thread_id,
        loaded,
        server.launch.env,
        alone=server.launch.alone,
        log_path=None if log is None else log.path,
        close=close,
        on_bug=lambda text: diagnostics.write("error", text, thread=started.thread_id),
        spare=server.launch.spare,
        yard=server.yard,
        base=params.base_instructions,
        developer=params.developer_instructions,
        allowed=server.launch.allowed,
    )
    choices = msgspec.structs.replace(
        choices, approve_for_me=read_reviewer(params.approvals_reviewer)
    )
    agent = Agent(started.thread_id, journal, wiring, choices)
    if server.launch.alone:  # nobody could give a missing key, or price, later
        try:
            wiring.provider(choices)
            agent.purse.check(wiring.turn_budget, choices.provider, choices.model)
        except BaseException:
            close()
            raise
    writes = diary(started.thread_id, diagnostics)
    if writes is not None:
        journal.follow(writes)
    projection = Projection(
        agent.id,
        context_window_tokens=wiring.context_window_tokens(choices),
        total=journal.thread.usage,
        last=journal.thread.last_usage,
    )
    followers = Followers(agent, projection, server.group)
    followers.add(connection)
    server.load(agent, followers)
    return agent


async def _cut_calls(
    events: Sequence[Event], thread: Thread, loaded: Loaded, env: Mapping[str, str]
) -> Sequence[CallEnded]:
    """How the calls ended that were open when the last process died; see `agent.unfinished`."""
    if thread.turn is None or not thread.waiting() or thread.started is None:
        return ()
    from octavo.agent.unfinished import TAIL_CHARACTERS, Kept, endings  # only after a crash
    from octavo.store.kept import find_kept
    from octavo.tools.plain import plain

    redact, thread_id = redactor(secret_values(env)), thread.started.thread_id

    def find(call_id: str) -> Kept | None:
        kept = find_kept(loaded.home, thread_id, call_id, _LOOKED_AT_BYTES)
        if kept is None:
            return None
        path, end = kept
        return Kept(path, redact(plain(end))[-TAIL_CHARACTERS:])  # half a secret is still one

    return await anyio.to_thread.run_sync(lambda: list(endings(events, thread, find)))


def _endings(thread: Thread) -> Iterator[Event]:
    """What has to be said of things that were running when the last process died."""
    if thread.turn is not None:
        yield TurnEnded(thread.turn.started.turn_id, now_ms(), "crashed")
    for call_id in list(thread.running):
        yield ProcessEnded(call_id, now_ms(), CallFacts())
    if thread.shells:
        from octavo.context.shell_record import shell_record

        for item_id, shell in list(thread.shells.items()):
            end = "octavo stopped unexpectedly while it ran; how far it got is unknown."
            record = msgspec.Raw(shell_record(shell.command, end, ""))
            yield ShellEnded(item_id, now_ms(), CallFacts(), record)


def _last_cwd(thread: Thread) -> str | None:
    if thread.turns:
        return thread.turns[-1].started.cwd
    return None if thread.started is None else thread.started.cwd


def _resumed_choices(loaded: Loaded, cwd: Path, thread: Thread, launch: Launch) -> TurnChoices:
    """A thread goes on with its model unless another one is asked for."""
    last = thread.turns[-1].started if thread.turns else None
    if last is None or _asked_for(loaded, "model"):
        return default_choices(loaded, cwd, launch.add_dirs, launch.allowed.hosts)
    settings = msgspec.structs.replace(loaded.settings, model=last.model)
    if not _asked_for(loaded, "model_provider"):
        settings = msgspec.structs.replace(settings, model_provider=last.provider)
    loaded = msgspec.structs.replace(loaded, settings=settings)
    return default_choices(loaded, cwd, launch.add_dirs, launch.allowed.hosts)


def _asked_for(loaded: Loaded, setting: str) -> bool:
    source = loaded.sources.get(setting)
    return source is not None and source.layer in ("flag", "override")


def result_of(
    agent: Agent,
    live: Live | None = None,
    *,
    turns: tuple[it.Turn, ...] = (),
    whole: bool = False,
) -> m.ThreadResult:
    """What a client is told of a thread that was loaded for it.

    Args:
        live: of a thread that was running already.
        turns: the earlier ones.
        whole: add the running turn.
    """
    thread = msgspec.structs.replace(thread_of(agent), turns=turns)
    if live is not None:
        turn = live.turn() if whole else None
        turns = turns if turn is None else (*turns, turn)
        thread = msgspec.structs.replace(thread, status=live.status, turns=turns)
    return _told(thread, agent.choices, reviewed=agent.wiring.has_reviewer(agent.choices))


def _told(thread: it.Thread, choices: TurnChoices, *, reviewed: bool) -> m.ThreadResult:
    return m.ThreadResult(
        thread=thread,
        model=choices.model,
        model_provider=choices.provider,
        cwd=str(choices.policy.cwd),
        instruction_sources=(),
        approval_policy=wire_approval(choices.approval),
        sandbox=wire_policy(choices.policy),
        reasoning_effort=choices.effort,
        approvals_reviewer="auto_review" if reviewed else "user",
    )


def thread_of(agent: Agent) -> it.Thread:
    """A loaded thread, as clients see it."""
    thread, choices, path = agent.journal.thread, agent.choices, agent.wiring.log_path
    started = thread.started
    assert started is not None
    updated_ms = thread.turns[-1].started.at_ms if thread.turns else started.at_ms
    git = None
    if started.git_commit is not None or started.git_branch is not None:
        git = it.GitInfo(started.git_commit, started.git_branch)
    return it.Thread(
        id=started.thread_id,
        session_id=started.thread_id,
        preview=_preview(thread.first_text) or (thread.goal.objective if thread.goal else ""),
        ephemeral=path is None,
        model_provider=choices.provider,
        model=choices.model,
        reasoning_effort=choices.effort,
        created_at=started.at_ms // 1000,
        updated_at=updated_ms // 1000,
        recency_at=updated_ms // 1000,
        status=status_of(agent),
        path=None if path is None else str(path),
        cwd=str(choices.policy.cwd),
        cli_version=started.version,
        source=source_word(started.source),
        git_info=git,
        name=thread.name,
        octavo_turns=sum(turn.hidden_by is None for turn in thread.turns),
        octavo_tokens=thread.usage.total_tokens,
        forked_from_id=None if started.forked_from is None else started.forked_from.thread_id,
    )


def status_of(agent: Agent) -> it.ThreadStatus:
    """What a loaded thread is doing."""
    if agent.turn_id is None:
        return it.ThreadStatus("idle")
    return it.ThreadStatus("active", ())


def source_word(source: str) -> str:
    """The wire's word for the face that began a thread."""
    return {"app-server": "appServer"}.get(source, source)


def _preview(first: bytes | None) -> str:
    if first is None:
        return ""
    return "".join(part.text for part in user_inputs(first) if isinstance(part, Text))
