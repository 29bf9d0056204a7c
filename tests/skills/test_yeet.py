"""yeet: from the work tree to a draft pull request; without leave to push, to a link."""

from __future__ import annotations

import http.server
import json
import os
import runpy
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.agent.allowed import Allowed
from octavo.context.skills.roots import BUNDLED
from tests.agent import test_git_remote
from tests.scenarios.asking import Person
from tests.skills.driving import driving
from tests.skills.steps import Steps, commit, follow, git, run_script

hub = test_git_remote.hub
FORGES = {
    "git@github.com:ada/mill.git": "https://github.com/ada/mill/compare/main...a-b?expand=1",
    "https://ada:pw@github.com/ada/mill": "https://github.com/ada/mill/compare/main...a-b?expand=1",
    "ssh://git@github.acme.example:2222/ada/mill.git": (
        "https://github.acme.example/ada/mill/compare/main...a-b?expand=1"
    ),
    "https://gitlab.com/team/sub/mill.git": (
        "https://gitlab.com/team/sub/mill/-/merge_requests/new?merge_request%5Bsource_branch%5D=a-b"
        "&merge_request%5Btarget_branch%5D=main"
    ),
    "git@bitbucket.org:ada/mill.git": (
        "https://bitbucket.org/ada/mill/pull-requests/new?source=a-b&dest=main"
    ),
    "ssh://git@bitbucket.acme.example:7999/MILL/wheel.git": (
        "https://bitbucket.acme.example/projects/MILL/repos/wheel/pull-requests?create"
        "&sourceBranch=refs%2Fheads%2Fa-b&targetBranch=refs%2Fheads%2Fmain"
    ),
    "https://codeberg.org/ada/mill.git": "https://codeberg.org/ada/mill/compare/main...a-b",
    "git@ssh.dev.azure.com:v3/acme/mill/wheel": (
        "https://dev.azure.com/acme/mill/_git/wheel/pullrequestcreate?sourceRef=a-b&targetRef=main"
    ),
    "https://acme@dev.azure.com/acme/mill/_git/wheel": (
        "https://dev.azure.com/acme/mill/_git/wheel/pullrequestcreate?sourceRef=a-b&targetRef=main"
    ),
}


@pytest.fixture
def repository(workspace: Path) -> Path:
    """A repository on main, with a change that is not committed."""
    git(workspace, "branch", "-M", "main")
    commit(workspace, "Grind wheat", {"mill.py": "speed = 1\n"})
    (workspace / "mill.py").write_text("speed = 2\n")
    (workspace / "new file.txt").write_text("new\n")
    return workspace


@pytest.fixture
def body(repository: Path) -> Iterator[Path]:
    """Where the text of the pull request is written."""
    path = Path("/tmp") / f"pr-{repository.parent.name}.md"
    yield path
    path.unlink(missing_ok=True)


def asked_for(steps: Steps, body_file: Path) -> list[str]:
    """The commands up to the push, filled in."""
    values = {"branch": "grind-twice", "title": "The mill grinds twice as fast", "body": "Bread."}
    body_file.write_text("## What\nFaster.\n")
    return [
        steps("preflight.py"),
        steps("git diff HEAD"),
        steps("git log"),
        steps("git switch", **values),
        steps("git add"),
        steps("git commit", **values),
        steps("git push", **values),
    ]


def pull_request(steps: Steps, words: str, body_file: Path) -> str:
    values = {"title": "The mill grinds twice as fast", "base": "main", "head": "grind-twice"}
    return steps(words, **values, branch="grind-twice", body_file=str(body_file))


