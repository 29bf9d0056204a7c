"""What a thread has seen decides who may let something leave it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from octavo.agent.labels import BOTH, is_of_others, needs_person, reads_others
from octavo.config.approvals import Approval, remember
from octavo.protocol.questions import NetworkQuestion, Question
from octavo.tools.redact import names_secret
from tests.agent.test_hands import blocked, fresh_home, hands_in, wanted
from tests.scenarios.asking import Person, asking, outputs

__all__ = ["fresh_home"]

pytestmark = pytest.mark.anyio

REACH = {
    "cmd": "true",
    "sandbox_permissions": "with_additional_permissions",
    "additional_permissions": {"network": {"hosts": ["example.org"]}},
}
SECRET = "echo DEPLOY_TOKEN=hunter2hunter2"


async def _labels(workspace: Path, *commands: str) -> set[str]:
    async with asking(workspace, Person(), *commands) as play:
        await play.turn("go")
        [agent] = play.server.threads.values()
        return set(agent.journal.thread.labels)


@pytest.mark.parametrize(
    "command",
    [
        "echo hello",
        "ls *",
        "ls .. /usr/bin/env ~",
        "A=1 echo origin/main https://example.org/x?y=z",
    ],
)
async def test_what_a_tool_says_is_somebody_elses(workspace: Path, command: str) -> None:
    assert await _labels(workspace, command) == {"untrusted"}


@pytest.mark.parametrize("named", ["other/call.log", "*/call.log", ""])
async def test_what_commands_of_other_threads_said_is_private(workspace: Path, named: str) -> None:
    outputs = workspace.parent / "octavo-home" / "outputs"
    (outputs / "other").mkdir(parents=True)
    (outputs / "other" / "call.log").write_text("what was said in another repository")
    assert await _labels(workspace, f"grep -r said {outputs}/{named}") == BOTH


def test_what_the_threads_own_commands_said_is_not(tmp_path: Path) -> None:
    mine, other = tmp_path / "outputs" / "mine", tmp_path / "outputs" / "mine-too"
    assert not is_of_others(str(mine / "call.log"), None, mine)
    assert is_of_others(str(other / "call.log"), None, mine)


@pytest.mark.parametrize(
    "command",
    [
        SECRET,
        "echo ghp_0123456789abcdefghijklmnopqrstuvwxyz",
        "printf '%s\\n' '-----BEGIN RSA PRIVATE KEY-----' x '-----END RSA PRIVATE KEY-----'",
        "cat ../other/notes",
        "cat link/notes",
        "cat alias",
        "cat < ../other/notes",
        "cat ../other/*",
        "cd ../other && cat notes",
        "cd .. && cat other/notes",
        "cd .. && ls other",
        "grep --file=../other/notes x",
        "git -C ../other log",
        "GIT_DIR=../other/.git git log",
    ],
)
async def test_keys_and_other_repositories_are_private(workspace: Path, command: str) -> None:
    other = workspace.parent / "other"
    subprocess.run(["git", "init", "-q", str(other)], check=True)
    (other / "notes").write_text("theirs")
    (workspace / "link").symlink_to(other)
    (workspace / "alias").symlink_to(other / "notes")

    assert await _labels(workspace, command) == {"untrusted", "private"}


async def test_labels_survive_when_a_thread_is_opened_again(workspace: Path) -> None:
    async with asking(workspace, Person(), SECRET) as play:
        await play.turn("go")
        thread_id = play.thread_id
    async with asking(workspace, Person()) as play:
        await play.resume(thread_id)
        [agent] = [one for one in play.server.threads.values() if one.id == thread_id]
        assert agent.journal.thread.labels == BOTH


async def test_a_yes_for_the_thread_does_not_hold_once_both_were_seen(workspace: Path) -> None:
    person = Person("acceptForSession")

    await outputs(workspace, person, REACH, REACH, SECRET, REACH)

    assert len(person.asked) == 2
    assert "text that others wrote" not in str(person.asked[0])
    assert "text that others wrote" in str(person.asked[1])


async def test_a_host_that_was_remembered_is_closed_again_once_both_were_seen(
    workspace: Path, fresh_home: Path
) -> None:
    remember(fresh_home, Approval("a", "host", 0, None, "curl", host="example.org"))

    async def allowed(*labels: str) -> tuple[str, ...]:
        async with hands_in(workspace) as hands:
            hands._room.journal.thread.labels.update(labels)
            permit = await hands.permit(wanted(workspace, "true", outside=False))
            return permit.policy.network.allow

    assert await allowed() == ("example.org",)
    assert await allowed("untrusted") == ("example.org",)
    assert await allowed("private") == ("example.org",)
    assert await allowed(*BOTH) == ()


async def test_a_host_that_is_asked_about_once_both_were_seen_is_open_for_one_command(
    workspace: Path, fresh_home: Path
) -> None:
    asked: list[Question] = []
    async with hands_in(workspace, decision="acceptForSession", asked=asked) as hands:
        hands._room.journal.thread.labels.update(BOTH)

        async def allowed() -> tuple[str, ...]:
            permit = await hands.permit(wanted(workspace, "true", outside=False))
            return permit.policy.network.allow

        permit = await hands.permit(wanted(workspace, "true", outside=False))
        hands._room.ground.blocks(blocked("example.org"))
        await hands.blocked(permit, set())
        assert await allowed() == ("example.org",)
        assert await allowed() == ()

    [question] = asked
    assert isinstance(question, NetworkQuestion)
    assert question.offers == ()
    assert "text that others wrote" in question.why


def test_only_both_together_need_a_person() -> None:
    assert needs_person(()) is None
    assert needs_person({"untrusted"}) is None
    assert needs_person({"private"}) is None
    assert needs_person(BOTH) is not None


def test_a_path_is_of_the_repository_it_leads_into(tmp_path: Path) -> None:
    for name in ("one", "two"):
        subprocess.run(["git", "init", "-q", str(tmp_path / name)], check=True)
    one, two = tmp_path / "one", tmp_path / "two"
    (one / "link").symlink_to(two)

    assert not is_of_others(str(one / "x"), one)
    assert not is_of_others("/usr/bin/env", one)
    assert is_of_others(str(two), one)
    assert reads_others(["link/HEAD", "x"], one, one) is False  # nothing of that name is there
    assert reads_others(["link/.git/HEAD"], one, one)
    assert reads_others(["a/b"] * 100, one, one)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("API_KEY=abcdefgh123", True),
        ("export DB_PASSWORD='correct horse'", True),
        ("client_secret: 0123456789", True),
        ("The token is read from the environment.", False),
        ("TOKEN=$TOKEN", False),
        ("token = parser.next_token()", False),
    ],
)
def test_a_value_that_is_named_like_a_secret_is_one(text: str, expected: bool) -> None:
    assert names_secret(text) is expected
