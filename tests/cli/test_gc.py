"""`octavo gc`, as a person uses it."""

from __future__ import annotations

import json
import os
import time

from octavo.store.kept import KeptOutput
from tests.cli.running import Shell
from tests.store.logs import write_thread


def test_what_could_go_is_shown_and_goes_when_told_to(shell: Shell) -> None:
    shell.env["TMPDIR"] = str(shell.cwd)  # what lies in the machine's is looked at, too
    thread_id, _ = write_thread(shell.home, ("do it", "done"), cwd=str(shell.cwd))
    output = KeptOutput.open(shell.home, thread_id, "call-1")
    output.write(b"x" * 8192)
    output.close()
    old = time.time() - 40 * 86_400
    os.utime(output.path, (old, old))

    young = shell.octavo("gc")
    shown = shell.octavo("gc", "--days", "30")
    wrong = shell.octavo("gc", "--outputs", "much")
    set_so = shell.octavo("gc", "-c", "gc.max_age_days=30", "--json")
    assert output.path.exists()
    done = shell.octavo("gc", "--days", "30", "--yes")

    assert (young.returncode, young.stdout) == (0, "There is nothing to let go.\n")
    assert f"Would go: output of a command of thread {thread_id}: too old" in shown.stdout
    assert "`octavo gc --yes --days 30` does it." in shown.stdout
    assert (wrong.returncode, "is no size" in wrong.stderr) == (2, True)
    assert json.loads(set_so.stdout)["steps"][0]["path"] == str(output.path)
    assert (done.returncode, "freed" in done.stdout) == (0, True)
    assert not output.path.exists()
