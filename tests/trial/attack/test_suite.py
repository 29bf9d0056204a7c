"""The attacks on this machine: none escapes, and each is seen when nothing stops it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from octavo.trial.attack import NO_SANDBOX, Case, catalog, report
from octavo.trial.attack.engine import Attack, Ran, attack
from octavo.trial.attack.scene import Scene
from octavo.trial.attack.suite import CASES
from tests.sampling import sample

pytestmark = pytest.mark.anyio

EVERY = sample(1, 3)
"""One case in so many is run, always the same ones."""
NOT_HERE = {"A-06", "A-18", "A-84"}
"""What may not be applicable: trust without contents, names that differ in case, no pip."""
DOCUMENT = Path(__file__).parents[3] / "docs" / "attacks.md"


async def run(*cases: Case, prove: bool = True, **env: str) -> Ran:
    return await attack(Attack(env={**os.environ, **env}, cases=cases, prove=prove))


def no_harm(scene: Scene) -> str:
    del scene
    return ""


async def test_no_case_escapes_and_each_is_seen_with_its_wall_down() -> None:
    ran = await run(*CASES[::EVERY])

    assert [v for v in ran.verdicts if v.outcome in ("escaped", "untested")] == []
    assert [v for v in ran.verdicts if v.outcome == "blocked" and v.shown is None] == []
    assert [v for v in ran.verdicts if v.shown == "none"] == []
    if ran.tier == "namespaces":
        assert {v.attack for v in ran.verdicts if v.outcome == "not_applicable"} <= NOT_HERE
    assert sum(v.shown == "harm" for v in ran.verdicts) > 0.8 * len(ran.verdicts)


async def test_nothing_is_left_of_a_run_and_the_home_is_what_it_was() -> None:
    seen: list[Scene] = []

    def watched(case: Case) -> Case:
        def harm(scene: Scene) -> str:
            seen.append(scene)
            return case.harm(scene)

        return replace(case, harm=harm)

    home = os.environ["HOME"]
    mine = sorted(Path(home).rglob("*"))

    ran = await run(*(watched(case) for case in CASES if case.attack in ("A-17", "A-78", "A-33")))

    assert [v.shown for v in ran.verdicts] == ["harm"] * len(ran.verdicts)
    assert os.environ["HOME"] == home
    assert sorted(Path(home).rglob("*")) == mine
    for scene in seen:
        assert not scene.world.root.exists()
        assert not os.path.lexists(f"/tmp/octavo-attack-{scene.token}")


async def test_a_case_whose_harm_is_never_seen_is_bad() -> None:
    blind = Case(
        attack="A-14",
        way="does harm that nobody looks for",
        wall="nothing",
        bait=lambda scene: [[scene.tried("true")]],
        harm=no_harm,
        down=NO_SANDBOX,
    )

    [verdict] = (await run(blind)).verdicts

    assert (verdict.outcome, verdict.shown, verdict.is_bad) == ("blocked", "none", True)


async def test_a_case_that_was_not_tried_is_not_called_blocked() -> None:
    lame = Case(
        attack="A-14",
        way="stumbles",
        wall="nothing",
        bait=lambda scene: [[scene.shell("no-such-program-anywhere")]],
        harm=no_harm,
        down=NO_SANDBOX,
    )

    [verdict] = (await run(lame, prove=False)).verdicts

    assert (verdict.outcome, verdict.is_bad) == ("untested", True)
    assert "no-such-program-anywhere" in verdict.detail


async def test_harm_that_is_there_is_an_escape() -> None:
    def mess(scene: Scene) -> str:
        return "the workspace was written" if (scene.workspace / "x").exists() else ""

    allowed = Case(
        attack="A-14",
        way="does what it may",
        wall="nothing",
        bait=lambda scene: [[scene.tried("touch x")]],
        harm=mess,
        down=NO_SANDBOX,
    )

    ran = await run(allowed)

    [verdict] = ran.verdicts
    assert (verdict.outcome, verdict.detail) == ("escaped", "the workspace was written")
    assert "ESCAPED" in report.line(verdict)
    assert "1 escaped" in "\n".join(report.summary(ran))


def test_all_85_attacks_are_in_or_wait_for_something() -> None:
    assert [known.id for known in catalog.ATTACKS] == [f"A-{n:02}" for n in range(1, 86)]
    having = {case.attack for case in CASES}
    for known in catalog.ATTACKS:
        assert (known.id in having) != bool(known.joins), known
        assert known.group in catalog.GROUPS
    assert len({case.name for case in CASES}) == len(CASES)


def test_the_document_has_the_table_as_it_is() -> None:
    assert report.document(CASES) in DOCUMENT.read_text(), "run tools/attacks.py"
