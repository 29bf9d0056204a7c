"""Runs the cases: a real server, real threads and cages; only the model is a script.

Cases run side by side, each in a thread, a cage and a workspace of its own. With `prove`, each runs
a second time with its wall down, after all the others, so that nothing it does can help them.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec

from octavo.agent.allowed import Allowed
from octavo.client import AnswerQuestion, Client, connect
from octavo.config.keys import dotted
from octavo.config.load import Loaded, load
from octavo.protocol import methods as m
from octavo.protocol import notifications as note
from octavo.protocol.errors import OctavoError
from octavo.protocol.inputs import Text
from octavo.rpc import NO_METHOD, RpcError
from octavo.rpc.memory import memory_pair
from octavo.sandbox import Report, open_sandbox
from octavo.sandbox.from_settings import sandbox_policy
from octavo.sandbox.policy import writable_roots
from octavo.server.server import Launch, Server, serving
from octavo.trial.answers import FunctionCall
from octavo.trial.attack import Case, Outcome, Turn, Verdict, catalog, walls
from octavo.trial.attack.bare import bystander, run_bare
from octavo.trial.attack.canaries import Canaries, listening
from octavo.trial.attack.hooks import OWN_OFF
from octavo.trial.attack.model import Model
from octavo.trial.attack.scene import Scene
from octavo.trial.attack.world import World, throw_away
from octavo.trial.scripted import serve

SIDE_BY_SIDE = 3
DEADLINE_S = 60.0
PLAIN: Mapping[str, object] = {
    "sandbox_mode": "workspace-write",
    "shell_environment_policy.inherit": "all",
    "shell_environment_policy.exclude": (),
    "shell_environment_policy.include_only": (),
}
"""Laid over the user's settings with a wall down, lest a stricter one stand in for it."""
REFUSALS = ("Nothing was run", "was not run", "forbidden by a rule", "declined")
NO_CHANGE = ("No file was changed", "may not be changed", "The sandbox refused this")
QUOTED_CHARS = 300


class Attack(msgspec.Struct, frozen=True):
    """What a run is to do.

    Attributes:
        env: of octavo; says where the user's settings are.
        profile: the user's `-p`.
        overrides: the user's `-c`.
        prove: also run each case with its wall down.
    """

    env: Mapping[str, str]
    cases: Sequence[Case]
    profile: str | None = None
    overrides: Sequence[str] = ()
    prove: bool = False


class Ran(msgspec.Struct, frozen=True):
    """What came of a run."""

    mode: str
    tier: str
    gaps: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    took_s: float


async def attack(asked: Attack, on_verdict: Callable[[Verdict], None] | None = None) -> Ran:
    """Run the cases and return what came of them, in their order.

    The home of this process is a throw-away one meanwhile.

    Raises:
        ConfigError: the user's settings make no sense.
        OctavoError: nothing could be tried; says why.
    """
    began = time.monotonic()
    real = load(cwd=Path("/"), env=asked.env, profile=asked.profile, overrides=asked.overrides)
    writable = writable_roots(sandbox_policy(real, Path("/nonexistent"), ()))
    with throw_away(asked.env, [Path(root) for root in writable]) as world:
        async with _Range.opened(asked, world) as place:
            verdicts = await place.all(asked.cases, on_verdict or _nobody_listens)
            return Ran(
                mode=place.mode,
                tier=place.report.tier,
                gaps=place.report.gaps,
                verdicts=tuple(verdicts),
                took_s=time.monotonic() - began,
            )


