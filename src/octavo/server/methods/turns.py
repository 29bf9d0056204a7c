"""Turns: begin one, steer it, end it."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from octavo.agent.inbox import Said
from octavo.agent.thread import Agent
from octavo.agent.wiring import TurnChoices
from octavo.config.settings import ApprovalPolicy
from octavo.context.user_message import encode_user_message
from octavo.protocol import methods as m
from octavo.protocol.errors import UsageError
from octavo.protocol.items import Turn
from octavo.rpc import INVALID_REQUEST, RpcError
from octavo.server.budgets import read_turn_budget
from octavo.server.connection import Handler, Request
from octavo.server.policies import read_approval, read_policy, read_reviewer


async def start(request: Request) -> m.TurnStartResult:
    """turn/start: begins a turn, or joins the one that runs"""
    params = request.params(m.TurnStartParams)
    agent = request.server.agent(params.thread_id)
    choices = _choices(agent.choices, params)
    if params.tool_output is None:
        said = _said(agent, params)
    else:
        from octavo.server.external import external_said  # few clients send any

        said = external_said(params)
    schema = None
    if params.output_schema is not None:
        schema = msgspec.json.encode(params.output_schema)
    budget = None if params.octavo_budget is None else read_turn_budget(params.octavo_budget)
    turn_id = agent.start_turn(said, choices, output_schema=schema, budget=budget)
    return m.TurnStartResult(Turn(turn_id, root_turn_id=turn_id))


async def steer(request: Request) -> m.TurnSteerResult:
    """turn/steer"""
    params = request.params(m.TurnSteerParams)
    agent = request.server.agent(params.thread_id)
    if agent.turn_id is None:
        raise RpcError(INVALID_REQUEST, "no active turn to steer")
    _expect(agent, params.expected_turn_id, "expected active turn id `{0}` but found `{1}`")
    if not agent.steer(_said(agent, params)):
        raise RpcError(INVALID_REQUEST, "no active turn to steer: it is ending")
    return m.TurnSteerResult(params.expected_turn_id)


async def interrupt(request: Request) -> m.Nothing:
    """turn/interrupt: answered at once; `turn/completed` follows"""
    params = request.params(m.TurnInterruptParams)
    agent = request.server.agent(params.thread_id)
    if agent.turn_id is None:
        raise RpcError(INVALID_REQUEST, "no active turn to interrupt")
    _expect(agent, params.turn_id, "expected active turn id {0} but found {1}")
    agent.cancel_turn()
    return m.Nothing()


async def clean_terminals(request: Request) -> m.Nothing:
    """thread/backgroundTerminals/clean: answered when the commands are gone"""
    params = request.params(m.ThreadIdParams)
    await request.server.agent(params.thread_id).clean_terminals()
    return m.Nothing()


HANDLERS: dict[str, Handler] = {
    m.TURN_START.name: start,
    m.TURN_STEER.name: steer,
    m.TURN_INTERRUPT.name: interrupt,
    m.CLEAN_TERMINALS.name: clean_terminals,
}


def _expect(agent: Agent, turn_id: str, message: str) -> None:
    if agent.turn_id != turn_id:
        raise RpcError(INVALID_REQUEST, message.format(turn_id, agent.turn_id))


def _said(agent: Agent, params: m.TurnStartParams | m.TurnSteerParams) -> Said:
    raw = encode_user_message(params.input, cwd=agent.choices.policy.cwd)
    return Said(params.input, raw, params.client_user_message_id)


def _choices(choices: TurnChoices, params: m.TurnStartParams) -> TurnChoices:
    """The thread's settings with what this turn brings laid over them."""
    policy = choices.policy
    if params.sandbox_policy is not None:
        policy = read_policy(params.sandbox_policy, policy)
    if params.cwd is not None:
        cwd = Path(os.path.abspath(params.cwd))
        if not cwd.is_dir():
            raise UsageError(f"{cwd} is not a directory.", hint="Name an existing one.")
        policy = msgspec.structs.replace(policy, cwd=cwd)
    approval = choices.approval
    if params.approval_policy is not None:
        asked = read_approval(params.approval_policy)
        approval = msgspec.convert(asked, ApprovalPolicy)
    reviewer = read_reviewer(params.approvals_reviewer)
    return msgspec.structs.replace(
        choices,
        approve_for_me=choices.approve_for_me if reviewer is None else reviewer,
        policy=policy,
        approval=approval,
        model=params.model or choices.model,
        effort=params.effort or choices.effort,
        summary=params.summary or choices.summary,
    )
