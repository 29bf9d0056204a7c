"""The agent that an editor talks to: its requests, answered with octavo's threads."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar

import anyio.abc
from acp import schema as acp
from acp.exceptions import RequestError
from acp.helpers import update_available_commands, update_current_mode
from acp.interfaces import Client

from octavo import __version__
from octavo.client.octavo import Octavo, Thread
from octavo.client.questions import Answers, Asked, InputAsked, Reply, ServerAsked
from octavo.faces.acp import permissions
from octavo.faces.acp.choices import Choices, UnknownChoice
from octavo.faces.acp.prompts import Unusable, read_prompt
from octavo.faces.acp.servers import settings_of
from octavo.faces.acp.session import COMMANDS, Session
from octavo.protocol import methods as m
from octavo.protocol.errors import OctavoError
from octavo.protocol.settings import ACCOUNT_READ, AccountReadParams
from octavo.protocol.visible import visible
from octavo.rpc import BAD_PARAMS, INTERNAL, LinkClosed, RpcError

P = ParamSpec("P")
R = TypeVar("R")

PROTOCOL_VERSION = 1
LOGIN = "octavo-login"
AUTH_REQUIRED = -32000
TITLE_CHARACTERS = 80
_NO_KEY = "octavo has no key for the provider. Run `octavo login` in a terminal, then try again."


def refusing(method: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """What octavo refuses is an error of the protocol, with octavo's sentence."""

    @functools.wraps(method)
    async def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await method(*args, **kwargs)
        except RpcError as error:
            raise RequestError(error.code, error.message, error.data) from None
        except (UnknownChoice, Unusable) as error:
            raise RequestError(BAD_PARAMS, str(error)) from None
        except OctavoError as error:
            raise RequestError(INTERNAL, str(error), {"code": error.code}) from None
        except LinkClosed:
            raise RequestError(INTERNAL, "octavo is ending.") from None

    return wrapped


