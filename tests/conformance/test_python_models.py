"""Methods that the official Python SDK has types for and no function: each answer fits its type."""

from __future__ import annotations

import base64
import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.server.programs import Program, program

SDK = Path(__file__).parents[2] / ".sdk"
if not (SDK / ".done").exists():
    pytest.skip("openai-codex is not here; `make sdk` gets it", allow_module_level=True)
sys.path.append(str(SDK))

models: Any = importlib.import_module("openai_codex.generated.v2_all")
registry: Any = importlib.import_module("openai_codex.generated.notification_registry")

pytestmark = pytest.mark.anyio


def calls(work: Path) -> list[tuple[str, dict[str, Any], str, str]]:
    """Method, parameters, and the names of their types."""
    file, folder = {"path": str(work / "d" / "a")}, {"path": str(work / "d")}
    data = {"dataBase64": base64.b64encode(b"a").decode()}
    copied = {"sourcePath": str(work / "d"), "destinationPath": str(work / "e"), "recursive": True}
    edit = {"keyPath": "step_limit", "value": 7, "mergeStrategy": "replace"}
    search = {"query": "a", "roots": [str(work)]}
    return [
        ("fs/createDirectory", folder, "FsCreateDirectoryParams", "FsCreateDirectoryResponse"),
        ("fs/watch", {"watchId": "w", **folder}, "FsWatchParams", "FsWatchResponse"),
        ("fs/writeFile", {**file, **data}, "FsWriteFileParams", "FsWriteFileResponse"),
        ("fs/readFile", file, "FsReadFileParams", "FsReadFileResponse"),
        ("fs/getMetadata", file, "FsGetMetadataParams", "FsGetMetadataResponse"),
        ("fs/readDirectory", folder, "FsReadDirectoryParams", "FsReadDirectoryResponse"),
        ("fs/copy", copied, "FsCopyParams", "FsCopyResponse"),
        ("fs/remove", {"path": str(work / "e")}, "FsRemoveParams", "FsRemoveResponse"),
        ("fs/unwatch", {"watchId": "x"}, "FsUnwatchParams", "FsUnwatchResponse"),
        ("config/value/write", edit, "ConfigValueWriteParams", "ConfigWriteResponse"),
        ("config/batchWrite", {"edits": [edit]}, "ConfigBatchWriteParams", "ConfigWriteResponse"),
        ("config/read", {"includeLayers": True}, "ConfigReadParams", "ConfigReadResponse"),
        ("configRequirements/read", {}, "", "ConfigRequirementsReadResponse"),
        ("fuzzyFileSearch", search, "FuzzyFileSearchParams", ""),
    ]


async def test_every_answer_fits_its_type(workspace: Path) -> None:
    async with program(workspace.parent / "octavo-home") as server:
        await server.hello(experimentalApi=True)
        await server.start(workspace, ephemeral=True)
        for method, params, asked, answered in calls(workspace):
            if asked:
                getattr(models, asked).model_validate(params)
            result = await server.call(method, params)
            if answered:
                getattr(models, answered).model_validate(result)
            for found in result.get("files", ()):
                models.FuzzyFileSearchResult.model_validate(found)
        await _search(server, workspace)

    told = [m for m in server.seen if "method" in m and "id" not in m]
    for message in told:
        if not message["method"].startswith("octavo/"):
            registry.NOTIFICATION_MODELS[message["method"]].model_validate(message["params"])
    assert {message["method"] for message in told} >= {
        "fs/changed",
        "fuzzyFileSearch/sessionUpdated",
        "fuzzyFileSearch/sessionCompleted",
    }


async def _search(server: Program, work: Path) -> None:
    session = {"sessionId": "s"}
    await server.call("fuzzyFileSearch/sessionStart", {**session, "roots": [str(work)]})
    await server.call("fuzzyFileSearch/sessionUpdate", {**session, "query": "a"})
    while not (await server.until("fuzzyFileSearch/sessionUpdated"))["params"]["files"]:
        pass
    await server.until("fuzzyFileSearch/sessionCompleted")
    (work / "d" / "b").write_text("b")
    if not any(message.get("method") == "fs/changed" for message in server.seen):
        await server.until("fs/changed")
    await server.call("fuzzyFileSearch/sessionStop", session)
