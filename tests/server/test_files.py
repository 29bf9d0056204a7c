"""What a client does with files by itself: as Codex's app-server does, and within the policy."""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.programs import Program, program

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server(workspace: Path) -> AsyncIterator[Program]:
    async with program(workspace.parent / "octavo-home") as server:
        await server.hello()
        await server.start(workspace, ephemeral=True)
        yield server


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def test_files_are_written_read_listed_copied_and_removed(
    server: Program, workspace: Path
) -> None:
    folder, file = workspace / "made" / "deep", workspace / "made" / "deep" / "a.txt"

    await server.call("fs/createDirectory", {"path": str(folder)})
    await server.call("fs/writeFile", {"path": str(file), "dataBase64": encoded("hello")})
    (folder / "link").symlink_to("a.txt")
    os.utime(file, ns=(0, 1_700_000_000_123_000_000))
    read = await server.call("fs/readFile", {"path": str(file)})
    about = await server.call("fs/getMetadata", {"path": str(folder / "link")})
    listed = await server.call("fs/readDirectory", {"path": str(folder)})
    await server.call(
        "fs/copy",
        {
            "sourcePath": str(folder),
            "destinationPath": str(workspace / "copied"),
            "recursive": True,
        },
    )
    await server.call("fs/remove", {"path": str(workspace / "made")})
    await server.call(
        "fs/remove", {"path": str(workspace / "made")}
    )  # forced unless told otherwise

    assert read == {"dataBase64": encoded("hello")}
    assert about == {
        "isDirectory": False,
        "isFile": True,
        "isSymlink": True,
        "createdAtMs": 0,
        "modifiedAtMs": 1_700_000_000_123,
    }
    assert listed == {
        "entries": [
            {"fileName": "a.txt", "isDirectory": False, "isFile": True},
            {"fileName": "link", "isDirectory": False, "isFile": True},
        ]
    }
    assert not (workspace / "made").exists()
    assert (workspace / "copied" / "a.txt").read_text() == "hello"
    assert os.readlink(workspace / "copied" / "link") == "a.txt"


async def test_what_cannot_be_done_is_said(server: Program, workspace: Path) -> None:
    folder = workspace / "folder"
    folder.mkdir()
    (folder / "a").write_text("a")
    refusals = [
        await server.refused(method, {key: str(path), **more})
        for method, key, path, more in [
            ("fs/readFile", "path", workspace / "none", {}),
            ("fs/readFile", "path", folder, {}),
            ("fs/writeFile", "path", workspace / "none" / "a", {"dataBase64": ""}),
            ("fs/createDirectory", "path", folder, {"recursive": False}),
            ("fs/remove", "path", folder, {"recursive": False}),
            ("fs/remove", "path", workspace / "none", {"force": False}),
            ("fs/copy", "sourcePath", folder, {"destinationPath": str(workspace / "b")}),
            (
                *("fs/copy", "sourcePath", folder),
                {"destinationPath": str(folder / "in"), "recursive": True},
            ),
            ("fs/getMetadata", "path", workspace / "none", {}),
            ("fs/watch", "path", workspace / "none" / "a", {"watchId": "w"}),
        ]
    ]

    assert [refusal["code"] for refusal in refusals] == [-32600] * len(refusals)
    assert [refusal["data"]["code"].removeprefix("files.") for refusal in refusals] == [
        *("missing", "not_a_file", "missing", "exists", "io", "missing", "directory", "io"),
        *("missing", "missing"),
    ]
    assert (folder / "a").read_text() == "a"


@pytest.mark.parametrize(
    ("method", "params", "at"),
    [
        ("fs/readFile", {"path": "a.txt"}, "$.path"),
        ("fs/readFile", {"path": "/a\0b"}, "$.path"),
        ("fs/writeFile", {"path": "/a", "dataBase64": "a$"}, "$.dataBase64"),
        ("fs/copy", {"sourcePath": "/a", "destinationPath": "b"}, "$.destinationPath"),
        ("fs/remove", {"path": "/a", "force": 1}, "$.force"),
        ("fs/watch", {"path": "/"}, "watchId"),
    ],
)
async def test_what_makes_no_sense_is_named(
    method: str, params: dict[str, Any], at: str, server: Program
) -> None:
    refusal = await server.refused(method, params)
    assert (refusal["code"], at in refusal["message"]) == (-32602, True)


