"""An editor for tests: the official package's own client, over a real `octavo acp`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from acp import PROTOCOL_VERSION, spawn_agent_process, text_block
from acp.client.connection import ClientSideConnection
from acp.schema import (
    AllowedOutcome,
    DeniedOutcome,
    NewSessionResponse,
    PermissionOption,
    RequestPermissionResponse,
    ToolCallUpdate,
)

from octavo.trial import scripted
from octavo.trial.scripted import Script
from tests.server.programs import OCTAVO, settings

DEADLINE_S = 40
Choose = Callable[[ToolCallUpdate, list[PermissionOption]], str | None]


class Editor:
    """What an editor has: updates as they came, and a person who answers.

    Attributes:
        updates: of all sessions, as dictionaries with the protocol's names.
        asked: every permission request.
    """

    def __init__(self, choose: Choose | None = None) -> None:
        self.updates: list[dict[str, Any]] = []
        self.asked: list[tuple[ToolCallUpdate, list[PermissionOption]]] = []
        self.agent: ClientSideConnection
        self.session_id = ""
        self.model: scripted.Server
        self._choose = choose
        self._more = anyio.Event()

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        found = update.model_dump(mode="json", by_alias=True, exclude_none=True)
        self.updates.append({"session": session_id, **found})
        self._more.set()

    async def request_permission(
        self, session_id: str, tool_call: ToolCallUpdate, options: list[Any], **_: Any
    ) -> RequestPermissionResponse:
        self.asked.append((tool_call, options))
        chosen = None if self._choose is None else self._choose(tool_call, options)
        if chosen is None:
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        outcome = AllowedOutcome(outcome="selected", option_id=chosen)
        return RequestPermissionResponse(outcome=outcome)

    def on_connect(self, conn: Any) -> None:
        pass

    async def start(self, cwd: Path) -> NewSessionResponse:
        started = await self.agent.new_session(cwd=str(cwd), mcp_servers=[])
        self.session_id = started.session_id
        return started

    async def prompt(self, *blocks: Any) -> str:
        """Ask, and return why the turn stopped."""
        parts = [text_block(one) if isinstance(one, str) else one for one in blocks]
        response = await self.agent.prompt(session_id=self.session_id, prompt=parts)
        return response.stop_reason

    async def until(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait for an update."""
        while True:
            for update in self.updates:
                if fits(update):
                    return update
            self._more = anyio.Event()
            await self._more.wait()

    def kinds(self) -> list[str]:
        return [update["sessionUpdate"] for update in self.updates]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [update for update in self.updates if update["sessionUpdate"] == kind]

    def text(self, kind: str = "agent_message_chunk") -> str:
        return "".join(one["content"]["text"] for one in self.of(kind))

    def tool(self, title: str) -> dict[str, Any]:
        """A tool call as the editor has it at last: its start, brought up to date."""
        [start] = [one for one in self.of("tool_call") if title in one["title"]]
        whole = dict(start)
        for update in self.of("tool_call_update"):
            if update["toolCallId"] == start["toolCallId"]:
                whole |= update
        return whole


@asynccontextmanager
async def editing(
    script: Script,
    workspace: Path,
    *words: str,
    choose: Choose | None = None,
    env: dict[str, str] | None = None,
    provider: Sequence[str] | None = None,
) -> AsyncIterator[Editor]:
    """An editor that has started `octavo acp WORDS`, introduced itself, and has no session yet."""
    editor = Editor(choose)
    with anyio.fail_after(DEADLINE_S):
        async with scripted.serve(script) as model:
            editor.model = model
            given = settings(model.base_url) if provider is None else provider
            home = str(workspace.parent / "octavo-home")
            async with spawn_agent_process(
                lambda _agent: editor,  # type: ignore[arg-type, return-value]
                str(OCTAVO),
                "acp",
                *given,
                *words,
                env={**os.environ, "OCTAVO_HOME": home, **(env or {})},
                transport_kwargs={"shutdown_timeout": 20, "stderr": None},
                use_unstable_protocol=True,
            ) as (agent, process):
                editor.agent = agent
                await agent.initialize(protocol_version=PROTOCOL_VERSION)
                yield editor
            assert process.returncode == 0
