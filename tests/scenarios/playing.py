"""Whole behaviours through the client: real server, real sandbox, scripted model over HTTP."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec

from octavo.agent.allowed import Allowed
from octavo.client import Client, connect
from octavo.protocol import items as it
from octavo.protocol import methods as m
from octavo.protocol import notifications as note
from octavo.protocol.inputs import Text
from octavo.rpc.memory import memory_pair
from octavo.server.server import Launch, Server, serving
from octavo.trial import scripted
from octavo.trial.scripted import Script

DEADLINE_S = 30
NOTHING_ALLOWED = Allowed()


class Play:
    """A thread in a workspace, and the model that plays in it."""

    def __init__(self, client: Client, server: Server, model: scripted.Server, cwd: Path) -> None:
        self.client = client
        self.server = server
        self.model = model
        self.cwd = cwd
        self.thread_id = ""
        self.seen: list[note.Notification] = []
        self._notifications = client.notifications()

    async def start(self, **params: Any) -> m.ThreadResult:
        result = await self.client.start_thread(m.ThreadStartParams(cwd=str(self.cwd), **params))
        self.thread_id = result.thread.id
        return result

    async def resume(self, thread_id: str, **params: Any) -> m.ThreadResult:
        result = await self.client.resume_thread(m.ThreadResumeParams(thread_id, **params))
        self.thread_id = result.thread.id
        return result

    async def begin(self, text: str, **params: Any) -> str:
        asked = m.TurnStartParams(self.thread_id, (Text(text),), **params)
        return (await self.client.start_turn(asked)).id

    async def until(self, kind: type[note.Notification], **fields: Any) -> Any:
        """Read notifications up to the first of `kind` with these fields; return it."""
        with anyio.fail_after(DEADLINE_S):
            async for notification in self._notifications:
                self.seen.append(notification)
                if isinstance(notification, kind) and all(
                    getattr(notification, name) == value for name, value in fields.items()
                ):
                    return notification
        raise AssertionError(f"the connection closed before {kind.__name__}")

    async def until_item(self, began: bool, kind: type[it.ThreadItem]) -> Any:
        """Read up to the start, or the end, of an item of `kind`; return the item."""
        while True:
            found = await self.until(note.ItemStarted if began else note.ItemCompleted)
            if isinstance(found.item, kind):
                return found.item

    async def turn(self, text: str, **params: Any) -> it.Turn:
        """Run one turn to its end."""
        turn_id = await self.begin(text, **params)
        return await self.ended(turn_id)

    async def ended(self, turn_id: str) -> it.Turn:
        while True:
            completed: note.TurnCompleted = await self.until(note.TurnCompleted)
            if completed.turn.id == turn_id:
                return completed.turn

    def items(self, kind: type[it.ThreadItem]) -> list[Any]:
        """The completed items of `kind` so far."""
        return [
            n.item
            for n in self.seen
            if isinstance(n, note.ItemCompleted) and isinstance(n.item, kind)
        ]

    def requests(self) -> list[dict[str, Any]]:
        """The bodies of the requests so far."""
        return [msgspec.json.decode(r.body) for r in self.model.requests if r.number]

    def outputs(self, request: int = -1) -> list[Any]:
        """The outputs of calls that a request carries, in order."""
        return [
            item["output"]
            for item in self.requests()[request]["input"]
            if item["type"].endswith("_call_output")
        ]


@asynccontextmanager
async def playing(
    script: Script,
    cwd: Path,
    *,
    home: Path | None = None,
    start: bool = True,
    overrides: Sequence[str] = (),
    sandbox: str = "workspace-write",
    alone: bool = True,
    answer: Any = None,
    allowed: Allowed = NOTHING_ALLOWED,
    wire: str = "responses",
    source: str = "exec",
) -> AsyncIterator[Play]:
    """A server on a model that plays `script` over `wire`, and a thread in `cwd`."""
    env = {**os.environ, "OCTAVO_HOME": str(home or cwd.parent / "octavo-home")}
    async with scripted.serve(script) as model:
        launch = Launch(
            env=env,
            overrides=(
                f'model_providers.trial={{name="trial",base_url="{model.base_url}",'
                f'wire_api="{wire}"}}',
                'model_provider="trial"',
                'model="scripted"',
                *overrides,
            ),
            flags={"sandbox_mode": sandbox},
            alone=alone,
            allowed=allowed,
            source=source,
        )
        async with serving(launch) as server, anyio.create_task_group() as group:
            ours, theirs = memory_pair()
            group.start_soon(server.connect, theirs)
            async with connect(
                ours, name="test", version="0", answer=answer or _no_answer
            ) as client:
                play = Play(client, server, model, cwd)
                if start:
                    await play.start()
                yield play
            group.cancel_scope.cancel()


async def _no_answer(method: str, params: bytes) -> Any:
    raise AssertionError(f"asked {method}: {params!r}")