async def test_nothing_outside_of_the_workspace_is_changed(
    server: Program, workspace: Path
) -> None:
    outside = workspace.parent / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (workspace / "way").symlink_to(outside)
    (workspace / "file").symlink_to(outside / "kept")
    (workspace / "a").write_text("a")
    tries: list[tuple[str, dict[str, Any]]] = [
        ("fs/writeFile", {"path": str(outside / "new"), "dataBase64": ""}),
        ("fs/writeFile", {"path": str(workspace / "way" / "kept"), "dataBase64": ""}),
        ("fs/writeFile", {"path": str(workspace / "file"), "dataBase64": ""}),
        ("fs/writeFile", {"path": f"{workspace}/../outside/kept", "dataBase64": ""}),
        ("fs/createDirectory", {"path": str(workspace / "way" / "new")}),
        ("fs/remove", {"path": str(workspace / "way" / "kept")}),
        ("fs/remove", {"path": str(workspace / ".." / "outside")}),
        ("fs/remove", {"path": str(workspace)}),
        (
            "fs/copy",
            {"sourcePath": str(workspace / "a"), "destinationPath": str(workspace / "file")},
        ),
        (
            "fs/copy",
            {"sourcePath": str(workspace / "a"), "destinationPath": str(outside / "new")},
        ),
    ]

    for method, params in tries:
        refusal = await server.refused(method, params)
        assert refusal["data"]["code"] == "files.outside", (method, params, refusal)
    assert [path.name for path in outside.iterdir()] == ["kept"]
    assert (outside / "kept").read_text() == "kept"


async def test_what_runs_or_decides_later_is_not_changed(server: Program, workspace: Path) -> None:
    hook = workspace / ".git" / "hooks" / "pre-commit"
    config = (workspace / ".git" / "config").read_bytes()
    (workspace / ".octavo").mkdir(exist_ok=True)
    tries: list[tuple[str, dict[str, Any]]] = [
        ("fs/writeFile", {"path": str(hook), "dataBase64": ""}),
        ("fs/writeFile", {"path": str(workspace / ".git" / "config"), "dataBase64": ""}),
        ("fs/writeFile", {"path": str(workspace / ".octavo" / "config.toml"), "dataBase64": ""}),
        ("fs/writeFile", {"path": str(workspace / ".envrc"), "dataBase64": ""}),
        ("fs/createDirectory", {"path": str(workspace / ".codex" / "a")}),
        ("fs/remove", {"path": str(workspace / ".git")}),
        ("fs/remove", {"path": str(workspace / ".git" / "config")}),
    ]

    for method, params in tries:
        refusal = await server.refused(method, params)
        where = refusal["data"]["code"]  # one that is not there is held by an empty directory
        assert where in ("files.outside", "files.missing", "files.directory"), (method, refusal)
    assert (workspace / ".git" / "config").read_bytes() == config
    assert not hook.exists()


async def test_what_a_profile_denies_is_not_read_also_when_it_comes_later(
    workspace: Path,
) -> None:
    secret = workspace / "conf" / ".env"
    secret.parent.mkdir()
    secret.write_text("TOKEN=hunter2")
    profile = 'permissions.mine={filesystem={":workspace_roots"={"."="write","**/.env"="deny"}}}'
    words = ("-c", profile, "-c", 'default_permissions="mine"')
    async with program(workspace.parent / "octavo-home", *words) as server:
        await server.hello()
        await server.start(workspace, ephemeral=True)
        copied = {"sourcePath": str(secret), "destinationPath": str(workspace / "out")}
        before = await server.refused("fs/readFile", {"path": str(secret)})
        copying = await server.refused("fs/copy", copied)
        removing = await server.refused("fs/remove", {"path": str(secret.parent)})
        another = workspace / "more" / ".env"  # while the cage stands
        another.parent.mkdir()
        another.write_text("TOKEN=hunter3")
        secret.unlink()
        secret.write_text("TOKEN=hunter4")
        later = await server.refused("fs/readFile", {"path": str(another)})
        replaced = await server.refused("fs/readFile", {"path": str(secret)})
        beside = await server.call("fs/readDirectory", {"path": str(secret.parent)})

    codes = [r["data"]["code"] for r in (before, copying, removing, later, replaced)]
    assert codes == [
        *("files.unreadable", "files.io", "files.outside", "files.unreadable"),
        "files.unreadable",
    ]
    assert not (workspace / "out").exists()
    assert secret.read_text() == "TOKEN=hunter4"
    assert [entry["fileName"] for entry in beside["entries"]] == [".env"]


