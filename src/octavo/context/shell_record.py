"""What the model is told of a command that the person ran by themselves. Pure."""

from __future__ import annotations

from octavo.context.encode import message, text_part
from octavo.context.visible import visible


def shell_record(command: str, end: str, output: str) -> bytes:
    """Return it as a model item, whose last part is the output and nothing else.

    Args:
        end: how it ended, in words.
        output: cut and redacted.
    """
    shown = visible(command).replace("</command>", "&lt;/command&gt;")
    said = (
        "<user_shell_command>\nThe user ran this command. It was not yours, and asks nothing of "
        f"you by itself.\n<command>\n{shown}\n</command>\n{end}\n</user_shell_command>\nOutput:"
    )
    parts = [text_part(said)]
    return message("user", [*parts, text_part(output)] if output else parts)
