"""docs/guide/app-server.md: its client runs as printed, and its figures are those of the code."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import anyio
import pytest

from octavo.protocol.schema import client_requests
from octavo.rpc.stream import MAX_FRAME_BYTES
from octavo.server.outbox import CUT_OFF_BYTES, LISTEN_BELOW_BYTES
from octavo.server.server import SPOKEN
from octavo.trial import scripted
from octavo.trial.scripted import say
from tests.server.programs import OCTAVO

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guide/app-server.md").read_text()
WITH_SDK, WITHOUT = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


async def output(code: str, workspace: Path, *, path: str = "") -> str:
    """What a program of the guide prints, with a scripted model in the settings."""
    home = workspace.parent / "octavo-home"
    home.mkdir(exist_ok=True)
    async with scripted.serve([say("It is a test.", deltas=3)]) as model:
        (home / "config.toml").write_text(
            'model = "scripted"\nmodel_provider = "trial"\n'
            f'[model_providers.trial]\nname = "trial"\nbase_url = "{model.base_url}"\n'
        )
        done = await anyio.run_process(
            [sys.executable, "-c", code],
            cwd=workspace,
            env={
                **os.environ,
                "OCTAVO_HOME": str(home),
                "PATH": f"{OCTAVO.parent}:{os.environ['PATH']}",
                "PYTHONPATH": path,
            },
        )
    return done.stdout.decode()


async def test_the_whole_client_of_the_guide_runs(workspace: Path) -> None:
    assert await output(WITHOUT, workspace) == "It is a test.\ncompleted\n"


async def test_the_sdk_is_driven_as_the_guide_says(workspace: Path) -> None:
    if not (ROOT / ".sdk/.done").exists():
        pytest.skip("openai-codex is not here; `make sdk` gets it")
    code = WITH_SDK.replace("/path/to/octavo", str(OCTAVO))
    assert await output(code, workspace, path=str(ROOT / ".sdk")) == "It is a test.\n"


def test_the_figures_are_those_of_the_code() -> None:
    assert f"version {SPOKEN.removesuffix('.0')}" in GUIDE
    assert LISTEN_BELOW_BYTES == 1 << 20
    assert "With 1 MiB unread" in GUIDE
    assert CUT_OFF_BYTES == MAX_FRAME_BYTES == 64 << 20
    assert GUIDE.count("64 MiB") == 2


def test_every_method_the_guide_names_is_there() -> None:
    named = set(re.findall(r"`((?:thread|turn|account|model)/\w+)`", GUIDE))
    assert named
    assert named <= client_requests().keys()
