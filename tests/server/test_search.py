"""Files found while their names are typed, over the wire."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.programs import Program, program

pytestmark = pytest.mark.anyio

SEARCH, SESSION = "fuzzyFileSearch", "fuzzyFileSearch/session"


@pytest.fixture
async def server(workspace: Path) -> AsyncIterator[Program]:
    async with program(workspace.parent / "octavo-home") as server:
        await server.hello()
        yield server


def fill(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("")


def paths(answer: dict[str, Any]) -> list[str]:
    return [file["path"] for file in answer["files"]]


async def found(server: Program) -> dict[str, Any]:
    params: dict[str, Any] = (await server.until(f"{SESSION}Updated"))["params"]
    await server.until(f"{SESSION}Completed")
    return params


async def test_files_are_found_but_for_those_that_git_ignores(
    server: Program, workspace: Path
) -> None:
    fill(workspace, "src/main.py", "build/main.o", "new/domain.py", ".hidden/main")
    (workspace / ".gitignore").write_text("build\n")
    subprocess.run(["git", "add", "src"], cwd=workspace, check=True)
    ours = [str(workspace)]
    answer = await server.call(SEARCH, {"query": "main", "roots": ours})
    below = await server.call(SEARCH, {"query": "m", "roots": [str(workspace / "src")]})
    nothing = await server.call(SEARCH, {"query": " ", "roots": ours})
    nowhere = await server.call(SEARCH, {"query": "m", "roots": [str(workspace / "none")]})

    assert answer["files"][1] == {
        "root": str(workspace),
        "path": ".hidden/main",
        "match_type": "file",
        "file_name": "main",
        "score": answer["files"][1]["score"],
        "indices": [8, 9, 10, 11],
    }
    assert paths(answer) == ["src/main.py", ".hidden/main", "new/domain.py"]
    assert paths(below) == ["main.py"]
    assert (nothing, nowhere) == ({"files": []}, {"files": []})


async def test_without_git_all_files_are_found(server: Program, workspace: Path) -> None:
    folder = workspace.parent / "plain"
    fill(folder, "a/one.txt", "b/.git/config", "b/one")
    (folder / ".gitignore").write_text("a\n")
    (folder / "out").symlink_to("/")
    answer = await server.call(SEARCH, {"query": "one", "roots": [str(folder)]})
    config = await server.call(SEARCH, {"query": "config", "roots": [str(folder)]})
    link = await server.call(SEARCH, {"query": "out", "roots": [str(folder)]})

    assert paths(answer) == ["b/one", "a/one.txt"]
    assert paths(config) == []
    assert paths(link) == ["out"]


async def test_a_session_is_told_what_is_typed(server: Program, workspace: Path) -> None:
    fill(workspace, "src/main.py", "src/mirror.py")
    await server.call(f"{SESSION}Start", {"sessionId": "s", "roots": [str(workspace)]})
    first = await found(server)
    await server.call(f"{SESSION}Update", {"sessionId": "s", "query": "m"})
    second = await found(server)
    await server.call(f"{SESSION}Update", {"sessionId": "s", "query": "mi"})
    third = await found(server)
    fill(workspace, "src/mine.py")
    await server.call(f"{SESSION}Start", {"sessionId": "s", "roots": [str(workspace)]})
    await server.call(f"{SESSION}Update", {"sessionId": "s", "query": "mine"})
    anew = await found(server)
    while anew["query"] == "":
        anew = await found(server)
    await server.call(f"{SESSION}Stop", {"sessionId": "s"})
    await server.call(f"{SESSION}Stop", {"sessionId": "s"})
    gone = await server.refused(f"{SESSION}Update", {"sessionId": "s", "query": "m"})

    assert first == {"sessionId": "s", "query": "", "files": []}
    assert (second["query"], paths(second)) == ("m", ["src/main.py", "src/mirror.py"])
    assert paths(third) == ["src/mirror.py", "src/main.py"]
    assert paths(anew) == ["src/mine.py"]
    assert (gone["code"], "session not found: s" in gone["message"]) == (-32600, True)


async def test_only_the_last_that_is_typed_has_to_be_answered(
    server: Program, workspace: Path
) -> None:
    fill(workspace, *(f"d{n % 10}/file{n}" for n in range(500)))
    await server.call(f"{SESSION}Start", {"sessionId": "s", "roots": [str(workspace)]})
    await found(server)
    for number, query in enumerate(("f", "fi", "fil", "file499")):
        params = {"sessionId": "s", "query": query}
        await server.send(id=number, method=f"{SESSION}Update", params=params)
    answer = await found(server)
    while answer["query"] != "file499":
        answer = await found(server)

    assert paths(answer) == ["d9/file499"]


async def test_a_search_that_another_replaces_finds_nothing(
    server: Program, workspace: Path
) -> None:
    fill(workspace, *(f"d{n % 10}/file{n}" for n in range(500)))
    params = {"query": "f", "roots": [str(workspace)], "cancellationToken": "t"}
    await server.send(id=1, method=SEARCH, params=params)
    await server.send(id=2, method=SEARCH, params=params)
    answers: dict[int, Any] = {}
    while len(answers) < 2:
        message = await server.next()
        answers[message["id"]] = message["result"]

    assert (len(answers[1]["files"]), len(answers[2]["files"])) == (0, 50)


@pytest.mark.parametrize(
    ("method", "params", "at"),
    [
        (SEARCH, {"query": "a", "roots": ["b"]}, "$.roots[0]"),
        (SEARCH, {"query": "a" * 257, "roots": []}, "$.query"),
        (SEARCH, {"query": "a", "roots": ["/a"] * 17}, "$.roots"),
        (SEARCH, {"query": 1, "roots": []}, "$.query"),
        (f"{SESSION}Start", {"roots": []}, "sessionId"),
    ],
)
async def test_what_makes_no_sense_is_named(
    method: str, params: dict[str, Any], at: str, server: Program
) -> None:
    refusal = await server.refused(method, params)
    assert (refusal["code"], at in refusal["message"]) == (-32602, True)
