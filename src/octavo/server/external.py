"""Messages of other programs: `toolOutput` of `turn/start`."""

from __future__ import annotations

from typing import Any

from octavo.agent.inbox import Said
from octavo.context.encode import Part, text_part
from octavo.context.external import external_message
from octavo.protocol import methods as m
from octavo.protocol.events import External
from octavo.rpc import BAD_PARAMS, RpcError

NAME_CHARS = 200
_FIELDS = {"input_text": "text", "input_image": "image_url"}


def external_said(params: m.TurnStartParams) -> Said:
    """Return what another program says with a request.

    Raises:
        RpcError: it comes with something of the user's, or is nothing that a model can be shown.
    """
    said = params.tool_output
    assert said is not None
    if params.input:
        raise _bad("it goes with no `input`", "toolOutput")
    if not said.name.strip() or len(said.name) > NAME_CHARS:
        raise _bad(f"a name has 1 to {NAME_CHARS} characters", "toolOutput.name")
    if len(said.namespace or "") > NAME_CHARS:
        raise _bad(f"a namespace has at most {NAME_CHARS} characters", "toolOutput.namespace")
    output: tuple[Part, ...]
    if isinstance(said.output, str):
        output = (text_part(said.output),)
    else:
        output = tuple(_part(at, part) for at, part in enumerate(said.output))
    if not any(part.get("text") or part.get("image_url") for part in output):
        raise _bad("there is nothing in it", "toolOutput.output")
    raw = external_message(said.name, said.namespace, output)
    external = External(said.name, said.namespace)
    return Said((), raw, params.client_user_message_id, external)


def _part(at: int, part: dict[str, Any]) -> Part:
    kind = part.get("type")
    field = _FIELDS.get(kind) if isinstance(kind, str) else None
    if field is None or not isinstance(part.get(field), str):
        names = ", ".join(_FIELDS)
        raise _bad(f"a part is one of {names}, with its text or URL", f"toolOutput.output[{at}]")
    if field == "image_url" and not part[field].lower().startswith(("https://", "data:image/")):
        raise _bad("an image is an https or data URL", f"toolOutput.output[{at}]")
    return {"type": str(kind), field: part[field]}


def _bad(why: str, field: str) -> RpcError:
    return RpcError(BAD_PARAMS, f"Invalid params: {why} - at `$.{field}`")