class GitHub(http.server.BaseHTTPRequestHandler):
    """What of GitHub's REST interface a pull request needs."""

    heard: list[tuple[str, str, str, Any]]
    opened: list[dict[str, str]]

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:  # the name that the library calls
        self._answer(200, self.opened)

    def do_POST(self) -> None:  # the name that the library calls
        self.opened.append({"html_url": "https://github.example/ada/mill/pull/7"})
        self._answer(201, self.opened[-1])

    def _answer(self, status: int, answer: Any) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = json.loads(body) if body else None
        key = str(self.headers.get("Authorization"))
        self.heard.append((self.command, self.path, key, said))
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def github() -> Iterator[tuple[str, list[tuple[str, str, str, Any]]]]:
    """The address of a stand-in for GitHub, and what it was asked."""
    heard: list[tuple[str, str, str, Any]] = []
    handler = type("Handler", (GitHub,), {"heard": heard, "opened": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", heard
    server.shutdown()
    server.server_close()


@pytest.mark.anyio
async def test_the_model_commits_pushes_and_opens_a_draft_over_rest(
    repository: Path,
    hub: tuple[str, Path, list[str]],
    github: tuple[str, list[tuple[str, str, str, Any]]],
    body: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (url, bare, _), (api, heard) = hub, github
    url, bare = url.replace("/mill", "/ada/mill"), bare.parent / "ada" / "mill.git"
    bare.parent.mkdir()
    (bare.parent.parent / "mill.git").rename(bare)
    home = repository.parent / "home"
    home.mkdir()
    port = url.split("/")[2]
    (home / "keys").write_text(f"http://ada:the%20key@{port}\nhttps://ada:rest-key@127.0.0.1\n")
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Ada\n\temail = ada@example.invalid\n"
        f'[credential]\n\thelper = "store --file={home / "keys"}"\n'
    )
    monkeypatch.setenv("HOME", str(home))
    git(repository, "remote", "add", "origin", url)
    steps = Steps("yeet")
    draft = pull_request(steps, "open_draft.py", body) + f" --api {api}"
    script = follow(
        *asked_for(steps, body),
        {"cmd": draft, "sandbox_permissions": "require_escalated", "justification": "Draft?"},
        ends=lambda outputs: outputs[-1].splitlines()[-1],
    )
    person = Person("accept")

    async with driving(
        "yeet", script, repository, alone=False, answer=person, allowed=Allowed(push=True)
    ) as drive:
        await drive.turn("$yeet")

    outputs = drive.outputs()
    assert "on base   yes" in outputs[0]
    assert "STOP" not in outputs[0]
    assert all("exited with code 0" in output for output in outputs), outputs
    assert git(bare, "log", "--format=%s|%b", "grind-twice").splitlines()[0] == (
        "The mill grinds twice as fast|Bread."
    )
    assert git(bare, "show", "--name-only", "--format=", "grind-twice").splitlines() == [
        "mill.py",
        "new file.txt",
    ]
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "log", "--format=%s", "main") == "Grind wheat"
    [asked] = person.asked
    assert "open_draft.py" in str(asked["command"])
    [looked, made] = heard
    assert looked[1] == "/repos/ada/mill/pulls?state=open&head=ada%3Agrind-twice&base=main"
    assert made[3]["draft"] is True
    assert made[3]["base"] == "main"
    assert made[3]["title"] == "The mill grinds twice as fast"
    assert made[3]["body"] == "## What\nFaster.\n"
    assert made[2] == "Bearer rest-key"
    assert "https://github.example/ada/mill/pull/7" in outputs[-1]
    assert "rest-key" not in str(outputs)
    assert "the key" not in str(outputs)


@pytest.mark.anyio
async def test_without_leave_to_push_it_ends_with_the_commit_and_the_compare_link(
    repository: Path, body: Path
) -> None:
    git(repository, "remote", "add", "origin", "git@github.com:ada/mill.git")
    steps = Steps("yeet")
    commands = asked_for(steps, body)
    script = follow(
        *commands,
        pull_request(steps, "compare_link.py", body),
        ends=lambda outputs: outputs[-1].splitlines()[-1],
    )

    async with driving("yeet", script, repository, start=False) as drive:
        await drive.play.start(approval_policy="never")
        await drive.turn("$yeet")

    outputs = drive.outputs()
    assert "exited with code 0" not in outputs[-2]
    assert git(repository, "log", "-1", "--format=%s") == "The mill grinds twice as fast"
    assert git(repository, "branch", "--show-current") == "grind-twice"
    assert "https://github.com/ada/mill/compare/main...grind-twice?expand=1" in outputs[-1]
    assert "## Without a push" in drive.skill_text()


@pytest.mark.anyio
async def test_gh_is_asked_for_a_draft_with_the_words_of_the_skill(
    repository: Path, body: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = repository.parent / "tools"
    tools.mkdir()
    (tools / "gh").write_text('#!/bin/sh\nfor word; do echo "[$word]"; done\n')
    (tools / "gh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    steps = Steps("yeet")
    commands = asked_for(steps, body)
    # Not gh itself, so it is run as any program is that a person allowed out of the sandbox.
    leave = {"sandbox_permissions": "require_escalated", "justification": "Open a draft?"}
    script = follow({"cmd": pull_request(steps, "gh pr create", body), **leave})

    async with driving("yeet", script, repository, alone=False, answer=Person("accept")) as drive:
        await drive.turn("$yeet")

    words = "pr create --draft --title".split()
    said = "".join(f"[{word}]\n" for word in (*words, "The mill grinds twice as fast"))
    assert said in drive.outputs()[0]
    assert "[--base]\n[main]\n[--head]\n[grind-twice]" in drive.outputs()[0]
    pull_request(steps, "open_draft.py", body)
    pull_request(steps, "compare_link.py", body)
    assert commands
    assert steps.not_run == []


# ---- preflight.py --------------------------------------------------------------------------


def preflight(where: Path) -> tuple[int, str]:
    done = run_script("yeet", "preflight.py", cwd=where)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("app.py", "KEY = 1\napi_key = 'q8Zr2mWx71TbLp0V'\n", "app.py:2: looks like a value"),
        ("id_rsa", "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n", "id_rsa:1: looks like a private"),
        (".env", "A=1\n", ".env: a file of this name holds keys"),
        ("x.md", "a\n<<<<<<< HEAD\nb\n=======\nc\n>>>>>>> x\n", "x.md:2: a conflict's markers"),
        ("db.py", "u = 'postgres://ada:s3cr3tWord@db/x'\n", "db.py:1: looks like a password"),
        ("big.bin", "x" * 5_000_001, "big.bin: 5.0 MB"),
    ],
)
def test_what_must_not_be_committed_stops_it_and_no_value_is_shown(
    repository: Path, name: str, text: str, says: str
) -> None:
    (repository / name).write_text(text)

    status, said = preflight(repository)

    assert status == 1
    assert f"STOP      {says}" in said
    assert "q8Zr2m" not in said
    assert "s3cr3t" not in said


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".env.example", "API_KEY=\n"),
        ("app.py", "token = os.environ['TOKEN_1']\npassword: str = field(default=None)\n"),
        ("doc.md", "Set `api_key = <your key>`, then https://user:pw@host.\n\n=======\n"),
        ("app.ts", "const token = getToken(request2);\n"),
    ],
)
def test_what_only_looks_like_a_key_does_not_stop_it(
    repository: Path, name: str, text: str
) -> None:
    (repository / name).write_text(text)

    assert preflight(repository)[0] == 0


