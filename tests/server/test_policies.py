"""Sandbox policies cross the wire and come back as they were."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from octavo.protocol.methods import SandboxPolicy
from octavo.sandbox import OFF, OPEN, Mode, Policy
from octavo.server.policies import read_policy, wire_policy

HERE = Policy(Mode.WORKSPACE_WRITE, Path("/work"), (Path("/more"),))


@pytest.mark.parametrize(
    "policy",
    [
        HERE,
        msgspec.structs.replace(HERE, network=OPEN, write_tmp=False),
        msgspec.structs.replace(HERE, mode=Mode.READ_ONLY),
        msgspec.structs.replace(HERE, mode=Mode.DANGER_FULL_ACCESS),
        msgspec.structs.replace(HERE, mode=Mode.EXTERNAL, network=OPEN),
        msgspec.structs.replace(HERE, mode=Mode.EXTERNAL, network=OFF),
    ],
    ids=lambda policy: f"{policy.mode}-{policy.network.access}",
)
def test_a_policy_comes_back_as_it_was(policy: Policy) -> None:
    line = msgspec.json.encode(wire_policy(policy))

    assert read_policy(msgspec.json.decode(line, type=SandboxPolicy), policy) == policy


def test_a_machine_that_is_the_sandbox_is_said_in_the_words_of_codex() -> None:
    policy = msgspec.structs.replace(HERE, mode=Mode.EXTERNAL, network=OPEN)
    line = b'{"type":"externalSandbox","networkAccess":"restricted"}'

    assert msgspec.to_builtins(wire_policy(policy))["networkAccess"] == "enabled"
    assert read_policy(msgspec.json.decode(line, type=SandboxPolicy), HERE).mode is Mode.EXTERNAL
