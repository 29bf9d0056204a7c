"""Gh in a thread: a person is asked what it would do where, and its token stays outside."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from octavo.agent.allowed import Allowed
from tests.agent import test_gh
from tests.scenarios.asking import Person, outputs

pytestmark = pytest.mark.anyio

NEVER = Person()
hub = test_gh.hub
gh = test_gh.gh


@pytest.fixture
def repository(workspace: Path, hub: test_gh.Hub, gh: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    for words in (("init", "-q"), ("remote", "add", "origin", f"https://{hub.host}/ada/mill.git")):
        subprocess.run(["git", "-C", str(workspace), *words], check=True, capture_output=True)
    for name in ("SSL_CERT_FILE", "GH_HOST", "GH_ENTERPRISE_TOKEN"):
        monkeypatch.setenv(name, hub.env[name])
    return workspace


async def test_gh_is_asked_about_each_time_and_reaches_the_api_if_it_is_allowed(
    repository: Path, hub: test_gh.Hub
) -> None:
    no, yes = Person("decline"), Person("accept")

    declined = await outputs(repository, no, "gh issue create -t New -b Text")
    alone = await outputs(repository, NEVER, "gh issue list", policy="never")
    before = list(hub.heard)
    accepted = await outputs(repository, yes, "gh issue list", "gh issue create -t New -b Text")

    for word in (hub.host, "about ada/mill", "`gh issue create` may change things there"):
        assert word in str(no.asked[0])
    assert "declined" in declined[0]
    assert "nobody can be asked" in alone[0]
    assert before == []
    assert "It grinds" in accepted[0]
    assert "Process exited with code 0" in accepted[1]
    assert [len(person.asked) for person in (no, yes)] == [1, 2]
    assert "only reads there" in str(yes.asked[0])
    assert test_gh.TOKEN not in str(accepted)


async def test_gh_on_the_own_repository_can_be_allowed_beforehand_and_no_more(
    repository: Path, hub: test_gh.Hub
) -> None:
    push = {"policy": "never", "allowed": Allowed(push=True)}

    other = await outputs(
        repository, NEVER, f"gh issue list -R {hub.host}/x/y", "gh api user", **push
    )
    before = list(hub.heard)
    own = await outputs(repository, NEVER, "gh issue list", **push)

    assert all("nobody can be asked" in said for said in other)
    assert before == []
    assert "It grinds" in own[0]


async def test_what_is_about_tokens_is_refused_with_a_reason_and_nobody_is_asked(
    repository: Path, hub: test_gh.Hub
) -> None:
    said = await outputs(
        repository, NEVER, "gh auth token", "gh pr checkout 1", "gh auth token | cat"
    )

    assert "tokens, which are the user's" in said[0]
    assert "git fetch origin pull/NUMBER" in said[1]
    assert test_gh.TOKEN not in str(said)
    assert hub.heard == []


@pytest.mark.parametrize("is_logged_in", [False, True])
async def test_gh_among_other_programs_is_told_to_be_on_its_own(
    repository: Path, hub: test_gh.Hub, *, is_logged_in: bool
) -> None:
    if is_logged_in:  # then its files are there, and hidden
        own = Path.home() / ".config" / "gh" / "config.yml"
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text("version: 1\n")
    said = await outputs(
        repository,
        NEVER,
        "gh api --hostname github.com user > out",
        "GH_TOKEN=x gh api --hostname github.com user",
        policy="never",
    )

    assert all("run gh in a call of its own" in one for one in said), "\n".join(said)
    assert hub.heard == []
