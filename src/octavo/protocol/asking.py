"""Questions as server requests, and their answers read back.

Shapes: the app-server's v2 (Codex 0.169), section "server requests"; what octavo adds are optional
fields that begin with `octavo`. What cannot be read as an answer to this very question is a
decline: nothing is allowed by mistake.
"""

from __future__ import annotations

from typing import Any, assert_never

import msgspec

from octavo.protocol.events import QuestionAsked
from octavo.protocol.questions import (
    Answer,
    CommandQuestion,
    ElicitationQuestion,
    FileChangeQuestion,
    Grant,
    InputQuestion,
    NetworkQuestion,
    Offer,
    Question,
    ToolQuestion,
)
from octavo.protocol.visible import visible_command

APPROVE_COMMAND = "item/commandExecution/requestApproval"
APPROVE_FILE_CHANGE = "item/fileChange/requestApproval"
REQUEST_USER_INPUT = "item/tool/requestUserInput"
ELICIT = "mcpServer/elicitation/request"

DECISIONS = ("accept", "acceptForSession", "decline", "cancel")
_PROTOCOLS = {"http": "http", "https": "https", "socks5": "socks5Tcp", "dns": "https"}
"""The app-server's word for how a host was asked for; it has none for a name looked up."""


class _Decision(msgspec.Struct, rename={"octavo_remember": "octavoRemember"}):
    decision: Any
    octavo_remember: str | None = None


class _Action(msgspec.Struct, rename={"meta": "_meta"}):
    action: Any = None
    content: Any = None
    meta: Any = None


class _Answers(msgspec.Struct):
    answers: tuple[str, ...]


class _Inputs(msgspec.Struct):
    answers: dict[str, _Answers]


def question_request(thread_id: str, asked: QuestionAsked) -> tuple[str, dict[str, Any]]:
    """Return the method and parameters that ask a client."""
    params: dict[str, Any] = {
        "threadId": thread_id,
        "turnId": asked.turn_id,
        "itemId": asked.call_id,
        "startedAtMs": asked.at_ms,
    }
    question = asked.question
    match question:
        case CommandQuestion():
            return APPROVE_COMMAND, params | _command(question)
        case NetworkQuestion():
            return APPROVE_COMMAND, params | _network(question)
        case FileChangeQuestion():
            paths = tuple(map(visible_command, question.paths))
            params |= {
                "reason": visible_command(question.reason or "Change " + ", ".join(paths)),
                "grantRoot": None,
                "octavoPaths": paths,
                "octavoOffers": question.offers,
            }
            return APPROVE_FILE_CHANGE, params
        case InputQuestion():
            del params["startedAtMs"]
            asks = [
                {
                    "id": ask.id,
                    "header": ask.header,
                    "question": ask.question,
                    "isOther": True,
                    "isSecret": False,
                    "options": [
                        {"label": option.label, "description": option.description}
                        for option in ask.options
                    ],
                }
                for ask in question.asks
            ]
            params |= {"questions": asks, "isBlocking": True, "autoResolutionMs": None}
            return REQUEST_USER_INPUT, params
        case ToolQuestion():
            return ELICIT, _of_server(params, question.server) | _tool(question)
        case ElicitationQuestion():
            return ELICIT, _of_server(params, question.server) | _elicitation(question)
        case _:
            assert_never(question)


def _of_server(params: dict[str, Any], server: str) -> dict[str, Any]:
    return {
        "threadId": params["threadId"],
        "turnId": params["turnId"],
        "serverName": server,
        "octavoItemId": params["itemId"],
    }


def _tool(question: ToolQuestion) -> dict[str, Any]:
    """Codex asks about a tool by way of an empty form; a client knows it by its `_meta`."""
    tool = visible_command(question.tool)
    server = visible_command(question.server)
    words = {"thread": "session", "always": "always"}
    return {
        "mode": "form",
        "message": (
            f'Allow the {server} MCP server to run tool "{tool}"? {question.why}'
            f" It would be called with: {question.arguments}"
        ),
        "requestedSchema": {"type": "object", "properties": {}},
        "_meta": {
            "codex_approval_kind": "mcp_tool_call",
            "persist": [words[offer.id] for offer in question.offers],
            "tool_name": question.tool,
            "tool_description": question.said,
            "tool_params": _decoded(question.arguments),
        },
        "octavoWhy": question.why,
        "octavoArguments": question.arguments,
        "octavoOffers": question.offers,
    }


def _elicitation(question: ElicitationQuestion) -> dict[str, Any]:
    message = visible_command(question.message)
    if question.url is not None:
        return {"mode": "url", "message": message, "url": question.url, "elicitationId": None}
    schema = _decoded(question.schema or "")
    return {"mode": "form", "message": message, "requestedSchema": schema, "_meta": None}


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):  # it was shortened
        return {}


