"""Skills come from folders and git repositories of anybody; nothing there is run or followed."""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from octavo.agent.skill_source import Fetched, fetch, read_source
from octavo.context.skills import SkillError
from octavo.protocol.errors import UsageError
from tests.agent.test_git_remote import hub
from tests.context.skills.making import make_skill

pytestmark = pytest.mark.anyio

__all__ = ["hub"]


class Origin:
    """A repository with a skill in it."""

    def __init__(self, top: Path) -> None:
        self.top = top
        subprocess.run(["git", "init", "-q", "-b", "main", top], check=True)
        self.skill = make_skill(top / "skills", "tidy", "First.")
        (self.skill / "run.sh").write_text("echo ran\n")
        (self.skill / "run.sh").chmod(0o755)
        self.first = self.commit("one")

    def git(self, *words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.top), *words], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD")

    @property
    def url(self) -> str:
        return f"file://{self.top}"


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path / "origin")


async def get(text: str, *, path: str | None = None, ref: str | None = None) -> Fetched:
    source = read_source(text, path=path, ref=ref, cwd=Path("/"))
    home = Path(os.environ["OCTAVO_HOME"])
    home.mkdir(exist_ok=True)
    return await fetch(source, os.environ, home)


async def test_a_folder_is_copied_without_its_repository(origin: Origin) -> None:
    (origin.skill / ".git").write_text("gitdir: elsewhere\n")

    fetched = await get(str(origin.skill))

    assert set(fetched.contents.entries) == {"SKILL.md", "run.sh"}
    assert fetched.contents.data["run.sh"] == b"echo ran\n"
    assert fetched.contents.entries["run.sh"].executable
    assert (fetched.source, fetched.commit) == (str(origin.skill), None)


