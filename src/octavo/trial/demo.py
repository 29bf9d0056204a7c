"""`octavo demo`: the agent mends a bug while a script speaks for the model.

Only the model is replaced, and that by a real HTTP server on the loopback interface. The agent, its
tools, the sandbox, the git repository and the tests are real, and nothing is claimed that did not
happen: the script goes on only while each output is what it should be, and the demo succeeds only
if the test failed before, passes after, and the file on the disk is mended.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import anyio
import msgspec

from octavo.faces.exec.options import Options
from octavo.faces.exec.run import Run
from octavo.faces.exec.transcript import Transcript
from octavo.protocol.errors import OctavoError
from octavo.rpc.memory import memory_pair
from octavo.server.server import Launch, serving
from octavo.trial.answers import Answer, Step, answer, call, say, think
from octavo.trial.scripted import Received, serve

PROMPT = "People get meetings booked over their workshops. A test shows it; mend it."
BUNDLED = Path(__file__).parent / "project"
FILES = ("README.md", "slots.py", "test_slots.py")
MENDED = "busy[-1] = (busy[-1][0], max(busy[-1][1], end))"
GIT_TIMEOUT_S = 30
QUOTED_CHARACTERS = 1500

PATCH = f"""\
*** Begin Patch
*** Update File: slots.py
@@ def merge(meetings):
         if busy and start <= busy[-1][1]:
-            busy[-1] = (busy[-1][0], end)
+            {MENDED}
         else:
