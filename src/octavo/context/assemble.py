"""Which context a model is given, and when it is given again.

A thread's first turn says everything; a later turn says only what differs from what was said last,
as a new message that replaces the earlier one. Nothing is edited in place, so each request extends
the one before. Pure: texts go in, model items come out.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from octavo.context.encode import Role, message, text_part

try:
    # What hashlib hands on; importing hashlib itself loads OpenSSL, 3 ms before the first request.
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b


class ContextState(msgspec.Struct, frozen=True):
    """The texts that describe a turn's surroundings, each as the model reads it; "" says nothing.

    See `base.base_instructions`, `permissions.permissions_text`,
    `instructions.instructions_text`, `skills.listing.skills_text` and
    `environment.environment_text`.
    """

    base: str
    permissions: str
    environment: str
    developer: str = ""
    """The setting `developer_instructions`."""
    skills: str = ""
    agents_md: str = ""
    pins: str = ""
    """What the user wants to be before the model at all times; see `pins.pins_text`."""
    goal: str = ""
    """What the thread is to reach by itself; see `goal.goal_text`."""


class ContextItem(msgspec.Struct, frozen=True):
    """One message to append. `key` and `digest` go into the log with it."""

    key: str
    digest: str
    raw: bytes


class _Place(msgspec.Struct, frozen=True):
    key: str
    role: Role
    noun: str


_ORDER = (
    _Place("base", "developer", "your base instructions"),
    _Place("permissions", "developer", "what you may do"),
    _Place("developer", "developer", "the developer instructions"),
    _Place("skills", "user", "the skills"),
    _Place("agents_md", "user", "the AGENTS.md instructions"),
    _Place("environment", "user", "your environment"),
    _Place("pins", "user", "what the user pinned"),
    _Place("goal", "user", "the goal"),
)


def initial_context(state: ContextState) -> list[ContextItem]:
    """Return everything a new thread is told before its first user message, in order."""
    return context_changes({}, state)


def context_changes(known: Mapping[str, str], state: ContextState) -> list[ContextItem]:
    """Return what must be said now, given the digests said last, by key.

    What is new is said plainly; what changed is said as an update; what is gone is withdrawn.
    """
    items = []
    for place in _ORDER:
        text: str = getattr(state, place.key)
        digest = digest_of(text)
        if digest == known.get(place.key, _NOTHING):
            continue
        parts = [text_part(_worded(place, text, known))]
        items.append(ContextItem(place.key, digest, message(place.role, parts)))
    return items


def _worded(place: _Place, text: str, known: Mapping[str, str]) -> str:
    if known.get(place.key, _NOTHING) == _NOTHING:
        return text
    if not text:
        return f"Update: {place.noun}, given earlier, no longer apply."
    return f"Update: this replaces what you were told earlier about {place.noun}.\n\n{text}"


def digest_of(text: str) -> str:
    """Return a short name for exactly this text."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


_NOTHING = digest_of("")
