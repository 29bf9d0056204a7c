"""What a client may ask about threads that are not loaded: find, read, name, put away, fork.

Names and shapes are Codex's (0.169), and `octavo/…` what it does not have. Apart from `methods`, as
no thread needs it at its start.
"""

# No `annotations` of the future: msgspec would have to evaluate their text at every start.

from typing import Any, Literal

import msgspec

from octavo.protocol.items import Thread, ThreadItem, Turn
from octavo.protocol.methods import (
    ApprovalPolicy,
    Budget,
    Method,
    Nothing,
    SandboxWord,
    SortDirection,
    ThreadIdParams,
    ThreadResult,
)

ItemsView = Literal["notLoaded", "summary", "full"]


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    pass


class ThreadForkParams(_Wire, frozen=True):
    """Which thread, and up to the end of which turn; by default of the last that ended."""

    thread_id: str
    last_turn_id: str | None = None
    model: str | None = None
    model_provider: str | None = None
    cwd: str | None = None
    approval_policy: ApprovalPolicy | None = None
    sandbox: SandboxWord | None = None
    config: dict[str, Any] | None = None
    base_instructions: str | None = None
    developer_instructions: str | None = None
    exclude_turns: bool | None = None
    approvals_reviewer: str | None = None
    octavo_budget: Budget | None = None


class ThreadSetNameParams(_Wire, frozen=True):
    thread_id: str
    name: str


class ThreadReadParams(_Wire, frozen=True):
    thread_id: str
    include_turns: bool | None = None
    """With all their items, however many."""


class ThreadReadResult(_Wire, frozen=True):
    thread: Thread


class TurnsListParams(_Wire, frozen=True):
    """Newest first by default; a summary of a turn is what the user said and the last answer."""

    thread_id: str
    cursor: str | None = None
    limit: int | None = None
    sort_direction: SortDirection | None = None
    items_view: ItemsView | None = None


class TurnsListResult(_Wire, frozen=True):
    data: tuple[Turn, ...]
    next_cursor: str | None = None
    backwards_cursor: str | None = None


class ItemAnchor(_Wire, frozen=True):
    """An item of the turn that is listed; the page begins next to it."""

    item_id: str
    type_: Literal["item"] = msgspec.field(name="type")


class ItemsListParams(_Wire, frozen=True):
    """Oldest first by default; of one turn, or of all."""

    thread_id: str
    turn_id: str | None = None
    cursor: str | ItemAnchor | None = None
    limit: int | None = None
    sort_direction: SortDirection | None = None


class ItemEntry(_Wire, frozen=True):
    item: ThreadItem
    turn_id: str
    started_at_ms: int | None = None
    completed_at_ms: int | None = None


class ItemsListResult(_Wire, frozen=True):
    data: tuple[ItemEntry, ...]
    next_cursor: str | None = None
    backwards_cursor: str | None = None


class SearchParams(_Wire, frozen=True):
    """Threads in which one message holds all words; the latest first."""

    query: str
    limit: int | None = None
    cursor: str | None = None
    cwd: str | tuple[str, ...] | None = None
    archived: bool | None = None


class SearchHit(_Wire, frozen=True):
    """A thread, and the latest message in it that fits."""

    thread: Thread
    snippet: str
    role: Literal["user", "assistant"]
    turn_id: str


class SearchResult(_Wire, frozen=True):
    data: tuple[SearchHit, ...]
    next_cursor: str | None = None


class IndexRebuildResult(_Wire, frozen=True):
    """What the new index holds; `stored` is false where it could not be written."""

    threads: int
    messages: int
    stored: bool
    duration_ms: int


THREAD_FORK = Method("thread/fork", ThreadForkParams, ThreadResult)
THREAD_ARCHIVE = Method("thread/archive", ThreadIdParams, Nothing)
THREAD_UNARCHIVE = Method("thread/unarchive", ThreadIdParams, ThreadReadResult)
THREAD_DELETE = Method("thread/delete", ThreadIdParams, Nothing)
THREAD_SET_NAME = Method("thread/name/set", ThreadSetNameParams, Nothing)
THREAD_READ = Method("thread/read", ThreadReadParams, ThreadReadResult)
TURNS_LIST = Method("thread/turns/list", TurnsListParams, TurnsListResult)
ITEMS_LIST = Method("thread/items/list", ItemsListParams, ItemsListResult)
SEARCH = Method("octavo/thread/search", SearchParams, SearchResult)
INDEX_REBUILD = Method("octavo/index/rebuild", Nothing, IndexRebuildResult)
