"""skill-creator: the model writes a skill as it says, and octavo takes it."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from octavo.context.skills.header import read_header
from octavo.trial.scripted import call, say
from tests.skills.driving import driving

pytestmark = pytest.mark.anyio


async def test_the_example_in_it_is_a_valid_skill_that_the_next_turn_can_use(
    workspace: Path,
) -> None:
    draft = workspace / "drafts" / "release-notes"
    text = (Path(__file__).parents[2] / "src/octavo/skills/skill-creator/SKILL.md").read_text()
    [example] = re.findall(r"```\n(---\nname: release-notes\n.*?\n---\n)```", text, re.DOTALL)
    written = f"{example}\n# Write release notes\n\n1. Run `git log --oneline`.\n"
    write = f"mkdir -p {draft} && cat > {draft}/SKILL.md <<'EOF'\n{written}EOF"
    octavo = f"{shlex.quote(sys.executable)} -m octavo"
    script = [
        call("exec_command", cmd=write),
        call("exec_command", cmd=f"{octavo} skills check drafts/release-notes"),
        say("Run `octavo skills add drafts/release-notes --project`."),
    ]
    async with driving("skill-creator", script, workspace) as drive:
        await drive.turn("$skill-creator keep how we write release notes")

    assert "# Write a skill" in drive.skill_text()
    assert "Process exited with code 0" in drive.outputs()[1]
    assert read_header((draft / "SKILL.md").read_bytes(), "release-notes").name == "release-notes"