async def test_what_one_thread_may_not_read_no_client_reads(workspace: Path) -> None:
    secret = workspace.parent / "notes" / "secret.txt"
    secret.parent.mkdir()
    secret.write_text("hunter2")
    profile = {"filesystem": {str(secret.parent): "deny", ":workspace_roots": {".": "write"}}}
    config = {"permissions": {"mine": profile}, "default_permissions": "mine"}
    (workspace / "way").symlink_to(secret)
    async with program(workspace.parent / "octavo-home") as server:
        await server.hello()
        before = await server.call("fs/readFile", {"path": str(secret)})
        await server.start(workspace, ephemeral=True, config=config)
        after = await server.refused("fs/readFile", {"path": str(secret)})
        linked = await server.refused("fs/readFile", {"path": str(workspace / "way")})
        through = f"{workspace}/../notes/secret.txt"
        around = await server.refused("fs/readFile", {"path": through})

    assert before == {"dataBase64": encoded("hunter2")}
    codes = {refusal["data"]["code"] for refusal in (after, linked, around)}
    assert codes == {"files.unreadable"}


async def test_a_workspace_is_known_by_all_its_names(workspace: Path) -> None:
    name = workspace.parent / "name"
    name.symlink_to(workspace)
    async with program(workspace.parent / "octavo-home") as server:
        await server.hello()
        await server.start(name, ephemeral=True)
        for path in (name / "a", workspace / "b"):
            await server.call("fs/writeFile", {"path": str(path), "dataBase64": encoded("x")})

    assert sorted(path.name for path in workspace.iterdir() if path.is_file()) == ["a", "b"]


async def test_keys_and_logs_of_octavo_are_not_read(server: Program, workspace: Path) -> None:
    home = workspace.parent / "octavo-home"
    home.mkdir(exist_ok=True)
    (home / "auth.json").write_text("{}")
    refusal = await server.refused("fs/readFile", {"path": str(home / "auth.json")})
    writing = await server.refused(
        "fs/writeFile", {"path": str(home / "config.toml"), "dataBase64": ""}
    )

    assert refusal["data"]["code"] == "files.unreadable"
    assert writing["data"]["code"] == "files.outside"
    assert not (home / "config.toml").exists()


async def test_what_is_watched_is_told_of_until_it_is_not_any_more(
    server: Program, workspace: Path
) -> None:
    file, other = workspace / "a.txt", workspace / "b.txt"
    real = await server.call("fs/watch", {"watchId": "all", "path": str(workspace)})
    await server.call("fs/watch", {"watchId": "one", "path": str(file)})
    twice = await server.refused("fs/watch", {"watchId": "one", "path": str(file)})

    other.write_text("b")
    first = await server.until("fs/changed")
    aside = workspace / "c.txt"
    aside.write_text("a")
    aside.rename(file)  # as editors save
    told: dict[str, set[str]] = {}
    while len(told) < 2:
        change = (await server.until("fs/changed"))["params"]
        told.setdefault(change["watchId"], set()).update(change["changedPaths"])
    await server.call("fs/unwatch", {"watchId": "all"})
    await server.call("fs/unwatch", {"watchId": "all"})
    other.write_text("c")
    file.write_text("c")
    last = await server.until("fs/changed")

    assert real == {"path": str(workspace.resolve())}
    assert (twice["code"], "already exists" in twice["message"]) == (-32600, True)
    assert first["params"] == {"watchId": "all", "changedPaths": [str(other)]}
    assert told["one"] == {str(file)}
    assert str(file) in told["all"]
    assert last["params"] == {"watchId": "one", "changedPaths": [str(file)]}
