"""The tools every thread has. A new one is a file here and a line in this table."""

from __future__ import annotations

from octavo.tools import Tool
from octavo.tools.builtin import (
    apply_patch,
    exec_command,
    recall,
    request_user_input,
    update_plan,
    view_image,
    write_stdin,
)

TOOLS: tuple[Tool, ...] = (
    exec_command.TOOL,
    write_stdin.TOOL,
    apply_patch.FREEFORM,
    apply_patch.FUNCTION,
    update_plan.TOOL,
    view_image.TOOL,
    request_user_input.TOOL,
)
"""In the order they are declared; `apply_patch` in both its forms, of which a model gets one."""

AFTER_COMPACTION: tuple[Tool, ...] = (recall.TOOL,)
"""Declared besides, once there is something that the model is not shown any more."""


def builtin_tools(*, update_plan: bool = True) -> tuple[Tool, ...]:
    """Return the table, less what the settings turn off."""
    return tuple(tool for tool in TOOLS if update_plan or tool.name != "update_plan")
