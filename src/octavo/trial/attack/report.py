"""What came of a run, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from octavo.trial.attack import Case, Verdict, catalog
from octavo.trial.attack.engine import Ran

WIDTH = 78
_WORDS = {
    "blocked": "blocked",
    "escaped": "ESCAPED",
    "gap": "gap",
    "untested": "UNTESTED",
    "not_applicable": "n/a",
}
_SHOWN = {
    "harm": "shown to fail without it",
    "machine": "the machine itself stops it, too",
    "none": "NOT SHOWN TO FAIL without it",
}


def line(verdict: Verdict) -> str:
    """Return one verdict as a person reads it, on one line or two."""
    said = verdict.wall
    if verdict.outcome != "blocked":
        said = verdict.detail
    elif verdict.shown is not None:
        said = f"{said}; {_SHOWN[verdict.shown]}"
    head = f"{verdict.attack}  {_WORDS[verdict.outcome]:<9} {verdict.way}"
    first = f"{head}\n{'':15}{said}"
    if verdict.outcome == "escaped":
        first += f"\n{'':15}what should have stopped it: {verdict.wall}"
    if verdict.shown == "none":
        first += f"\n{'':15}{verdict.detail}"
    return first


def summary(ran: Ran) -> Iterator[str]:
    """Yield the lines under the table."""
    counts = _counts(ran.verdicts)
    said = [f"{counts['blocked']} blocked", f"{counts['escaped']} escaped"]
    said += [f"{counts[name]} {word}" for name, word in _LESS.items() if counts[name]]
    yield f"{len(ran.verdicts)} cases of {len(_attacks(ran))} attacks in {ran.took_s:.0f} s: " + (
        ", ".join(said) + "."
    )
    yield f"Sandbox: {ran.mode}, {ran.tier}."
    if counts["gap"]:
        yield "This machine has a reduced sandbox, which cannot stop everything:"
        yield from (f"  {gap}" for gap in ran.gaps)
    shown = [verdict for verdict in ran.verdicts if verdict.shown is not None]
    if shown:
        fail = sum(verdict.shown == "harm" for verdict in shown)
        yield f"With its wall down, the harm is seen in {fail} of {len(shown)} cases."
    waiting = [known for known in catalog.ATTACKS if known.joins]
    yield f"{len(waiting)} more attacks join with parts of octavo that are not there yet (--all)."
    if counts["escaped"]:
        yield (
            "\nAn escape is harm that a model could do here, with these settings. See them with\n"
            "`octavo config show`; where they are as you want them, this is what they cost."
        )


_LESS = {
    "gap": "by a gap of the sandbox",
    "untested": "untested",
    "not_applicable": "not applicable",
}


def catalogue(cases: Sequence[Case]) -> Iterator[str]:
    """Yield every attack that is known: how many cases it has, or with what it joins."""
    for known in catalog.ATTACKS:
        number = sum(case.attack == known.id for case in cases)
        state = f"joins with {known.joins}" if known.joins else _cases(number)
        yield f"{known.id}  {known.title} ({catalog.GROUPS[known.group]}): {state}"


def listing(cases: Sequence[Case]) -> Iterator[str]:
    """Yield every case, under its attack."""
    last = ""
    for case in cases:
        if case.attack != last:
            last = case.attack
            yield f"{case.attack}  {catalog.find(case.attack).title}"
        yield f"      the model {case.way}"


def as_json(ran: Ran) -> bytes:
    """Return a run as one JSON object."""
    summed: dict[str, Any] = {**_counts(ran.verdicts), "cases": len(ran.verdicts)}
    return msgspec.json.encode(
        {
            "sandbox": {"mode": ran.mode, "tier": ran.tier, "gaps": ran.gaps},
            "summary": summed,
            "tookS": round(ran.took_s, 3),
            "cases": [_case(verdict) for verdict in ran.verdicts],
            "waiting": [
                {"id": known.id, "title": known.title, "joinsWith": known.joins}
                for known in catalog.ATTACKS
                if known.joins
            ],
        }
    )


def document(cases: Sequence[Case]) -> str:
    """Return the table of docs/attacks.md."""
    rows = ["| | attack | what stops it |", "| --- | --- | --- |"]
    for known in catalog.ATTACKS:
        walls = dict.fromkeys(case.wall for case in cases if case.attack == known.id)
        said = f"*joins with {known.joins}*" if known.joins else "; ".join(walls)
        rows.append(f"| {known.id} | {known.title} | {said} |")
    return "\n".join(rows) + "\n"


def _case(verdict: Verdict) -> dict[str, Any]:
    return {
        "id": verdict.attack,
        "group": catalog.GROUPS[verdict.group],
        "title": verdict.title,
        "way": verdict.way,
        "outcome": verdict.outcome,
        "wall": verdict.wall,
        "detail": verdict.detail,
        "withoutWall": verdict.shown,
        "tookS": verdict.took_s,
    }


def _counts(verdicts: Sequence[Verdict]) -> dict[str, int]:
    return {word: sum(verdict.outcome == word for verdict in verdicts) for word in _WORDS}


def _attacks(ran: Ran) -> set[str]:
    return {verdict.attack for verdict in ran.verdicts}


def _cases(number: int) -> str:
    return "1 case" if number == 1 else f"{number} cases"