class OctavoAgent:
    """Answers an editor. Its connection is given with `on_connect`, its server with `octavo`."""

    octavo: Octavo
    _editor: Client

    def __init__(self, group: anyio.abc.TaskGroup) -> None:
        self._group = group
        self._sessions: dict[str, Session] = {}

    def on_connect(self, conn: Client) -> None:
        """Take the editor's end."""
        self._editor = conn

    async def initialize(self, protocol_version: int, **_: Any) -> acp.InitializeResponse:
        """initialize"""
        return acp.InitializeResponse(
            protocol_version=min(protocol_version, PROTOCOL_VERSION),
            agent_info=acp.Implementation(name="octavo", title="octavo", version=__version__),
            agent_capabilities=acp.AgentCapabilities(
                load_session=True,
                prompt_capabilities=acp.PromptCapabilities(
                    image=True, audio=False, embedded_context=True
                ),
                mcp_capabilities=acp.McpCapabilities(http=True, sse=False),
                session_capabilities=acp.SessionCapabilities(
                    list=acp.SessionListCapabilities(),
                    resume=acp.SessionResumeCapabilities(),
                    close=acp.SessionCloseCapabilities(),
                    fork=acp.SessionForkCapabilities(),
                ),
            ),
            auth_methods=[
                acp.AuthMethodAgent(
                    id=LOGIN, name="octavo login", description="Run `octavo login` in a terminal."
                )
            ],
        )

    @refusing
    async def authenticate(self, method_id: str, **_: Any) -> acp.AuthenticateResponse:
        """authenticate: whether the person has logged in; that is done outside of the editor"""
        if method_id != LOGIN:
            raise UnknownChoice(f"There is no way to log in called {method_id!r}.")
        await self._check_key()
        return acp.AuthenticateResponse()

    @refusing
    async def new_session(
        self, cwd: str, mcp_servers: Sequence[Any] | None = None, **_: Any
    ) -> acp.NewSessionResponse:
        """session/new"""
        await self._check_key()
        config = settings_of(mcp_servers)
        session = await self._take(await self.octavo.start_thread(cwd=cwd, config=config))
        return acp.NewSessionResponse(session_id=session.thread.id, **self._choices(session))

    @refusing
    async def load_session(
        self, cwd: str, session_id: str, mcp_servers: Sequence[Any] | None = None, **_: Any
    ) -> acp.LoadSessionResponse:
        """session/load: its history is said again before this is answered"""
        session = await self._resume(session_id, cwd, mcp_servers)
        await session.replay(await session.thread.read())
        return acp.LoadSessionResponse(**self._choices(session))

    @refusing
    async def resume_session(
        self, session_id: str, cwd: str, mcp_servers: Sequence[Any] | None = None, **_: Any
    ) -> acp.ResumeSessionResponse:
        """session/resume: without its history"""
        session = await self._resume(session_id, cwd, mcp_servers)
        return acp.ResumeSessionResponse(**self._choices(session))

    @refusing
    async def fork_session(
        self, session_id: str, cwd: str, mcp_servers: Sequence[Any] | None = None, **_: Any
    ) -> acp.ForkSessionResponse:
        """session/fork"""
        thread = self._session(session_id).thread
        config = settings_of(mcp_servers)
        session = await self._take(await thread.fork(cwd=cwd, config=config))
        return acp.ForkSessionResponse(session_id=session.thread.id, **self._choices(session))

    @refusing
    async def close_session(self, session_id: str, **_: Any) -> acp.CloseSessionResponse:
        """session/close: what runs in it is interrupted"""
        session = self._session(session_id)
        await session.cancel()
        await session.thread.close()
        del self._sessions[session_id]
        return acp.CloseSessionResponse()

    @refusing
    async def list_sessions(
        self, cwd: str | None = None, cursor: str | None = None, **_: Any
    ) -> acp.ListSessionsResponse:
        """session/list: the newest first"""
        params = m.ThreadListParams(cwd=cwd, cursor=cursor, sort_key="updated_at")
        page = await self.octavo.client.call(m.THREAD_LIST, params)
        sessions = [
            acp.SessionInfo(
                session_id=one.id,
                cwd=one.cwd,
                title=visible(one.name or one.preview)[:TITLE_CHARACTERS] or None,
                updated_at=datetime.fromtimestamp(one.updated_at, UTC).isoformat(),
            )
            for one in page.data
        ]
        return acp.ListSessionsResponse(sessions=sessions, next_cursor=page.next_cursor)

    @refusing
    async def set_session_mode(
        self, session_id: str, mode_id: str, **_: Any
    ) -> acp.SetSessionModeResponse:
        """session/set_mode: holds from the next turn on"""
        session = self._session(session_id)
        session.choices.set_mode(mode_id)
        await session.say(
            acp.ConfigOptionUpdate(
                session_update="config_option_update", config_options=session.choices.options()
            )
        )
        return acp.SetSessionModeResponse()

    @refusing
    async def set_config_option(
        self, config_id: str, session_id: str, value: str | bool, **_: Any
    ) -> acp.SetSessionConfigOptionResponse:
        """session/set_config_option: holds from the next turn on"""
        session = self._session(session_id)
        session.choices.set_option(config_id, value)
        if config_id == "mode":
            await session.say(update_current_mode(session.choices.mode))
        return acp.SetSessionConfigOptionResponse(config_options=session.choices.options())

    @refusing
    async def prompt(self, session_id: str, prompt: Sequence[Any], **_: Any) -> acp.PromptResponse:
        """session/prompt: answered when the turn has ended"""
        status = await self._session(session_id).prompt(read_prompt(prompt))
        return acp.PromptResponse(
            stop_reason="cancelled" if status == "interrupted" else "end_turn"
        )

    async def cancel(self, session_id: str, **_: Any) -> None:
        """session/cancel: `session/prompt` is answered when the turn has ended"""
        if (session := self._sessions.get(session_id)) is None:
            return
        try:
            await session.cancel()
        except (RpcError, LinkClosed):  # it was over first
            return

    async def answer(self, asked: Asked) -> Reply:
        """Ask the person at the editor; one who does not answer has said no."""
        session = self._sessions.get(asked.thread_id)
        if session is None:
            return "decline"
        try:
            if isinstance(asked, InputAsked):
                return await self._ask_input(session, asked)
            if isinstance(asked, ServerAsked) and not asked.is_tool:
                return "decline"  # a form of a server's has no place among an editor's buttons
            tool = permissions.tool_of(asked)
            await session.say(session.updates.tool(tool))
            response = await self._editor.request_permission(
                session_id=asked.thread_id,
                tool_call=acp.ToolCallUpdate(
                    tool_call_id=tool.id,
                    title=tool.title,
                    kind=tool.kind,
                    status="pending",
                    content=tool.content or None,
                    locations=tool.places or None,
                    raw_input=tool.raw_input,
                ),
                options=permissions.options_of(asked),
            )
        except (RequestError, ConnectionError):
            return "decline"
        return permissions.read_reply(response.outcome)

    async def _ask_input(self, session: Session, asked: InputAsked) -> Answers:
        """One request a question; what has no options cannot be asked here."""
        answers: dict[str, str] = {}
        for number, question in enumerate(asked.questions):
            options = permissions.choices_of(question)
            if not options:
                continue
            response = await self._editor.request_permission(
                session_id=session.thread.id,
                tool_call=acp.ToolCallUpdate(
                    tool_call_id=f"{asked.item_id}-{number}",
                    title=visible(question.question),
                    kind="other",
                    status="pending",
                ),
                options=options,
            )
            if not isinstance(response.outcome, acp.AllowedOutcome):
                return answers
            chosen = {one.option_id: one.name for one in options}.get(response.outcome.option_id)
            if chosen is not None:
                answers[question.id] = chosen
        return answers

    async def _resume(self, thread_id: str, cwd: str, servers: Sequence[Any] | None) -> Session:
        config = settings_of(servers)
        return await self._take(await self.octavo.resume_thread(thread_id, cwd=cwd, config=config))

    async def _take(self, thread: Thread) -> Session:
        """Make a thread a session."""
        choices = Choices(thread.settings, await self.octavo.models())

        async def say(update: Any) -> None:
            await self._editor.session_update(session_id=thread.id, update=update)

        session = self._sessions[thread.id] = Session(thread, choices, say)
        return session

    def _choices(self, session: Session) -> dict[str, Any]:
        """What an answer says of a session; once it is given, the session's commands are told."""
        self._group.start_soon(self._tell_commands, session)
        return {
            "modes": session.choices.mode_state(),
            "config_options": session.choices.options(),
        }

    async def _tell_commands(self, session: Session) -> None:
        commands = [
            acp.AvailableCommand(name=name, description=text) for name, text in COMMANDS.items()
        ]
        try:
            await session.say(update_available_commands(commands))
        except ConnectionError:
            return

    def _session(self, session_id: str) -> Session:
        session = self._sessions.get(session_id)
        if session is None:
            raise UnknownChoice(f"There is no session {session_id!r} here; load it first.")
        return session

    async def _check_key(self) -> None:
        """Raises RequestError when the provider cannot be asked without a key, and there is
        none."""
        found = await self.octavo.client.call(ACCOUNT_READ, AccountReadParams())
        if found.requires_openai_auth and found.account is None:
            raise RequestError(AUTH_REQUIRED, _NO_KEY)
