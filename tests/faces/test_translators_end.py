"""How `octavo acp` and `octavo mcp-server` end: with their input, and at a signal, at once."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.server.programs import OCTAVO

PING = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}) + "\n"
FACES = pytest.mark.parametrize("face", ["acp", "mcp-server"])


@FACES
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_though_its_client_says_nothing(
    workspace: Path, face: str, number: int
) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [str(OCTAVO), face], cwd=workspace, text=True, stdin=pipe, stdout=pipe, stderr=pipe
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write(PING)
        program.stdin.flush()
        assert json.loads(program.stdout.readline())["id"] == 1
        program.send_signal(number)
        assert program.wait(20) == 0
        assert program.stderr.read() == ""


@FACES
def test_it_ends_with_its_input_and_says_nothing_but_the_protocol(
    workspace: Path, face: str
) -> None:
    lines = "not json\n[1]\n" + PING
    done = subprocess.run(
        [str(OCTAVO), face], input=lines, capture_output=True, text=True, cwd=workspace
    )

    assert (done.returncode, done.stderr) == (0, "")
    [answer] = map(json.loads, done.stdout.splitlines())
    assert answer["id"] == 1
