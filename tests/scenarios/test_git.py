"""Git in a thread: plain git writes the repository, and reaches a remote if that is allowed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from octavo.agent.allowed import Allowed
from octavo.trial.scripted import call, say
from tests.agent import test_git_remote, test_git_ssh
from tests.agent.test_git_cage import PERSON
from tests.scenarios.asking import Person, outputs
from tests.scenarios.playing import playing

pytestmark = pytest.mark.anyio

NEVER = Person()
hub = test_git_remote.hub
ssh_hub = test_git_ssh.hub


@pytest.fixture
def repository(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in PERSON.items():
        monkeypatch.setenv(name, value)
    git(workspace, "init", "-q", "-b", "main")
    (workspace / "file").write_text("one\n")
    git(workspace, "add", "file")
    git(workspace, "commit", "-qm", "first")
    return workspace


def git(where: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(where), *words], check=True, capture_output=True, text=True
    ).stdout


async def test_the_model_commits_its_work(repository: Path) -> None:
    said = await outputs(
        repository,
        NEVER,
        "echo two > file",
        'git add -A && git commit -m "second" && git log --oneline -1',
        policy="never",
    )

    assert "Process exited with code 0" in said[1]
    assert git(repository, "log", "--format=%s").split() == ["second", "first"]


async def test_git_among_other_programs_is_told_to_be_on_its_own(repository: Path) -> None:
    said = await outputs(
        repository, NEVER, "echo two > file; git commit -am second | cat", policy="never"
    )

    assert "run the git commands in a call of their own" in said[0]
    assert git(repository, "log", "--format=%s").split() == ["first"]


async def test_plain_git_that_cannot_be_undone_is_judged_like_any_other(repository: Path) -> None:
    (repository / "file").write_text("precious\n")

    said = await outputs(repository, NEVER, "git reset --hard", policy="never")

    assert "was not run" in said[0]
    assert (repository / "file").read_text() == "precious\n"


async def test_a_push_asks_where_it_goes_and_nobody_there_means_no(
    repository: Path,
    hub: tuple[str, Path, list[str]],
) -> None:
    url, _, heard = hub
    git(repository, "remote", "add", "origin", url)
    person = Person("decline")

    asked = await outputs(repository, person, "git push origin main")
    alone = await outputs(repository, NEVER, "git push origin main", policy="never")

    assert "declined" in asked[0]
    assert url.removeprefix("http://").partition("/")[0] in str(person.asked[0])
    assert "nobody can be asked" in alone[0]
    assert heard == []


@pytest.mark.parametrize(
    "script", ["git -C nested push origin main", "cd nested && git push origin"]
)
async def test_a_person_is_told_which_repository_and_address_a_remote_stands_for(
    repository: Path, hub: tuple[str, Path, list[str]], script: str
) -> None:
    url, _, heard = hub
    git(repository, "remote", "add", "origin", "https://example.org/mine.git")
    nested = repository / "nested"
    nested.mkdir()
    git(nested, "init", "-q", "-b", "main")
    git(nested, "remote", "add", "origin", url)
    person = Person("decline")

    await outputs(repository, person, script)

    [asked] = person.asked
    assert "-C nested" in asked["command"]
    assert f"Git goes to {url}." in str(asked)
    assert heard == []


async def test_a_push_that_is_remembered_is_asked_about_again_when_it_goes_elsewhere(
    repository: Path, hub: tuple[str, Path, list[str]]
) -> None:
    url, _, _ = hub
    git(repository, "remote", "add", "origin", url)
    person = Person("acceptForSession")
    push = "git push origin main"
    steps = [call("exec_command", cmd=push, login=False), say("Done.")] * 3
    more = {"alone": False, "answer": person, "start": False}
    async with playing(steps, repository, **more) as play:
        await play.start(approval_policy="on-request")
        await play.turn("one")
        await play.turn("two")
        assert len(person.asked) == 1
        git(repository, "remote", "set-url", "origin", url.replace("mill", "elsewhere"))
        await play.turn("three")

    assert len(person.asked) == 2


async def test_a_push_that_was_allowed_beforehand_reaches_its_remote(
    repository: Path,
    hub: tuple[str, Path, list[str]],
) -> None:
    url, _, heard = hub
    git(repository, "remote", "add", "origin", url)

    said = await outputs(
        repository, NEVER, "git push origin main", policy="never", allowed=Allowed(push=True)
    )

    # The server wants a key, and this person's helper has none.
    assert "could not read Username" in said[0]
    assert heard


async def test_allowing_a_push_beforehand_allows_no_address_of_the_models_choosing(
    repository: Path,
    hub: tuple[str, Path, list[str]],
) -> None:
    url, _, heard = hub
    nested = repository / "nested"
    nested.mkdir()
    git(nested, "init", "-q", "-b", "main")
    git(nested, "remote", "add", "origin", url)

    for script in (f"git ls-remote {url}", f"git clone {url} x", "git -C nested fetch origin"):
        said = await outputs(repository, NEVER, script, policy="never", allowed=Allowed(push=True))
        assert "Process exited with code 0" not in said[0]

    assert heard == []


@pytest.fixture
def over_ssh(
    repository: Path, ssh_hub: test_git_ssh.Hub, monkeypatch: pytest.MonkeyPatch
) -> test_git_ssh.Hub:
    """A server that is the repository's origin, and the person's agent with the key for it."""
    git(repository, "remote", "add", "origin", ssh_hub.url)
    for name in ("PATH", "SSH_AUTH_SOCK"):
        monkeypatch.setenv(name, ssh_hub.env[name])
    return ssh_hub


async def test_a_push_over_ssh_names_host_port_and_user_and_goes_there_if_allowed(
    repository: Path, over_ssh: test_git_ssh.Hub
) -> None:
    no, yes = Person("decline"), Person("accept")

    declined = await outputs(repository, no, "git push origin main")
    before = over_ssh.signed_in()
    accepted = await outputs(repository, yes, "git push origin main")

    for word in (f"127.0.0.1:{over_ssh.port}", f"as {test_git_ssh.USER} with your keys"):
        assert word in str(no.asked[0])
    assert "declined" in declined[0]
    assert not before
    assert "Process exited with code 0" in accepted[0]
    assert over_ssh.subjects() == ["first"]


async def test_a_push_over_ssh_that_was_allowed_beforehand_reaches_its_remote(
    repository: Path, over_ssh: test_git_ssh.Hub
) -> None:
    alone = await outputs(repository, NEVER, "git push origin main", policy="never")
    before = over_ssh.subjects()
    said = await outputs(
        repository, NEVER, "git push origin main", policy="never", allowed=Allowed(push=True)
    )

    assert "nobody can be asked" in alone[0]
    assert before == []
    assert "Process exited with code 0" in said[0]
    assert over_ssh.subjects() == ["first"]


@pytest.mark.parametrize("url", ["https://hub.example.org/x.git", "git@hub.example.org:x.git"])
async def test_a_push_among_other_programs_is_told_to_be_on_its_own(
    repository: Path, url: str
) -> None:
    git(repository, "remote", "add", "origin", url)

    said = await outputs(repository, NEVER, "git push origin main 2>&1 | tail -3", policy="never")

    assert "git reaches a remote, and has a key, only in a call" in said[0]
