"""What a client does to a thread's history by itself: run a command, put items in, take turns back.

Names and shapes are the app-server's v2.
"""

# No `annotations` of the future: msgspec would have to evaluate their text when this is loaded.

from typing import Annotated, Any

import msgspec

from octavo.protocol.items import Thread
from octavo.protocol.methods import Method, Nothing


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    pass


class ShellCommandParams(_Wire, frozen=True):
    """A person's own command, for their shell. It runs outside of the sandbox.

    Without `timeout_ms` it has an hour; 0 ends it as soon as it began.
    """

    thread_id: str
    command: str
    timeout_ms: Annotated[int, msgspec.Meta(ge=0)] | None = None


class InjectItemsParams(_Wire, frozen=True):
    """Items of the Responses API: messages, and calls that come with their outputs."""

    thread_id: str
    items: tuple[dict[str, Any], ...]


class RevertParams(_Wire, frozen=True):
    """Take back a turn and all after it: what was said, and with `octavo_files` files as well.

    `octavo_overwrite`: also files that somebody else edited since.
    """

    thread_id: str
    before_turn_id: str
    octavo_files: bool = False
    octavo_overwrite: bool = False


class RevertResult(_Wire, frozen=True):
    """`thread` has no turns; the cursors are where to begin to read what is left, backwards.

    `octavo_paths`: the files that were restored, and `octavo_left` those that could not be.
    """

    thread: Thread
    turns_backwards_cursor: str | None = None
    items_backwards_cursor: str | None = None
    octavo_paths: tuple[str, ...] = ()
    octavo_left: tuple[str, ...] = ()


SHELL_COMMAND = Method("thread/shellCommand", ShellCommandParams, Nothing)
"""Answered at once; the item `commandExecution` follows, in the running turn or one of its own. The
model is shown it with the next request that is made anyway."""
INJECT_ITEMS = Method("thread/inject_items", InjectItemsParams, Nothing)
"""They stand behind what was said so far; nothing is asked because of them."""
REVERT = Method("thread/revert", RevertParams, RevertResult)
"""Not while a turn runs. `octavo/thread/redo` takes it back."""
