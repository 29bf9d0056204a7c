"""Change files by a patch: all of them, or none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from octavo.protocol.events import CallFacts, EditIntent, FileMark
from octavo.protocol.questions import FileChangeQuestion, Offer
from octavo.sandbox import FileChange, FileChangeRefused, Write
from octavo.tools import Effect, Hands, Outcome, Tool, ToolFailed
from octavo.tools.denials import protected_name, writable
from octavo.tools.patch import words
from octavo.tools.schema import obj, text


class ApplyPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model gives that cannot take freeform tools."""

    input: str


async def apply(patch_text: str, hands: Hands, *, cwd: Path) -> Outcome:
    """Apply the patch in `patch_text`, whose paths are relative to `cwd`."""
    from octavo.tools.patch.parse import parse  # off the way to the first request
    from octavo.tools.patch.plan import paths, plan

    patch = parse(patch_text)
    named = paths(patch, cwd)
    states = await hands.look(named)
    for path, state in zip(named, states, strict=True):
        # The cage holds the place of a protected name that is missing with an empty directory.
        if state.kind == "directory" and protected_name(path, hands.writable_roots):
            raise _refused(path, hands)
    planned = plan(patch, cwd, dict(zip(named, states, strict=True)))
    if not planned.changes:
        return Outcome(content=planned.summary)
    await hands.begin(EditIntent(planned.edits, _marks(planned.changes)))
    try:
        await hands.change(planned.changes)
    except FileChangeRefused as refused:
        if refused.reason != "outside":
            raise ToolFailed(_say(refused)) from None
        declined = await _change_outside(planned.changes, refused, hands)
        if declined is not None:
            return declined
    return Outcome(content=planned.summary)


def _marks(changes: Sequence[FileChange]) -> tuple[FileMark, ...]:
    """Return how the files can be told apart, should nobody live to tell how it went."""
    from octavo.workspace.marks import digest

    return tuple(
        FileMark(
            str(change.path),
            None if change.before is None else digest(change.before),
            digest(change.data) if isinstance(change, Write) else None,
        )
        for change in changes
    )


async def _change_outside(
    changes: Sequence[FileChange], refused: FileChangeRefused, hands: Hands
) -> Outcome | None:
    """Ask to change all these files, and do; return what to say when the answer is no."""
    if not hands.asks:
        raise _refused(refused.path, hands)
    where = _where(refused.path, hands)
    # Every path is shown, not only the one refused: what a person accepts is the whole change. And
    # each is shown as what it really is, with no link on the way to it.
    changes = await _with_real_paths(changes, hands)
    targets = tuple(change.path for change in changes)
    for_thread = Offer("thread", "thread", "exact")
    question = FileChangeQuestion(tuple(map(str, targets)), where, (for_thread,))
    answer = await hands.ask(question)
    if not answer.yes:
        who = "The user" if answer.by == "person" else "The policy"
        return Outcome(
            content=f"{who} declined this change: {where} No file was changed. Do not try to get "
            "the same done in another way; go on without it, or ask what to do instead.",
            ok=False,
            facts=CallFacts(declined=True),
        )
    try:
        await hands.change(changes, granted=targets)
    except FileChangeRefused as again:
        raise ToolFailed(_say(again)) from None
    return None


def _where(path: Path, hands: Hands) -> str:
    return f"{path} may not be changed: {writable(hands, path)}"


def _refused(path: Path, hands: Hands) -> ToolFailed:
    nobody = "" if hands.asks else " Nobody can be asked to allow it."
    return ToolFailed(
        f"{_where(path, hands)}{nobody} No file was changed. Leave it out of the patch, and say in "
        "your answer what should be changed in it."
    )


async def _with_real_paths(changes: Sequence[FileChange], hands: Hands) -> list[FileChange]:
    """Return the changes with links in their paths followed, as making them would."""
    folders = await hands.look([change.path.parent for change in changes])
    files = await hands.look([change.path for change in changes])
    return [
        replace(
            change,
            path=file.real_path
            if isinstance(change, Write)
            else folder.real_path / change.path.name,
        )
        for change, folder, file in zip(changes, folders, files, strict=True)
    ]


def _say(refused: FileChangeRefused) -> str:
    what = {
        "changed": f"{refused.path} changed between reading it and writing it. Read it again and "
        "send a patch for what it is now.",
        "exists": f"{refused.path} came into being meanwhile. Read it and update it instead.",
        "missing": f"{refused.path} is gone since it was read. Look what is there now.",
        "directory": f"{refused.path} is a directory; a patch changes files only.",
    }.get(refused.reason, f"{refused.path} could not be written. {refused}")
    return f"{what} No file was changed."


async def _apply_freeform(patch_text: str, hands: Hands) -> Outcome:
    return await apply(patch_text, hands, cwd=hands.cwd)


async def _apply_function(args: ApplyPatch, hands: Hands) -> Outcome:
    return await apply(args.input, hands, cwd=hands.cwd)


FREEFORM = Tool(
    name="apply_patch",
    description=words.FREEFORM,
    run=_apply_freeform,
    effect=Effect.EDIT,
    grammar=words.GRAMMAR,
    alone=True,
)

FUNCTION = Tool(
    name="apply_patch",
    description=words.FUNCTION,
    run=_apply_function,
    effect=Effect.EDIT,
    params=ApplyPatch,
    schema=obj({"input": text(words.INPUT)}, required=("input",)),
    alone=True,
)
