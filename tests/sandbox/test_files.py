"""Files are read and changed inside the cage, and a batch of changes is all or nothing."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from octavo.sandbox import (
    Delete,
    FileChange,
    FileChangeRefused,
    FileState,
    Mode,
    Sandbox,
    Write,
)
from octavo.sandbox.uncaged import change_uncaged
from tests.sandbox.conftest import Machine, cage_on

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder(machine: Machine) -> Path:
    """A fresh folder in the workspace of the shared cage."""
    path = machine.workspace / f"files-{os.urandom(4).hex()}"
    path.mkdir()
    return path


def _snapshot(folder: Path) -> dict[str, tuple[int, bytes | str]]:
    found: dict[str, tuple[int, bytes | str]] = {}
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        content: bytes | str = ""
        if path.is_symlink():
            content = os.readlink(path)
        elif path.is_file():
            content = path.read_bytes()
        found[str(path.relative_to(folder))] = (state.st_mode, content)
    return found


async def test_every_kind_of_path_is_told_apart(
    cage: Sandbox, machine: Machine, folder: Path
) -> None:
    (folder / "file").write_bytes(b"\x00data\xff")
    (folder / "file").chmod(0o750)
    (folder / "empty").touch()
    (folder / "link").symlink_to("file")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "fifo")
    (folder / "big").write_bytes(bytes(2000))
    names = ("file", "link", "empty", "dangling", "missing", "file/x", "fifo", ".", "loop", "big")
    paths = [folder / name for name in names]
    paths += [machine.home / ".ssh" / "id_rsa", machine.home / ".netrc", Path("/dev/null")]

    states = await cage.look(paths, limit_bytes=1000)

    file = FileState(kind="file", data=b"\x00data\xff", mode=0o750, real_path=folder / "file")
    assert states[0] == states[1] == file
    assert [state.kind for state in states] == [
        "file", "file", "file", "missing", "missing", "missing", "other", "directory",
        "unreadable", "unreadable", "unreadable", "unreadable", "other",
    ]  # fmt: skip
    assert states[3].real_path == folder / "nowhere"
    assert "the limit is 1000" in states[9].reason
    assert "ermission denied" in states[10].reason
    assert all(state.data == b"" for state in states[2:])


async def test_a_large_file_arrives_whole(cage: Sandbox, folder: Path) -> None:
    data = os.urandom(1 << 20) * 5
    await cage.change([Write(folder / "large", data)])

    (state,) = await cage.look([folder / "large"])

    assert state.data == data
    assert (folder / "large").read_bytes() == data


async def test_a_batch_creates_replaces_and_deletes(cage: Sandbox, folder: Path) -> None:
    (folder / "old").write_text("old")
    (folder / "old").chmod(0o751)
    (folder / "gone").write_text("gone")
    (folder / "target").write_text("target")
    (folder / "link").symlink_to("target")
    (folder / "removed-link").symlink_to("target")

    await cage.change(
        [
            Write(folder / "a/b/new", b"new"),
            Write(folder / "script", b"#!", mode=0o755),
            Write(folder / "old", b"changed", before=b"old"),
            Delete(folder / "gone", before=b"gone"),
            Write(folder / "link", b"through", overwrite=True),
            Delete(folder / "removed-link"),
            Write(folder / "gone", b"again"),
        ]
    )

    regular = stat.S_IFREG
    assert _snapshot(folder) == {
        "a": (stat.S_IFDIR | 0o755, ""),
        "a/b": (stat.S_IFDIR | 0o755, ""),
        "a/b/new": (regular | 0o644, b"new"),
        "script": (regular | 0o755, b"#!"),
        "old": (regular | 0o751, b"changed"),
        "target": (regular | 0o644, b"through"),
        "link": (stat.S_IFLNK | 0o777, "target"),
        "gone": (regular | 0o644, b"again"),
    }


def _refusals(folder: Path, machine: Machine) -> dict[str, tuple[FileChange, str]]:
    return {
        "changed": (Write(folder / "file", b"x", before=b"other"), "changed"),
        "changed length": (Write(folder / "file", b"x", before=b"conten"), "changed"),
        "exists": (Write(folder / "file", b"x"), "exists"),
        "missing": (Write(folder / "no", b"x", before=b"y"), "missing"),
        "delete missing": (Delete(folder / "no"), "missing"),
        "delete changed": (Delete(folder / "file", before=b"other"), "changed"),
        "a directory": (Write(folder / "dir", b"x", overwrite=True), "directory"),
        "delete a directory": (Delete(folder / "dir"), "directory"),
        "below a file": (Write(folder / "file/x", b"x"), "io"),
        "a fifo": (Write(folder / "fifo", b"x", overwrite=True), "io"),
        "outside": (Write(machine.outside / "new", b"x"), "outside"),
        "a replacement outside": (
            Write(machine.outside / "precious", b"x", overwrite=True),
            "outside",
        ),
        "a deletion outside": (Delete(machine.outside / "precious"), "outside"),
        "through a link": (Write(folder / "out/new", b"x"), "outside"),
        "through dots": (Write(folder / "../../../outside/new", b"x"), "outside"),
        "a system file": (Write(Path("/etc/passwd"), b"x", overwrite=True), "outside"),
        "a name too long": (Write(folder / ("n" * 300), b"x"), "io"),
    }


@pytest.mark.parametrize("case", list(_refusals(Path("/"), Machine(*[Path("/")] * 4, "", 0, 0, 0))))
async def test_a_refused_change_leaves_every_byte_as_it_was(
    case: str, cage: Sandbox, machine: Machine, folder: Path
) -> None:
    (folder / "file").write_text("content")
    (folder / "kept").write_text("kept")
    (folder / "dir").mkdir()
    os.mkfifo(folder / "fifo")
    (folder / "out").symlink_to(machine.outside)
    change, reason = _refusals(folder, machine)[case]
    before, outside = _snapshot(folder), _snapshot(machine.outside)
    batch = [
        Write(folder / "made/deep/first", b"1"),
        Write(folder / "kept", b"2", overwrite=True),
        change,
        Delete(folder / "kept"),
    ]

    with pytest.raises(FileChangeRefused) as refused:
        await cage.change(batch)

    assert (refused.value.reason, refused.value.path) == (reason, change.path), refused.value
    assert _snapshot(folder) == before
    assert _snapshot(machine.outside) == outside


@pytest.mark.parametrize("tier", ["namespaces"], indirect=True)
@pytest.mark.parametrize("name", [".git/config", ".mcp.json", ".claude/x", ".envrc/x"])
async def test_protected_names_cannot_be_changed(
    name: str, cage: Sandbox, machine: Machine
) -> None:
    before = _snapshot(machine.workspace)

    with pytest.raises(FileChangeRefused) as refused:
        await cage.change([Write(machine.workspace / name, b"x", overwrite=True)])

    assert refused.value.reason == "outside"
    assert _snapshot(machine.workspace) == before


async def test_a_read_only_policy_refuses_every_change(
    tier: str, workspace: Callable[[], Path]
) -> None:
    where = workspace()
    async with cage_on(where, tier, mode=Mode.READ_ONLY) as cage:
        for change in (Write(where / "new", b"x"), Delete(where / "file"), Delete(where / "no")):
            with pytest.raises(FileChangeRefused) as refused:
                await cage.change([change])
            assert refused.value.reason == "outside"
        (state,) = await cage.look([where / "file"])

    assert state.data == b"content"


def _uncaged(folder: Path) -> list[FileChange]:
    return [
        Write(folder / "new/dir/file", b"1"),
        Write(folder / "first", b"changed", overwrite=True),
        Delete(folder / "second"),
        Write(folder / "third", b"changed", overwrite=True),
    ]


def _make_granted(machine: Machine) -> Path:
    folder = machine.home / "granted" / os.urandom(4).hex()
    folder.mkdir(parents=True)
    for name in ("first", "second", "third"):
        (folder / name).write_text(name)
        (folder / name).chmod(0o640)
    return folder


@pytest.fixture
def granted(machine: Machine) -> Path:
    return _make_granted(machine)


async def test_a_granted_change_is_made_outside_the_cage(granted: Path) -> None:
    change_uncaged(_uncaged(granted))

    assert sorted(_snapshot(granted)) == ["first", "new", "new/dir", "new/dir/file", "third"]
    assert (granted / "third").read_bytes() == b"changed"
    assert (granted / "third").stat().st_mode & 0o777 == 0o640


async def test_a_grant_does_not_follow_a_link_put_there_meanwhile(granted: Path) -> None:
    (granted / "dir").symlink_to("/tmp")
    (granted / "file").symlink_to("first")
    before = _snapshot(granted)

    for path in (granted / "dir" / "x", granted / "file"):
        with pytest.raises(FileChangeRefused) as refused:
            change_uncaged([Write(path, b"x", overwrite=True)])
        assert refused.value.reason == "outside"

    assert _snapshot(granted) == before


_SYSTEM_CALLS = ("open", "write", "mkdir", "fchmod", "link", "rename", "stat", "dup")


@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("call", _SYSTEM_CALLS)
async def test_a_disk_that_fails_at_any_moment_leaves_every_byte_as_it_was(
    call: str, exchange: bool, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from octavo.sandbox.cage import abi, files

    if not exchange:  # as on file systems that cannot swap two names

        def refuse(*_: object) -> None:
            raise OSError(errno.EINVAL, "no exchange")

        monkeypatch.setattr(abi, "renameat2", refuse)
    real = getattr(os, call)
    count = failed_at = 0

    def failing(*args: object, **kwargs: object) -> object:
        nonlocal count
        count += 1
        if count == failed_at:
            raise OSError(errno.EIO, "injected")
        return real(*args, **kwargs)

    while count >= failed_at:
        granted = _make_granted(machine)
        before = _snapshot(granted)
        count, failed_at = 0, failed_at + 1
        with monkeypatch.context() as patch:
            patch.setattr(files.os, call, failing)
            try:
                change_uncaged(_uncaged(granted))
            except FileChangeRefused:
                refused = True
            else:
                refused = False
        after = _snapshot(granted)
        expected = before if refused else _changed(before)
        assert after == expected, (call, failed_at)

    assert failed_at > 1 or exchange


def _changed(before: dict[str, tuple[int, bytes | str]]) -> dict[str, tuple[int, bytes | str]]:
    """Return what `_uncaged` makes of a folder when nothing fails."""
    mode = before["first"][0]
    changed = dict.fromkeys(("first", "third"), (mode, b"changed"))
    directory = (stat.S_IFDIR | 0o755, "")
    made = {"new": directory, "new/dir": directory, "new/dir/file": (stat.S_IFREG | 0o644, b"1")}
    return changed | made