async def test_a_repository_gives_a_subfolder_and_its_commit(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    by_fragment = await get(f"{origin.url}#skills/tidy")
    by_path = await get(origin.url, path="./skills/tidy/")

    assert by_fragment == by_path
    assert set(by_path.contents.entries) == {"SKILL.md", "run.sh"}
    assert (by_path.source, by_path.path, by_path.commit) == (
        origin.url,
        "skills/tidy",
        origin.first,
    )
    assert os.listdir(tmp_path / "temporary") == []


async def test_a_branch_a_tag_or_a_commit_can_be_chosen(origin: Origin) -> None:
    origin.git("tag", "v1")
    origin.git("branch", "old")
    origin.git("config", "uploadpack.allowAnySHA1InWant", "true")
    make_skill(origin.top / "skills", "tidy", "Second.")
    second = origin.commit("two")

    commits = [
        (await get(origin.url, path="skills/tidy", ref=ref)).commit
        for ref in (None, "v1", "old", origin.first)
    ]

    assert commits == [second, origin.first, origin.first, origin.first]


async def test_a_server_of_plain_files_will_do(origin: Origin) -> None:
    origin.git("update-server-info")
    handler = functools.partial(Quiet, directory=str(origin.top / ".git"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        fetched = await get(f"http://127.0.0.1:{server.server_port}/", path="skills/tidy")
        server.shutdown()

    assert fetched.commit == origin.first
    assert fetched.contents.data["run.sh"] == b"echo ran\n"


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, and says nothing of it."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


async def test_a_skill_may_be_the_repository_itself(origin: Origin) -> None:
    (origin.top / "SKILL.md").write_text("---\nname: origin\ndescription: It.\n---\n")
    origin.commit("two")

    assert "skills/tidy/SKILL.md" in (await get(origin.url)).contents.entries


async def test_where_there_is_none_it_is_said_where_there_are_some(origin: Origin) -> None:
    for source in (origin.url, str(origin.top)):
        with pytest.raises(SkillError, match=r"There are skills in: skills/tidy\. Choose one with"):
            await get(source)
    with pytest.raises(SkillError, match=r"git fetch failed: .*nowhere"):
        await get(origin.url, ref="nowhere")


@pytest.mark.parametrize(
    ("text", "more", "why"),
    [
        ("git@example.org:a/b.git", {}, "not fetched over ssh"),
        ("ssh://git@example.org/a", {}, "not fetched over ssh"),
        ("ext::sh -c id", {}, "is not a folder, and not a git address"),
        ("https://example.org/a b", {}, "is not an address of a git repository"),
        ("ftp://example.org/a", {}, "is not an address of a git repository"),
        ("https://example.org/a#x", {"path": "y"}, "given twice"),
        ("https://example.org/a", {"path": "../x"}, "is not a folder in the source"),
        ("https://example.org/a", {"path": ".git/hooks"}, "is not a folder in the source"),
        ("https://example.org/a", {"ref": "--upload-pack=id"}, "is not a branch, tag or commit"),
        ("/nowhere", {}, "is not a folder"),
        ("/tmp", {"ref": "main"}, "--ref is for git addresses"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_done(
    text: str, more: dict[str, str], why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        read_source(text, path=more.get("path"), ref=more.get("ref"), cwd=Path("/"))


def test_the_address_that_a_browser_shows_is_understood() -> None:
    source = read_source(
        "https://github.com/acme/skills/tree/main/tools/tidy", path=None, ref=None, cwd=Path("/")
    )

    assert (source.address, source.path, source.ref) == (
        "https://github.com/acme/skills",
        "tools/tidy",
        "main",
    )


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../etc/passwd", "../tidy/../../x"])
async def test_a_link_out_of_the_skill_is_refused(origin: Origin, target: str) -> None:
    os.symlink(target, origin.skill / "notes.md")
    origin.commit("two")

    for source in (origin.url, str(origin.top)):
        with pytest.raises(SkillError, match=r"notes\.md links out of the skill"):
            await get(source, path="skills/tidy")


async def test_nothing_of_a_repository_is_run(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    person = tmp_path / "person"
    (person / "template" / "hooks").mkdir(parents=True)
    hook = person / "template" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
    hook.chmod(0o755)
    (person / ".gitconfig").write_text(
        f"[init]\n\ttemplateDir = {person}/template\n"
        f'[filter "lfs"]\n\tsmudge = touch {ran}\n\trequired = true\n'
    )
    (origin.skill / ".gitattributes").write_text("*.sh filter=lfs\n")
    (origin.top / ".gitmodules").write_text(
        '[submodule "x"]\n\tpath = skills/tidy/x\n\turl = https://example.invalid/x\n'
    )
    origin.commit("two")
    monkeypatch.setenv("HOME", str(person))

    fetched = await get(origin.url, path="skills/tidy")

    assert fetched.contents.data["run.sh"] == b"echo ran\n"
    assert not ran.exists()


async def test_a_repository_over_http_is_reached_with_the_persons_key(
    origin: Origin,
    hub: tuple[str, Path, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, bare, heard = hub
    origin.git("push", "-q", str(bare), "main")
    person = tmp_path / "person"
    person.mkdir()
    (person / "keys").write_text(
        url.replace("http://", "http://ada:the%20key@").removesuffix("/mill.git")
    )
    (person / ".gitconfig").write_text(f"[credential]\n\thelper = store --file={person}/keys\n")
    monkeypatch.setenv("HOME", str(person))

    fetched = await get(url, path="skills/tidy")

    assert fetched.commit == origin.first
    assert heard[0].startswith("GET /mill.git/info/refs")


async def test_a_key_in_an_address_is_used_and_not_kept(
    origin: Origin, hub: tuple[str, Path, list[str]]
) -> None:
    url, bare, _heard = hub
    origin.git("push", "-q", str(bare), "main")
    keyed = url.replace("http://", "http://ada:the%20key@")

    fetched = await get(keyed, path="skills/tidy")

    assert fetched.source == url
    with pytest.raises(SkillError) as refused:
        await get(keyed, path="nowhere")
    assert "key" not in str(refused.value)


async def test_without_a_key_it_is_said_what_git_said(hub: tuple[str, Path, list[str]]) -> None:
    with pytest.raises(SkillError, match="git fetch failed: "):
        await get(hub[0])
