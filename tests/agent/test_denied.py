"""What a permission profile denies is opened by no grant."""

from __future__ import annotations

from pathlib import Path

import pytest

from octavo.agent.grants import read_grant
from octavo.sandbox import Mode, Policy, open_sandbox
from octavo.tools import Extra, ToolFailed

pytestmark = pytest.mark.anyio


async def test_a_grant_inside_what_is_denied_is_refused_and_one_beside_it_is_not(
    tmp_path: Path,
) -> None:
    for name in ("work", "keys/inner", "safe/x.env", "beside"):
        (tmp_path / name).mkdir(parents=True)
    policy = Policy(
        Mode.WORKSPACE_WRITE,
        tmp_path / "work",
        write_tmp=False,
        deny_read=(tmp_path / "keys",),
        deny_globs=(f"{tmp_path}/**/*.env",),
    )

    async with open_sandbox(policy) as sandbox:
        for name in ("keys", "keys/inner", "safe/x.env"):
            with pytest.raises(ToolFailed, match="denied by the user's permission profile"):
                await read_grant(
                    Extra(write=(tmp_path / name,)),
                    policy,
                    [policy.cwd],
                    sandbox,
                    tmp_path / "home",
                )
        grant = await read_grant(
            Extra(write=(tmp_path / "beside",)), policy, [policy.cwd], sandbox, tmp_path / "home"
        )

    assert grant is not None
    assert grant.write == (str(tmp_path / "beside"),)
