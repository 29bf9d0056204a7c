"""Going on with a thread of 20,000 items: start to first request."""

from __future__ import annotations

import time

import msgspec
from harness import MIB, MS, Bench, Contender, Row, Run, medians, message

from octavo.protocol.events import (
    CallEnded,
    CallFacts,
    CallStarted,
    ItemAdded,
    RunIntent,
    StepEnded,
    ThreadStarted,
    TurnEnded,
    TurnStarted,
    UserSpoke,
)
from octavo.protocol.ids import new_id
from octavo.protocol.usage import Usage
from octavo.store.rollout import Rollout

ITEMS = 20_000
MEASURED = Usage(total_tokens=100_000)
"""What the provider says a request is, whatever is in it: the thread is to be sent whole."""


def measure(bench: Bench) -> list[Row]:
    """A thread of messages that each contender made itself; and one of calls, for octavo."""
    cwd = bench.workspace()
    said = {"parts": [{"type": "text", "text": f"item {n}"} for n in range(ITEMS)]}
    with bench.model([said, message() | {"times": 1_000}]) as model:
        threads = {
            one.name: model.run(one, cwd=cwd, requests=1).thread_id for one in bench.contenders[:2]
        }

        def run(one: Contender) -> Run:
            return model.run(one, cwd=cwd, requests=1, resume=threads[one.name])

        found = bench.in_turns(run, contenders=bench.contenders[:2])
    thread_id = _write_calls(bench.octavo, str(cwd))
    with bench.model([message() | {"times": 1_000}]) as model:
        calls = bench.in_turns(
            lambda one: model.run(one, cwd=cwd, requests=1, resume=thread_id),
            contenders=[bench.octavo],
        )
    first = lambda run: run.first_request_s  # noqa: E731 (a name for a phrase used twice)
    return [
        Row(
            "Resume of 20,000 messages, start to first request",
            "ms",
            medians(found, first, scale=MS),
            goal=400,
        ),
        Row(
            "Resume of 20,000 messages, peak memory of the process",
            "MiB",
            medians(found, lambda run: run.peak_bytes, scale=MIB),
        ),
        Row(
            "Resume of 10,000 calls and their outputs, start to first request",
            "ms",
            medians(calls, first, scale=MS),
            goal=400,
        ),
    ]


def _write_calls(octavo: Contender, cwd: str) -> str:
    """Write a thread of calls and outputs; return its id."""
    thread_id, turn_id = new_id(), new_id()
    now = int(time.time() * 1000)
    with Rollout.create(octavo.home / "state", thread_id, now) as rollout:
        rollout.append(ThreadStarted(thread_id, cwd, now, "0.1.0", "gpt-5.5", "mock"))
        rollout.append(
            TurnStarted(turn_id, now, "gpt-5.5", "mock", cwd, "workspace-write", "never")
        )
        text = [{"type": "input_text", "text": "Go on."}]
        rollout.append(
            UserSpoke(turn_id, new_id(), now, _raw(type="message", role="user", content=text))
        )
        for number in range(ITEMS // 2):
            call_id = f"call_{number}"
            call = _raw(
                type="function_call",
                name="exec_command",
                arguments='{"cmd":"echo hi"}',
                call_id=call_id,
            )
            output = _raw(type="function_call_output", call_id=call_id, output="hi\n" * 20)
            rollout.append(
                ItemAdded(
                    turn_id, f"fc_{number}", "function_call", now, call, call_id, "exec_command"
                )
            )
            rollout.append(CallStarted(turn_id, call_id, now, RunIntent("echo hi", cwd)))
            rollout.append(
                CallEnded(
                    turn_id, call_id, now, output, facts=CallFacts(exit_code=0, duration_ms=2)
                )
            )
            rollout.append(StepEnded(turn_id, now, MEASURED))
        rollout.append(TurnEnded(turn_id, now, "completed"))
    return thread_id


def _raw(**fields: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(fields))
