"""What a run says and returns where the sandbox is another one, or none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from octavo.trial.scripted import call, say
from tests.faces.running import Place

pytestmark = pytest.mark.anyio

_RESTRICT = Path(__file__).parents[1] / "sandbox" / "restricted_host.py"
BARE = (sys.executable, str(_RESTRICT), "bare")
RUN = [call("exec_command", cmd="echo it ran > ../outside; cat ../outside")]
SCRIPT = [RUN, say("Done.")]


async def test_a_run_whose_commands_cannot_be_confined_says_so_and_fails(place: Place) -> None:
    done = await place.exec(SCRIPT, "go", before=BARE)

    assert (done.status, done.out) == (1, "Done.\n")
    assert "No command could run, because no sandbox works here." in done.err
    assert "unshare(user namespace): Operation not permitted [EPERM]" in done.err
    assert "Commands cannot be confined on this machine" in done.outputs()[-1]
    assert not (place.root / "outside").exists()


async def test_a_run_that_needs_no_command_does_not_fail_for_want_of_a_sandbox(
    place: Place,
) -> None:
    done = await place.exec([say("Hello.")], "hello", before=BARE)

    assert (done.status, done.out) == (0, "Hello.\n")


async def test_programs_that_read_events_see_the_warning_and_the_status(place: Place) -> None:
    done = await place.exec(SCRIPT, "--json", "go", before=BARE)

    assert done.status == 1
    assert "Commands cannot be confined" in done.out
    assert "No command could run" in done.err
    assert done.kinds()[-1] == "turn.completed"


async def test_where_the_machine_is_the_sandbox_commands_run_and_everybody_is_told(
    place: Place,
) -> None:
    done = await place.exec(SCRIPT, "-s", "external", "go", before=BARE)

    assert (done.status, done.out) == (0, "Done.\n")
    assert "this machine itself (external)" in done.err
    assert "it ran" in done.outputs()[-1]
    assert (place.root / "outside").read_text() == "it ran\n"
    assert "is the sandbox; octavo adds none" in str(done.requests[0]["input"])


async def test_a_project_cannot_say_that_the_machine_is_the_sandbox(place: Place) -> None:
    (place.work / ".octavo").mkdir()
    (place.work / ".octavo" / "config.toml").write_text('sandbox_mode = "external"\n')

    done = await place.exec(SCRIPT, "--trust", "go")

    assert "sandbox_mode is ignored" in done.err
    assert not (place.root / "outside").exists()
