"""A temporary directory of the cage's own, in every place a workspace can have beside it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from octavo.protocol.errors import SandboxError
from octavo.sandbox import FileChangeRefused, Mode, Policy, Sandbox, Write, open_sandbox
from octavo.sandbox.caged import open_cage
from tests.sandbox.conftest import ENV, cage_on, make_workspace, python, shell
from tests.tiers import skip_or_fail

pytestmark = pytest.mark.anyio


@pytest.fixture
def in_tmp() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="octavo-test-", dir="/tmp") as directory:
        yield Path(directory)


def _cage(
    cwd: Path, mode: Mode = Mode.WORKSPACE_WRITE, **options: Any
) -> AbstractAsyncContextManager[Sandbox]:
    return open_sandbox(Policy(mode=mode, cwd=cwd, tmp="private", **options))


async def _needs_the_full_tier(cage: Sandbox) -> None:
    if (tier := (await cage.ready()).tier) != "namespaces":
        skip_or_fail(f"the cage is of {tier}", "namespaces")


async def test_it_is_empty_at_first_shared_by_commands_and_gone_with_the_cage(
    workspace: Any, in_tmp: Path
) -> None:
    cwd = workspace()
    async with _cage(cwd) as cage:
        await _needs_the_full_tier(cage)
        _, first = await shell(cage, "ls -A /tmp; echo kept > /tmp/own; stat -c %a /tmp", cwd)
        _, second = await shell(cage, "cat /tmp/own; mktemp -d", cwd)

    assert first == "1777\n"
    assert second.startswith("kept\n/tmp/tmp.")
    assert not Path("/tmp/own").exists()


async def test_a_read_only_cage_has_one_and_nothing_else_to_write_in(workspace: Any) -> None:
    cwd = workspace()
    (cwd / "test_it.py").write_text("import tempfile\ntempfile.TemporaryFile().write(b'1')\n")
    async with cage_on(cwd, "namespaces", mode=Mode.READ_ONLY) as cage:
        ended, output = await shell(cage, f"{sys.executable} -S test_it.py && echo ran", cwd)
        refused, _ = await shell(cage, "echo 1 > file", cwd)
        with pytest.raises(FileChangeRefused):
            await cage.change([Write(Path("/tmp/by-a-tool"), b"1")])

    assert (ended.code, output) == (0, "ran\n")
    assert refused.code != 0
    assert (cwd / "file").read_text() == "content"


async def test_where_it_cannot_be_nothing_is_written_in_the_hosts(workspace: Any) -> None:
    cwd = workspace()
    policy = Policy(mode=Mode.WORKSPACE_WRITE, cwd=cwd, tmp="private")
    async with open_cage(policy, ("landlock",)) as cage:
        try:
            report = await cage.ready()
        except SandboxError as error:
            skip_or_fail(error, "landlock")
        ended, _ = await shell(cage, "echo 1 > /tmp/octavo-test-not-private", cwd)

    assert ended.code != 0
    assert any("private" in gap for gap in report.gaps)


@pytest.mark.parametrize("mode", [Mode.WORKSPACE_WRITE, Mode.READ_ONLY])
async def test_a_workspace_below_tmp_is_seen_in_its_place(in_tmp: Path, mode: Mode) -> None:
    repository = make_workspace(in_tmp / "deep" / "repository")
    beside = in_tmp / "deep" / "beside"
    beside.write_text("of another program")
    cwd = repository / "sub"
    async with _cage(cwd, mode) as cage:
        await _needs_the_full_tier(cage)
        script = "git rev-parse --show-toplevel; cat ../file; cat ../../beside; echo 1 > made"
        _, output = await shell(cage, script, cwd)
        for path in (in_tmp, in_tmp / "deep", repository):
            ended, output_of_mv = await python(
                cage, f"import os; os.rename('{path}', '/tmp/x')", cwd
            )
            assert ended.code == 1, output_of_mv

    assert output.startswith(f"{repository}\ncontent")
    assert "of another program" not in output
    assert (cwd / "made").exists() == (mode is Mode.WORKSPACE_WRITE)
    assert sorted(path.name for path in (in_tmp / "deep").iterdir()) == ["beside", "repository"]


async def test_other_roots_below_tmp_are_writable_and_protected_as_ever(in_tmp: Path) -> None:
    workspace, root = make_workspace(in_tmp / "one"), make_workspace(in_tmp / "two")
    async with _cage(workspace, writable_roots=(root,)) as cage:
        await _needs_the_full_tier(cage)
        script = f"echo 1 > {root}/new; echo 2 > {root}/.git/config; echo 3 > .git/config"
        _, output = await shell(cage, script, workspace)

    assert output.count("Read-only file system") == 2
    assert (root / "new").read_text() == "1\n"


async def test_a_workspace_named_by_a_link_in_tmp_is_found(in_tmp: Path, workspace: Any) -> None:
    link = in_tmp / "link"
    link.symlink_to(workspace())
    async with _cage(link) as cage:
        await _needs_the_full_tier(cage)
        ended, output = await shell(cage, "cat file && echo 1 > made", link)

    assert (ended.code, output) == (0, "content")
    assert (link / "made").exists()


async def test_tmpdir_is_private_too_unless_it_holds_something_else(
    in_tmp: Path, workspace: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cwd = workspace()
    own = Path(os.environ["HOME"]) / "temporary"
    own.mkdir(exist_ok=True)
    (own / "of-another").touch()
    for tmpdir, is_private in ((own, True), (cwd.parent, False), (in_tmp, True)):
        monkeypatch.setenv("TMPDIR", str(tmpdir))
        async with _cage(cwd) as cage:
            await _needs_the_full_tier(cage)
            script = 'ls -A "$TMPDIR"; echo 1 > "$TMPDIR/made"'
            env = ENV | {"TMPDIR": str(tmpdir)}
            ended, output = await shell(cage, script, cwd, env)
        assert (ended.code == 0, output == "") == (is_private, is_private), tmpdir
        assert not (tmpdir / "made").exists()


async def test_tmp_as_the_workspace_is_the_hosts(in_tmp: Path) -> None:
    async with _cage(Path("/tmp")) as cage:
        report = await cage.ready()
        ended, _ = await shell(cage, f"echo 1 > {in_tmp}/made", Path("/tmp"))

    assert ended.code == 0
    assert (in_tmp / "made").exists()
    assert any("/tmp of their own" in gap for gap in report.gaps)