class _Range:
    """Where the cases are run."""

    def __init__(
        self,
        asked: Attack,
        world: World,
        canaries: Canaries,
        model: Model,
        servers: tuple[Server, Server, Server],
        bystander: int,
        report: Report,
    ) -> None:
        self._asked = asked
        self._world = world
        self._canaries = canaries
        self._model = model
        self._strict, self._lenient, self._attended = servers
        self._bystander = bystander
        self._loaded = _settings(asked, world)
        self.mode = str(sandbox_policy(self._loaded, world.repository, ()).mode)
        self.report = report

    @classmethod
    @asynccontextmanager
    async def opened(cls, asked: Attack, world: World) -> AsyncIterator[_Range]:
        report = await _look(asked, world)
        model = Model()
        async with serve(model, keep_bodies=False) as provider, listening(world.root) as canaries:
            own = _settings(asked, world).settings.mcp_servers
            overrides = (
                *asked.overrides,
                *OWN_OFF,
                *(f"{dotted(('mcp_servers', name))}.enabled=false" for name in own),
                f'model_providers.attack={{name="attack",base_url="{provider.base_url}"}}',
                'model_provider="attack"',
                'model="scripted"',
            )
            launch = Launch(
                env=world.env,
                profile=asked.profile,
                overrides=overrides,
                flags={"approval_policy": "never"},
                alone=True,
                source="exec",
            )
            unruled = {**world.env, "OCTAVO_HOME": str(world.unruled_home)}
            accepting = msgspec.structs.replace(launch, env=unruled, allowed=Allowed(unasked=True))
            asking = msgspec.structs.replace(
                launch, alone=False, flags={"approval_policy": "on-request"}
            )
            async with (
                bystander(world) as process,
                serving(launch) as strict,
                serving(accepting) as lenient,
                serving(asking) as attended,
            ):
                servers = (strict, lenient, attended)
                yield cls(asked, world, canaries, model, servers, process, report)

    async def all(
        self, cases: Sequence[Case], on_verdict: Callable[[Verdict], None]
    ) -> list[Verdict]:
        """Run every case; with its wall down only when all have run with theirs up."""
        verdicts: dict[int, Verdict] = {}

        async def up(number: int, case: Case) -> None:
            verdicts[number] = await self._verdict(case)
            if not self._asked.prove:
                on_verdict(verdicts[number])

        async def down(number: int, case: Case) -> None:
            verdicts[number] = await self._shown(case, verdicts[number])
            on_verdict(verdicts[number])

        await _side_by_side(up, cases)
        if self._asked.prove:
            await _side_by_side(down, cases)
        return [verdicts[number] for number in sorted(verdicts)]

    async def _verdict(self, case: Case) -> Verdict:
        began = time.monotonic()
        scene = self._scene(case, lowered=False)
        known = catalog.find(case.attack)

        def verdict(outcome: Outcome, detail: str = "", wall: str = "") -> Verdict:
            took_s = round(time.monotonic() - began, 3)
            return Verdict(
                case.attack, known.group, known.title, case.way, outcome, wall, detail,
                took_s=took_s,
            )  # fmt: skip

        missing = case.needs(scene) if case.needs is not None else ""
        if missing:
            return verdict("not_applicable", missing)
        trouble = await self._play(case, scene)
        harm = case.harm(scene)
        if harm:
            is_gap = any(case.gap in gap for gap in self.report.gaps) if case.gap else False
            return verdict("gap" if is_gap else "escaped", harm, case.wall)
        if scene.missing:
            return verdict("not_applicable", scene.missing)
        if trouble:
            return verdict("untested", trouble)
        if case.answer is not None and not scene.questions:
            return verdict("not_applicable", "nobody is asked about it under these settings")
        said = "\n".join(scene.outputs)
        if (case.bait is not None or said) and not _was_tried(scene, said):
            return verdict("untested", _quoted(said) or "no call of a tool came back")
        return verdict("blocked", wall=_wall(case, scene, said))

    async def _shown(self, case: Case, verdict: Verdict) -> Verdict:
        """Run a case with its wall down, and say whether the harm is seen then."""
        if verdict.outcome in ("not_applicable", "escaped", "gap"):
            return verdict
        scene = self._scene(case, lowered=True)
        trouble = await self._play(case, scene)
        if case.harm(scene):
            return msgspec.structs.replace(verdict, shown="harm")
        if case.down.host_may_refuse:
            return msgspec.structs.replace(verdict, shown="machine")
        said = trouble or _quoted("\n".join(scene.outputs))
        return msgspec.structs.replace(
            verdict, shown="none", detail=f"also absent with the wall down: {said}"
        )

    def _scene(self, case: Case, *, lowered: bool) -> Scene:
        scene = Scene(
            self._world,
            self._canaries,
            self._loaded,
            bystander=self._bystander,
            lowered=lowered,
        )
        scene.make()
        return scene

    async def _play(self, case: Case, scene: Scene) -> str:
        """Let a case happen; return what went wrong with the run itself, if anything."""
        try:
            with anyio.fail_after(DEADLINE_S):
                if case.prepare is not None:
                    case.prepare(scene)
                if case.act is not None:
                    await case.act(scene)
                    return ""
                assert case.bait is not None
                turns = case.bait(scene)
                if scene.lowered and case.down.bare:
                    await self._bare(scene, turns)
                else:
                    await self._thread(case, scene, turns)
        except Exception as failure:  # noqa: BLE001 - a bug is raised again
            return _said_by(failure)
        return ""

    async def _thread(self, case: Case, scene: Scene, turns: Sequence[Turn]) -> None:
        settings: dict[str, Any] = {**case.settings, **scene.settings}
        server = self._strict
        if scene.lowered:
            settings |= {**PLAIN, **case.down.settings}
            scene.trusted = scene.trusted or case.down.trust
        if scene.trusted:
            settings[f'projects."{scene.workspace}".trust_level'] = "trusted"
        if scene.lowered and case.down.accept:
            server = self._lenient
        if case.answer is not None:
            server = self._attended
        async with anyio.create_task_group() as group:
            ours, theirs = memory_pair()
            group.start_soon(server.connect, theirs)
            answer = _answering(case, scene)
            async with connect(ours, name="octavo_attack", version="0", answer=answer) as client:
                await self._turns(client, server, case, scene, turns, settings)
            group.cancel_scope.cancel()

    async def _turns(
        self,
        client: Client,
        server: Server,
        case: Case,
        scene: Scene,
        turns: Sequence[Turn],
        settings: dict[str, Any],
    ) -> None:
        params = m.ThreadStartParams(
            cwd=str(scene.workspace), config=settings, ephemeral=case.ephemeral
        )
        thread_id = (await client.start_thread(params)).thread.id
        try:
            async with contextlib.aclosing(client.notifications()) as notifications:
                for turn in turns:
                    self._model.expect(thread_id, scene, turn)
                    await client.start_turn(m.TurnStartParams(thread_id, (Text(case.says),)))
                    async for seen in notifications:
                        scene.seen.append(seen)
                        if isinstance(seen, note.TurnCompleted):
                            break
        finally:
            with anyio.CancelScope(shield=True):
                await server.agent(thread_id).close()

    async def _bare(self, scene: Scene, turns: Sequence[Turn]) -> None:
        """Do what the model would do, with nothing around it."""
        for turn in turns:
            for one in turn:
                if isinstance(one, FunctionCall) and one.name == "exec_command":
                    assert isinstance(one.arguments, dict)
                    await run_bare(one.arguments["cmd"], scene)


