"""octavo demo: see the agent mend a bug, with a script for a model."""

from __future__ import annotations

import os
import shutil
import sys
from argparse import ArgumentParser, Namespace

DESCRIPTION = """\
See octavo mend a real bug in a small bundled project: it reads the files, runs the failing test,
patches, and runs it again, in a temporary git repository and the real sandbox. The model is a
script on this machine, so no key and no network are needed.
"""

WHAT_NEXT = """
That was a script in a temporary repository. With a real model, in a repository of yours:

  {name} login              store an API key, once; or set OPENAI_API_KEY
  {name} exec "Fix the failing test."

  {name} exec --oss "Fix the failing test."
                            asks a model on this machine: Ollama, LM Studio, vLLM, llama.cpp"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `octavo demo`."""
    parser.description = DESCRIPTION
    parser.add_argument("--keep", action="store_true", help="keep the repository to look at")


def run(args: Namespace) -> int:
    """Play the demo and return whether it went as it should."""
    import anyio

    from octavo.faces.exec.transcript import Transcript, wants_color
    from octavo.trial.demo import environment, play, project

    _say("The model in this demo is a script: what it says was written beforehand.")
    _say("The agent, its tools, the sandbox, the bug and the tests are real.\n")
    terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    transcript = Transcript(color=wants_color(os.environ, "auto"), terminal=terminal)
    with project(keep=args.keep) as folder:
        env = environment(folder, os.environ)
        os.environ["OCTAVO_HOME"] = env["OCTAVO_HOME"]  # the cage looks for it there
        try:
            status = anyio.run(play, folder, env, transcript)
        finally:
            if args.keep:
                _say(f"\nThe repository is kept: {folder}")
    if status == 0:
        _say(WHAT_NEXT.format(name=_name()))
    return status


def _name() -> str:
    """How this program is called from here."""
    called = sys.argv[0]
    is_path = os.path.basename(called) == "octavo" and os.sep in called
    return called if is_path and shutil.which("octavo") is None else "octavo"


def _say(text: str) -> None:
    print(text, flush=True)