def _command(question: CommandQuestion) -> dict[str, Any]:
    """A client that knows no field of octavo's still shows every character, and every reason."""
    prefix = next((offer for offer in question.offers if offer.covers == "prefix"), None)
    reasons = [text for text in (question.why, question.reason) if text]
    params: dict[str, Any] = {
        "kind": "command",
        "approvalId": None,
        "environmentId": None,
        "command": visible_command(question.command),
        "cwd": visible_command(question.cwd),
        "reason": visible_command(" ".join(reasons)) or None,
        "commandActions": [],
        "availableDecisions": _decisions(question.offers),
        "octavoCommand": question.command,
        "octavoOutside": question.outside,
        "octavoWhy": question.why,
        "octavoJustification": visible_command(question.reason or "") or None,
        "octavoRules": question.rules,
        "octavoPrograms": [
            {"name": visible_command(one.name), "path": one.path and visible_command(one.path)}
            for one in question.programs
        ],
        "octavoPaths": tuple(map(visible_command, question.paths)),
        "octavoOffers": question.offers,
    }
    if prefix is not None:
        params["proposedExecpolicyAmendment"] = prefix.words
    if question.grant is not None:
        params |= _grant(question.grant)
    return params


def _grant(grant: Grant) -> dict[str, Any]:
    reaches = grant.network or bool(grant.hosts)
    return {
        "additionalPermissions": {
            "fileSystem": {"write": grant.write} if grant.write else None,
            "network": {"enabled": True} if reaches else None,
        },
        "octavoHosts": grant.hosts if not grant.network else ("*",),
    }


def _network(question: NetworkQuestion) -> dict[str, Any]:
    amendment = {"host": question.host, "action": "allow"}
    decisions = _decisions(question.offers)
    decisions.insert(-2, {"applyNetworkPolicyAmendment": {"network_policy_amendment": amendment}})
    return {
        "kind": "command",
        "approvalId": None,
        "environmentId": None,
        "command": visible_command(question.command),
        "cwd": visible_command(question.cwd),
        "reason": question.why,
        "commandActions": [],
        "networkApprovalContext": {
            "host": question.host,
            "protocol": _PROTOCOLS[question.protocol],
        },
        "proposedNetworkPolicyAmendments": [amendment],
        "availableDecisions": decisions,
        "octavoPort": question.port,
        "octavoOffers": question.offers,
    }


def _decisions(offers: tuple[Offer, ...]) -> list[Any]:
    decisions: list[Any] = ["accept"]
    for offer in offers:
        if offer.id == "thread":
            decisions.append("acceptForSession")
        elif offer.covers == "prefix":
            amendment = {"execpolicy_amendment": offer.words}
            decisions.append({"acceptWithExecpolicyAmendment": amendment})
    return [*decisions, "decline", "cancel"]


def read_answer(question: Question, result: bytes) -> Answer:
    """Return what a client answered."""
    try:
        if isinstance(question, InputQuestion):
            inputs = msgspec.json.decode(result, type=_Inputs).answers
            return Answer("accept", {key: value.answers for key, value in inputs.items()})
        if isinstance(question, ToolQuestion | ElicitationQuestion):
            return _read_action(question, msgspec.json.decode(result, type=_Action))
        given = msgspec.json.decode(result, type=_Decision)
    except msgspec.DecodeError:
        return Answer("decline")
    decision, remember = given.decision, given.octavo_remember
    if isinstance(decision, dict):
        remember = _amended(question, decision)
        decision = "decline" if remember is None else "accept"
    if decision == "acceptForSession":
        remember = remember or "thread"
    if decision not in DECISIONS:
        return Answer("decline")
    if decision in ("decline", "cancel") or remember in (None, "once"):
        return Answer(decision)
    if all(offer.id != remember for offer in question.offers):
        return Answer("decline")
    return Answer("acceptForSession" if remember == "thread" else "accept", remember=remember)


def _read_action(question: ToolQuestion | ElicitationQuestion, given: _Action) -> Answer:
    if given.action == "cancel" and isinstance(question, ToolQuestion):
        return Answer("cancel")
    if given.action != "accept":
        return Answer("decline")
    if isinstance(question, ElicitationQuestion):
        content = given.content if isinstance(given.content, dict) else {}
        return Answer("accept", content=msgspec.json.encode(content).decode())
    persist = given.meta.get("persist") if isinstance(given.meta, dict) else None
    remember = {"session": "thread", "always": "always"}.get(str(persist))
    if remember is None or all(offer.id != remember for offer in question.offers):
        return Answer("accept")
    if remember == "thread":
        return Answer("acceptForSession", remember=remember)
    return Answer("accept", remember=remember)


def _amended(question: Question, decision: dict[Any, Any]) -> str | None:
    """Return the offer that an answer with an amendment takes; None when it is not the one made."""
    match decision, question:
        case (
            {"acceptWithExecpolicyAmendment": {"execpolicy_amendment": list(words)}},
            CommandQuestion(offers=offers),
        ):
            fits = (o.id for o in offers if o.covers == "prefix" and list(o.words) == words)
            return next(fits, None)
        case (
            {
                "applyNetworkPolicyAmendment": {
                    "network_policy_amendment": {"host": str(host), "action": "allow"}
                }
            },
            NetworkQuestion(),
        ):
            return "always" if host == question.host else None
        case _:
            return None
