"""`octavo mcp prompts` and `octavo mcp prompt`: what a server offers a person to say."""

from __future__ import annotations

import sys
from argparse import Namespace

from octavo.cli.asking import ask
from octavo.cli.shared import working_directory
from octavo.protocol.errors import UsageError
from octavo.protocol.visible import visible, visible_command, visible_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, _SubParsersAction

    from octavo.protocol.mcp_prompts import McpPrompt, McpPromptGetResult


def add_arguments(actions: _SubParsersAction[ArgumentParser]) -> None:
    """Declare both."""
    prompts = actions.add_parser("prompts", help="list the prompts of a server")
    prompt = actions.add_parser(
        "prompt",
        help="print a prompt of a server, for `octavo exec -`",
        usage="%(prog)s SERVER NAME [KEY=VALUE ...]",
    )
    for each in (prompts, prompt):
        each.add_argument("name", metavar="SERVER")
    prompt.add_argument("prompt", metavar="NAME")
    prompt.add_argument(
        "arguments", metavar="KEY=VALUE", nargs="*", help="what it is filled in with"
    )
    for each in (prompts, prompt):
        each.add_argument("--json", action="store_true", help="print JSON; images are in it")
        each.add_argument("-C", "--cd", metavar="DIR", help="look from DIR instead of here")


def run(args: Namespace) -> int:
    """Do one of them."""
    return _list(args) if args.action == "prompts" else _print(args)


def _list(args: Namespace) -> int:
    from octavo.protocol import mcp_prompts as q

    params = q.McpPromptsListParams(args.name, cwd=str(working_directory(args.cd)))
    found = ask(lambda client: client.call(q.MCP_PROMPTS_LIST, params))
    if args.json:
        _print_json(found)
        return 0
    for prompt in found.data:
        for line in _shown(prompt):
            print(line)
    if not found.data:
        print(f"MCP server {visible_name(args.name)} has no prompts.")
    if found.left_out is not None:
        print(f"{found.left_out}.", file=sys.stderr)
    return 0


def _shown(prompt: McpPrompt) -> list[str]:
    takes = [
        f"{visible_command(one.name)}=…" if one.required else f"[{visible_command(one.name)}=…]"
        for one in prompt.arguments
    ]
    lines = [" ".join([visible_name(prompt.name), *takes])]
    said = prompt.description or prompt.title
    lines += [f"    {line}" for line in visible_command(said).split("\n") if said]
    lines += [
        f"      {visible_name(one.name)}: {visible_name(one.description)}"
        for one in prompt.arguments
        if one.description
    ]
    return lines


def _print(args: Namespace) -> int:
    from octavo.protocol import mcp_prompts as q

    params = q.McpPromptGetParams(
        args.name,
        args.prompt,
        dict(map(_pair, args.arguments)),
        cwd=str(working_directory(args.cd)),
    )
    given = ask(lambda client: client.call(q.MCP_PROMPT_GET, params))
    if args.json:
        _print_json(given)
        return 0
    # Whoever reads it next, a model behind a pipe as well, is told whose words these are.
    who = f"the prompt {visible_name(args.prompt)} of the MCP server {visible_name(args.name)}"
    print(f"[What follows is {who}.]\n")
    print(visible_command(given.text) if sys.stdout.isatty() else visible(given.text))
    _note(given)
    return 0


def _note(given: McpPromptGetResult) -> None:
    if given.images:
        print(
            f"{len(given.images)} of its images are only named in the text; --json has them.",
            file=sys.stderr,
        )
    if given.left_out_characters:
        left_out = f"{given.left_out_characters:,}"
        print(f"It was too long: {left_out} characters were left out.", file=sys.stderr)


def _pair(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise UsageError(
            f"{text!r} is not KEY=VALUE.", hint="`octavo mcp prompts SERVER` shows what one takes."
        )
    return key, value


def _print_json(value: object) -> None:
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