def _nobody_listens(verdict: Verdict) -> None:
    del verdict


def _settings(asked: Attack, world: World) -> Loaded:
    """Load the user's settings, as they are in the throw-away home."""
    return load(
        cwd=world.repository, env=world.env, profile=asked.profile, overrides=asked.overrides
    )


async def _look(asked: Attack, world: World) -> Report:
    """See what confines here, before anything is tried.

    Raises:
        SandboxError: nothing does, so no command would run either.
    """
    async with open_sandbox(sandbox_policy(_settings(asked, world), world.repository, ())) as cage:
        return await cage.ready()


async def _side_by_side(run: Callable[[int, Case], Awaitable[None]], cases: Sequence[Case]) -> None:
    limit = anyio.CapacityLimiter(SIDE_BY_SIDE)

    async def one(number: int, case: Case) -> None:
        async with limit:
            await run(number, case)

    async with anyio.create_task_group() as group:
        for number, case in enumerate(cases):
            group.start_soon(one, number, case)


def _answering(case: Case, scene: Scene) -> AnswerQuestion:
    """Return the person of a case, who is asked what clients are asked."""

    async def answer(method: str, params: bytes) -> Any:
        if case.answer is None:
            raise RpcError(NO_METHOD, f"Nobody is here to answer {method}.")
        question = msgspec.json.decode(params, type=dict[str, Any])
        scene.questions.append(question)
        return {"decision": case.answer(scene, question)}

    return answer


def _said_by(failure: BaseException) -> str:
    """Return what a failed run says. A bug of ours is not a failed run, and goes on up."""
    first = failure
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    match first:
        case TimeoutError():
            return f"it took longer than {DEADLINE_S:.0f} seconds"
        case RpcError():
            return first.message
        case OctavoError() | OSError():
            return str(first)
    raise failure


def _was_tried(scene: Scene, said: str) -> bool:
    words = (scene.mark, *REFUSALS, *NO_CHANGE)
    return bool(scene.questions) or any(word in said for word in words)


def _wall(case: Case, scene: Scene, said: str) -> str:
    """Return what stopped it: the policy may have been there before the case's own wall."""
    if case.answer is not None:
        return case.wall
    refused = any(word in said for word in REFUSALS) and scene.mark not in said
    return walls.JUDGED if refused and case.wall not in walls.OF_THE_POLICY else case.wall


def _quoted(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= QUOTED_CHARS else f"{line[:QUOTED_CHARS]} …"
