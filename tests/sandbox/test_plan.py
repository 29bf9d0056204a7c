"""What a plan makes of secrets that lie around a writable root."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sandbox.conftest import cage_on, shell

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("named", ["itself", "by a link", "above it"])
async def test_a_secret_with_the_workspace_in_it_does_not_hide_the_workspace(
    named: str, workspace: Callable[[], Path]
) -> None:
    here = workspace()
    (here.parent / "beside").write_text("the secret")
    link = here.parent / "link"
    link.unlink(missing_ok=True)
    link.symlink_to(here)
    secret = {"itself": here, "by a link": link, "above it": here.parent}[named]

    deny = (secret, here.parent / "beside")
    async with cage_on(here, "namespaces", deny_read=deny) as cage:
        _, output = await shell(cage, "echo works > new; cat new; cat ../beside", here)

    assert output.startswith("works\n")
    assert "the secret" not in output
