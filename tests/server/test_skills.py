"""The protocol's methods about skills: Codex's shape, and octavo's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from octavo.client import Client, connect
from octavo.protocol import skills as s
from octavo.rpc import RpcError
from octavo.rpc.memory import memory_pair
from octavo.server.methods import skills as names
from octavo.server.server import Launch, serving
from octavo.server.skills import HANDLERS
from tests.context.skills.making import make_skill

pytestmark = pytest.mark.anyio


async def call(env: dict[str, str], method: Any, params: Any) -> Any:
    """Return the answer of a server, or the error."""
    found: Any = None
    async with serving(Launch(env=env)) as server, anyio.create_task_group() as group:
        ours, theirs = memory_pair()
        group.start_soon(server.connect, theirs)
        async with connect(ours, name="test", version="0", answer=_nobody) as client:
            found = await _call(client, method, params)
    return found


async def _call(client: Client, method: Any, params: Any) -> Any:
    try:
        return await client.call(method, params)
    except RpcError as error:
        return error


async def _nobody(method: str, params: bytes) -> object:
    raise AssertionError(method)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "HOME": str(tmp_path), "OCTAVO_HOME": str(tmp_path / "octavo-home")}


def test_every_method_is_answered() -> None:
    methods = {value.name for value in vars(s).values() if isinstance(value, s.Method)}

    assert set(names.NAMES) == set(HANDLERS) == methods


async def test_skills_list_answers_with_the_fields_of_codex_and_no_other(
    env: dict[str, str], workspace: Path
) -> None:
    folder = make_skill(workspace / ".agents" / "skills", "tidy", "Tidies.")
    (workspace / ".agents" / "skills" / "broken").mkdir()

    found = await call(env, s.SKILLS_LIST, s.SkillsListParams((str(workspace),)))

    [entry] = msgspec.json.decode(msgspec.json.encode(found))["data"]
    assert entry["cwd"] == str(workspace)
    assert entry["skills"][0] == {
        "name": "tidy",
        "description": "Tidies.",
        "path": f"{folder}/SKILL.md",
        "scope": "repo",
        "enabled": True,
    }
    assert {one["scope"] for one in entry["skills"]} == {"repo", "system"}
    assert entry["errors"] == [
        {"path": f"{folder.parent}/broken/SKILL.md", "message": "It has no SKILL.md."}
    ]


async def test_without_a_directory_the_servers_own_is_meant(env: dict[str, str]) -> None:
    found = await call(env, s.SKILLS_LIST, s.SkillsListParams())

    assert [entry.cwd for entry in found.data] == [os.getcwd()]


async def test_octavos_list_tells_of_all_that_are_not_used_too(
    env: dict[str, str], workspace: Path
) -> None:
    make_skill(workspace / ".agents" / "skills", "tidy", "Theirs.")
    make_skill(Path(env["OCTAVO_HOME"]) / "skills", "tidy", "Mine.")

    found = await call(env, s.SKILLS_DETAILS, s.CwdParams(str(workspace)))

    assert [(one.name, one.scope, one.state, one.trusted) for one in found.data[:2]] == [
        ("tidy", "repo", "shadowed", False),
        ("tidy", "user", "ok", True),
    ]


async def test_a_skill_is_read_with_its_header_and_files(
    env: dict[str, str], workspace: Path
) -> None:
    folder = make_skill(workspace / ".agents" / "skills", "tidy")
    (folder / "SKILL.md").write_text(
        "---\nname: tidy\ndescription: x\nlicense: MIT\nallowed-tools: Bash(*)\n---\n\u202eDo.\n"
    )
    (folder / "run.sh").write_text("")

    params = s.SkillNameParams("tidy", str(workspace))
    found = await call(env, s.SKILLS_READ, params)

    assert found.text.endswith("---\n⟨U+202E⟩Do.\n")
    assert found.files == ("SKILL.md", "run.sh")
    assert (found.license, found.allowed_tools) == ("MIT", ("Bash(*)",))


async def test_what_is_not_there_is_an_error_with_a_code(
    env: dict[str, str], workspace: Path
) -> None:
    params = s.SkillNameParams("nothing", str(workspace))
    error = await call(env, s.SKILLS_READ, params)

    assert isinstance(error, RpcError)
    assert error.data == {"code": "skill"}
    assert "There is no skill 'nothing'." in error.message


async def test_a_change_is_accepted_only_as_it_was_shown(
    env: dict[str, str], workspace: Path
) -> None:
    folder = make_skill(workspace / ".agents" / "skills", "tidy")
    named = s.SkillNameParams("tidy", str(workspace))
    change = await call(env, s.SKILLS_CHANGE, named)
    (folder / "run.sh").write_text("evil")

    stale = s.SkillAcceptParams("tidy", change.sha256, str(workspace))
    assert isinstance(await call(env, s.SKILLS_ACCEPT, stale), RpcError)
    change = await call(env, s.SKILLS_CHANGE, named)
    fresh = s.SkillAcceptParams("tidy", change.sha256, str(workspace))
    accepted = await call(env, s.SKILLS_ACCEPT, fresh)

    assert (accepted.skill.state, accepted.skill.pinned) == ("ok", True)
    assert accepted.skill.sha256 == change.sha256