*** End Patch
"""


class DemoFailed(OctavoError):
    """Something did not work here; the message says what."""

    code = "demo"


class Line(msgspec.Struct, frozen=True):
    """What the script says once so many outputs are there, if the last of them holds `needs`."""

    outputs: int
    needs: Sequence[str]
    says: Answer


def script(python: str) -> tuple[Line, ...]:
    """Return what the model says, in order. `python` is the name of the interpreter."""
    test = call("exec_command", cmd=f"{python} -m unittest")
    return (
        Line(
            outputs=0,
            needs=(),
            says=answer(
                say("I look at the project and run its tests.", phase="commentary"),
                call("exec_command", cmd="cat README.md slots.py"),
                call("exec_command", cmd="cat test_slots.py"),
            ),
        ),
        Line(outputs=2, needs=("class Free", "code 0"), says=answer(test)),
        Line(
            outputs=3,
            needs=("FAILED (failures=1)", "does_not_end_it", "code 1"),
            says=answer(
                think(
                    "From 11:30 on the day counts as free, though the workshop lasts until 16:00."
                ),
                say(
                    "merge() lets a span end where its last meeting ends, even when an earlier one"
                    " goes on for longer. The later of the two ends is right.",
                    phase="commentary",
                ),
                call("apply_patch", input=PATCH),
            ),
        ),
        Line(outputs=4, needs=("slots.py",), says=answer(test)),
        Line(
            outputs=5,
            needs=("\nOK", "code 0"),
            says=answer(call("exec_command", cmd="git diff")),
        ),
        Line(
            outputs=6,
            needs=(f"+            {MENDED}", "code 0"),
            says=answer(
                say(
                    "Mended. A short meeting inside a longer one ended the longer one, so the rest"
                    " of a workshop counted as free. merge() in slots.py now keeps the later end;"
                    " the test that failed passes, and so do the others."
                )
            ),
        ),
    )


class Model:
    """Speaks the lines, each only when what came before it went as it should.

    Attributes:
        problem: what did not, if anything.
        finished: whether the last line was reached.
    """

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = {line.outputs: line for line in lines}
        self._last = lines[-1]
        self.problem: str | None = None
        self.finished = False

    def __call__(self, received: Received) -> Step:
        """Answer one request from nothing but what it holds."""
        outputs = [
            str(item["output"])
            for item in received.json()["input"]
            if item["type"].endswith("_call_output")
        ]
        last = outputs[-1] if outputs else ""
        line = self._lines.get(len(outputs))
        if line is None:
            self.problem = f"The agent sent {len(outputs)} outputs, which is not in the script."
        elif not all(needed in last for needed in line.needs):
            self.problem = f"A step did not do what it should. It said:\n{_quoted(last)}"
        if line is None or self.problem is not None:
            return say("This did not go as it should, so I stop here.")
        self.finished = line is self._last
        return line.says


@contextmanager
def project(*, keep: bool) -> Iterator[Path]:
    """A fresh git repository with the bundled project in it, removed afterwards.

    Raises:
        DemoFailed: it could not be made.
    """
    place = Path(tempfile.mkdtemp(prefix="octavo-demo-")).resolve()
    try:
        folder = place / "slots"
        folder.mkdir()
        for name in FILES:
            shutil.copyfile(BUNDLED / name, folder / name)
        _git(folder, "init", "-q")
        _git(folder, "add", ".")
        _git(folder, "commit", "-q", "-m", "Meetings and free time")
        yield folder
    finally:
        if not keep:
            shutil.rmtree(place, ignore_errors=True)


async def play(folder: Path, env: Mapping[str, str], transcript: Transcript) -> int:
    """Let the agent work in `folder`; return the exit code of its turn.

    Raises:
        DemoFailed: the turn ended well and yet something was not as it should be.
    """
    python = os.path.basename(sys.executable)
    model = Model(script(python))
    run = Run(Options(cwd=folder, prompt=PROMPT, takes_stdin=False), transcript)
    async with serve(model) as server:
        launch = Launch(
            env=env,
            flags={
                "model": "a-script",
                "model_provider": "demo",
                "model_providers": {"demo": {"name": "demo", "base_url": server.base_url}},
                "sandbox_mode": "workspace-write",
                "approval_policy": "never",
            },
            ignore_user_config=True,
            alone=True,
            source="exec",
        )
        async with serving(launch) as agent, anyio.create_task_group() as group:
            ours, theirs = memory_pair()
            group.start_soon(agent.connect, theirs)
            status = await run.over(ours)
    if run.failure is not None:
        raise DemoFailed(str(run.failure))
    if model.problem is not None:
        raise DemoFailed(model.problem)
    if status == 0 and not (model.finished and MENDED in (folder / "slots.py").read_text()):
        raise DemoFailed("The turn ended before the bug was mended.")
    return status


def environment(folder: Path, env: Mapping[str, str]) -> dict[str, str]:
    """Return `env` for the demo: a home of octavo beside `folder`, this Python first on PATH."""
    bin_directory = os.path.dirname(os.path.abspath(sys.executable))
    return {
        **_without_git(env),
        "OCTAVO_HOME": str(folder.parent / "octavo-home"),
        "PATH": os.pathsep.join([bin_directory, env.get("PATH", os.defpath)]),
    }


def _without_git(env: Mapping[str, str]) -> dict[str, str]:
    """Return `env` without what points git at another repository."""
    return {name: value for name, value in env.items() if not name.startswith("GIT_")}


def _quoted(text: str) -> str:
    cut = text if len(text) <= QUOTED_CHARACTERS else f"{text[:QUOTED_CHARACTERS]} …"
    return "\n".join(f"    {line}" for line in cut.splitlines())


def _git(folder: Path, *words: str) -> None:
    """Run git in `folder`, whatever the person's own git settings are.

    Raises:
        DemoFailed: there is no git, or it failed.
    """
    env = _without_git(os.environ)
    env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    for role in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{role}_NAME": "octavo demo", f"GIT_{role}_EMAIL": "demo@example.invalid"}
    try:
        done = subprocess.run(
            ["git", *words],
            check=False,
            cwd=folder,
            env=env,
            capture_output=True,
            timeout=GIT_TIMEOUT_S,
        )
    except FileNotFoundError:
        raise DemoFailed("The demo needs git, which is not there.", hint="Install it.") from None
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise DemoFailed(f"`git {words[0]}` failed: {said}")
