"""Settings, read and written by a client: in Codex's words, and only the person's own."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.server.programs import Program, program

pytestmark = pytest.mark.anyio

WRITE, BATCH = "config/value/write", "config/batchWrite"


@pytest.fixture
async def home(tmp_path: Path) -> Path:
    home = tmp_path / "octavo-home"
    home.mkdir()
    (home / "config.toml").write_text('# mine\nmodel_verbosity = "low" # why\n')
    return home


@pytest.fixture
async def server(home: Path) -> AsyncIterator[Program]:
    async with program(home) as server:
        await server.hello()
        yield server


def value(key: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"keyPath": key, "value": value, "mergeStrategy": "replace", **more}


async def test_a_value_is_written_and_holds(server: Program, home: Path) -> None:
    done = await server.call(WRITE, value("model_verbosity", "high"))
    read = await server.call("config/read", {"includeLayers": True})

    file = home / "config.toml"
    data = file.read_bytes()
    assert data == b'# mine\nmodel_verbosity = "high" # why\n'
    assert file.stat().st_mode & 0o777 == 0o600
    version = f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert done == {
        "status": "ok",
        "version": version,
        "filePath": str(file),
        "overriddenMetadata": None,
    }
    origin = {"name": {"type": "user", "file": str(file)}, "version": version}
    assert read["config"]["model_verbosity"] == "high"
    assert read["origins"]["model_verbosity"] == origin
    flags, user = read["layers"]
    assert flags["name"] == {"type": "sessionFlags"}
    assert user == {**origin, "config": {"model_verbosity": "high"}, "disabledReason": None}


async def test_a_batch_is_made_as_a_whole(server: Program, home: Path) -> None:
    edits = [
        value("tui", {"notifications": True}),
        {**value("tui", {"notification_method": "bel"}), "mergeStrategy": "upsert"},
        value("model_verbosity", None),
    ]
    done = await server.call(BATCH, {"edits": edits, "reloadUserConfig": True})
    wrong = {"edits": [value("step_limit", 7), value("sandbox_mode", 5)]}
    refusal = await server.refused(BATCH, wrong)

    assert done["status"] == "ok"
    assert (home / "config.toml").read_text() == (
        '# mine\n\n[tui]\nnotifications = true\nnotification_method = "bel"\n'
    )
    assert refusal["data"]["config_write_error_code"] == "configValidationError"
    assert "sandbox_mode" in refusal["message"]


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        (value("model", "a", expectedVersion="sha256:0"), "configVersionConflict"),
        (value("nosuch", 1), "configSchemaUnknownKey"),
        (value("sandbox_mode", "bogus"), "configValidationError"),
        (value("", 1), "configValidationError"),
        (value("a..b", 1), "configValidationError"),
        (value("model", "a", filePath="/etc/octavo/config.toml"), "configLayerReadonly"),
        (value("model", "a", filePath="config.toml"), "configLayerReadonly"),
        (value("model", "a", filePath="/\0"), "configLayerReadonly"),
    ],
)
async def test_a_write_that_is_refused_says_why_and_changes_nothing(
    params: dict[str, Any], kind: str, server: Program, home: Path
) -> None:
    before = (home / "config.toml").read_bytes()
    refusal = await server.refused(WRITE, params)

    assert (refusal["code"], refusal["data"]["config_write_error_code"]) == (-32600, kind)
    assert (home / "config.toml").read_bytes() == before


@pytest.mark.parametrize(
    ("method", "params", "at"),
    [
        (WRITE, {"keyPath": "model", "value": 1}, "mergeStrategy"),
        (WRITE, {"keyPath": 1, "value": 1, "mergeStrategy": "replace"}, "$.keyPath"),
        (WRITE, value("model", 1, mergeStrategy="both"), "$.mergeStrategy"),
        (BATCH, {"edits": [{"keyPath": "a", "mergeStrategy": "replace"}]}, "value"),
    ],
)
async def test_what_makes_no_sense_is_named(
    method: str, params: dict[str, Any], at: str, server: Program
) -> None:
    refusal = await server.refused(method, params)
    assert (refusal["code"], at in refusal["message"]) == (-32602, True)


async def test_a_project_is_not_written(server: Program, home: Path, tmp_path: Path) -> None:
    project = tmp_path / ".octavo" / "config.toml"
    project.parent.mkdir()
    project.write_text("step_limit = 3\n")
    refusal = await server.refused(WRITE, value("step_limit", 4, filePath=str(project)))
    (tmp_path / "link.toml").symlink_to(home / "config.toml")
    linked = value("step_limit", 4, filePath=str(tmp_path / "link.toml"))
    done = await server.call(WRITE, linked)

    assert refusal["data"]["config_write_error_code"] == "configLayerReadonly"
    assert project.read_text() == "step_limit = 3\n"
    assert done["filePath"] == str(home / "config.toml")


async def test_what_is_overridden_is_said(home: Path) -> None:
    async with program(home, "-c", "model_verbosity=medium", "-c", "step_limit=3") as server:
        await server.hello()
        done = await server.call(WRITE, value("model_verbosity", "high"))

    assert done["status"] == "okOverridden"
    assert done["overriddenMetadata"] == {
        "message": "model_verbosity is set in the command line, too, which is stronger.",
        "overridingLayer": {"name": {"type": "sessionFlags"}, "version": ""},
        "effectiveValue": "medium",
    }


async def test_many_who_write_at_once_lose_nothing(home: Path) -> None:
    async with program(home) as one, program(home) as other:
        await one.hello()
        await other.hello()

        async def write(server: Program, name: str) -> None:
            for number in range(20):
                key = f"model_providers.{name}{number}.name"
                await server.call(WRITE, value(key, name))

        async with anyio.create_task_group() as group:
            group.start_soon(write, one, "a")
            group.start_soon(write, other, "b")
        read = await one.call("config/read", {})

    assert len(read["config"]["model_providers"]) >= 40


async def test_nothing_is_required(server: Program) -> None:
    assert (await server.call("configRequirements/read"))["requirements"] is None