def test_the_base_branch_is_the_remotes_own_and_work_under_way_is_seen(repository: Path) -> None:
    git(repository, "remote", "add", "origin", "https://ada:hidden@github.com/ada/mill.git")
    git(repository, "update-ref", "refs/remotes/origin/trunk", "HEAD")
    git(repository, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
    (repository / ".git" / "MERGE_HEAD").write_text(git(repository, "rev-parse", "HEAD"))

    status, said = preflight(repository)

    assert status == 1
    assert "STOP      a merge is under way" in said
    assert "base      trunk" in said
    assert "on base   no" in said
    assert "origin https://github.com/ada/mill.git" in said
    assert "hidden" not in said


def test_without_a_repository_or_a_remote_it_says_so(repository: Path, tmp_path: Path) -> None:
    assert "remote    (none: commit, and stop there)" in preflight(repository)[1]
    assert preflight(tmp_path) == (2, "This is no git repository with a work tree.\n")


# ---- compare_link.py, open_draft.py --------------------------------------------------------


@pytest.mark.parametrize("url", FORGES)
def test_the_compare_page_of_each_forge_is_known(url: str, tmp_path: Path) -> None:
    words = ("--url", url, "--base", "main", "--head", "a-b")

    done = run_script("yeet", "compare_link.py", *words, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (0, FORGES[url] + "\n"), done.stderr


@pytest.mark.parametrize(
    "url", ["/srv/mill.git", "../mill", "file:///srv/mill.git", "https://example.org/ada/mill"]
)
def test_an_address_that_says_no_forge_is_told(url: str, tmp_path: Path) -> None:
    words = ("--url", url, "--base", "main", "--head", "a-b")

    done = run_script("yeet", "compare_link.py", *words, cwd=tmp_path)

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr


LINK = runpy.run_path(str(BUNDLED / "yeet" / "scripts" / "compare_link.py"))
NAME = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,12}", fullmatch=True)
BRANCH = st.from_regex(r"[\w/.#&?=+é-]{1,20}", fullmatch=True)


@given(
    st.sampled_from(["github.com", "git.gitlab.example", "bitbucket.org"]),
    NAME,
    NAME,
    BRANCH,
    BRANCH,
)
def test_ssh_and_https_addresses_of_a_repository_lead_to_one_page(
    host: str, owner: str, name: str, branch: str, base: str
) -> None:
    pages = set()
    for form in (
        "https://{h}/{o}/{n}.git", "https://{h}/{o}/{n}/", "git@{h}:{o}/{n}.git",
        "ssh://git@{h}:22/{o}/{n}.git", "https://user:word@{h}/{o}/{n}", "{h}:{o}/{n}",
    ):  # fmt: skip
        place = LINK["place_of"](form.format(h=host, o=owner, n=name))
        pages.add(LINK["link"](place, LINK["kind_of"](place), base, branch))
    [page] = pages
    assert page.startswith(f"https://{host}/{owner}/{name}")
    assert "user:word@" not in page
    assert page.isascii()
    assert " " not in page
    assert page.count("#") == 0


@given(st.text(max_size=60) | st.from_regex(r"[a-z]{2,5}://[^ ]{0,30}", fullmatch=True))
def test_any_other_text_is_refused_or_gives_a_page_on_https(url: str) -> None:
    try:
        place = LINK["place_of"](url)
        page = LINK["link"](place, "github", "main", "x")
    except LINK["Unknown"]:
        return
    assert page.startswith("https://")
    assert page.isprintable()
    assert " " not in page


def drafting(where: Path, *words: str, **env: str) -> tuple[int, str]:
    """Run open_draft.py for a branch a/b, in an environment of its own."""
    body = Path("/tmp") / f"pr-{where.parent.name}.md"
    body.write_text("x")
    given = ["--title", "T", "--body-file", str(body), "--base", "main", "--head", "a/b", *words]
    env = {"PATH": os.environ["PATH"], "HOME": str(where.parent), **env}
    done = run_script("yeet", "open_draft.py", *given, cwd=where, env=env)
    body.unlink()
    return done.returncode, done.stdout + done.stderr


ENTERPRISE = {"GH_HOST": "127.0.0.1", "GH_ENTERPRISE_TOKEN": "key-of-ada"}


def test_a_pull_request_that_is_open_is_named_and_none_is_opened(
    repository: Path, github: tuple[str, list[tuple[str, str, str, Any]]]
) -> None:
    api, heard = github
    git(repository, "remote", "add", "origin", "ssh://git@127.0.0.1/ada/mill.git")

    first = drafting(repository, "--api", api, **ENTERPRISE)
    second = drafting(repository, "--api", api, **ENTERPRISE)

    assert first == (0, "https://github.example/ada/mill/pull/7\n")
    assert second == (0, "already open: https://github.example/ada/mill/pull/7\n")
    assert [one[:2] for one in heard] == [
        ("GET", "/repos/ada/mill/pulls?state=open&head=ada%3Aa/b&base=main"),
        ("POST", "/repos/ada/mill/pulls"),
        ("GET", "/repos/ada/mill/pulls?state=open&head=ada%3Aa/b&base=main"),
    ]


@pytest.mark.parametrize(
    ("remote", "api", "says"),
    [
        ("git@github.com:ada/mill.git", "{api}", "is not on github.com"),
        ("git@github.com:ada/mill.git", "http://api.github.com", "not on https"),
        ("https://evil.example/ada/mill", "https://api.github.com", "is not on evil.example"),
        ("https://evil.example/ada/mill", "https://evil.example", "no key for evil.example"),
        ("https://127.0.0.1/ada/mill", "{api}", "no key for 127.0.0.1"),
        ("/srv/mill", "{api}", "is no repository of GitHub"),
    ],
)
def test_a_key_goes_to_its_own_host_and_nowhere_else(
    repository: Path,
    github: tuple[str, list[tuple[str, str, str, Any]]],
    remote: str,
    api: str,
    says: str,
) -> None:
    git(repository, "remote", "add", "origin", remote)

    status, said = drafting(repository, "--api", api.format(api=github[0]), GH_TOKEN="key-of-ada")

    assert status == 1
    assert says in said
    assert github[1] == []


def test_a_hostile_repository_has_nothing_run_when_the_key_is_looked_for(
    repository: Path, github: tuple[str, list[tuple[str, str, str, Any]]]
) -> None:
    mark = repository.parent / "ran"
    tools = repository / "bin"
    tools.mkdir()
    (tools / "git").write_text(f"#!/bin/sh\ntouch {mark}\n")
    (tools / "git").chmod(0o755)
    git(repository, "remote", "add", "origin", "https://127.0.0.1/ada/mill")
    for name in ("credential.helper", "core.fsmonitor", "core.askPass", "core.pager"):
        git(repository, "config", name, f"!touch {mark}" if "helper" in name else f"touch {mark}")

    path = f"{tools}:{os.environ['PATH']}"
    status, said = drafting(repository, "--api", github[0], PATH=path)

    assert status == 1
    assert "no key for 127.0.0.1" in said
    assert not mark.exists()


def test_a_file_from_elsewhere_is_not_published(
    repository: Path, github: tuple[str, list[tuple[str, str, str, Any]]]
) -> None:
    git(repository, "remote", "add", "origin", "https://127.0.0.1/ada/mill")
    (repository.parent / "secret").write_text("x")
    (repository / "link.md").symlink_to(repository.parent / "secret")
    (repository / "key.md").write_text("-----BEGIN RSA PRIVATE KEY-----\n")

    for name, says in (
        ("link.md", "neither in the repository"),
        ("../secret", "neither in the repository"),
        ("key.md", "holds a private key"),
        ("none.md", "cannot be read"),
    ):
        more = ("--body-file", name)
        status, said = drafting(repository, "--api", github[0], *more, **ENTERPRISE)
        assert status == 1
        assert says in said
    assert github[1] == []
