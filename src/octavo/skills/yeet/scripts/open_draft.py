"""Open a draft pull request on GitHub over REST, and print its address.

For machines without `gh`. The key is the one in GH_TOKEN or GITHUB_TOKEN (for another host than
github.com GH_ENTERPRISE_TOKEN, with GH_HOST), else what the person's own credential helper of git
knows for the remote's host. It is sent to that host's API alone and never printed. This runs out of
the sandbox, in a repository that may be hostile: no setting of the repository has a program run or
chooses where the key goes, and the text comes from the repository or a temporary folder.

Where a pull request of this branch is open already, its address is printed instead.

Exit: 0 the pull request is there · 1 it is not, and why · 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

TIMEOUT_S = 30
BODY_BYTES = 64_000
LIMIT_BYTES = 4_000_000
ADDRESS = re.compile(
    r"(?:(?:https?|ssh|git)://(?:[^@/\s]*@)?(?P<host>[\w.-]+)(?::\d+)?/|(?:[\w.-]+@)(?P<scp>[\w.-]+):)"
    r"/?(?P<owner>\w[\w.-]*)/(?P<name>\w[\w.-]*?)(?:\.git)?/?"
)


class Failed(Exception):
    """There is no pull request; the message says why."""


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nothing: the key is for one host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def git(words: list[str], *, cwd: str, asked: str = "") -> subprocess.CompletedProcess[str]:
    """Run the git that is not in this repository. Raises Failed where there is none."""
    own = os.path.join(os.path.realpath("."), "")
    places = [
        place
        for place in os.environ.get("PATH", os.defpath).split(os.pathsep)
        if os.path.isabs(place) and not os.path.join(os.path.realpath(place), "").startswith(own)
    ]
    program = shutil.which("git", path=os.pathsep.join(places))
    if program is None:
        raise Failed("There is no git.")
    env = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    env |= {"PATH": os.pathsep.join(places), "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": ""}
    env |= {"SSH_ASKPASS": ""}
    return subprocess.run(
        [program, *words], input=asked, text=True, capture_output=True, check=False,
        timeout=TIMEOUT_S, env=env, cwd=cwd,
    )  # fmt: skip


def token_for(host: str) -> str:
    """Return the person's key for `host`. Raises Failed if there is none."""
    names = ["GH_TOKEN", "GITHUB_TOKEN"] if host == "github.com" else []
    if host == os.environ.get("GH_HOST", "").lower():
        names = ["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"]
    for name in names:
        if found := os.environ.get(name, "").strip():
            return found
    try:  # at the root, where there is no repository whose settings would count
        done = git(["credential", "fill"], cwd="/", asked=f"protocol=https\nhost={host}\n\n")
    except (OSError, subprocess.TimeoutExpired):
        raise Failed("git's credential helper does not answer.") from None
    for line in done.stdout.splitlines() if done.returncode == 0 else ():
        if line.startswith("password="):
            return line.removeprefix("password=")
    tried = ", ".join(names) or "the environment"
    raise Failed(f"There is no key for {host}: neither {tried} nor git's helper has one.")


def text_of(path: Path) -> str:
    """Return the text of the pull request. Raises Failed where it is from somewhere else."""
    real = Path(os.path.realpath(path))
    roots = [Path(os.path.realpath(one)) for one in (".", tempfile.gettempdir(), "/tmp")]
    if not any(root in real.parents for root in roots):
        raise Failed(f"{path} is neither in the repository nor in a temporary folder.")
    try:
        with real.open("rb") as file:
            data = file.read(BODY_BYTES + 1)
    except OSError as error:
        raise Failed(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > BODY_BYTES or b"PRIVATE KEY-----" in data:
        raise Failed(f"{path} is too long, or holds a private key.")
    return data.decode("utf-8", "replace")


def ask(method: str, url: str, token: str, body: dict[str, Any] | None = None) -> Any:
    """Ask the API. Raises Failed with what GitHub says."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, method=method)
    request.add_header("Authorization", f"Bearer {token}")
    request.add_header("Accept", "application/vnd.github+json")
    request.add_header("Content-Type", "application/json")
    request.add_header("User-Agent", "octavo-yeet")
    try:
        opener = urllib.request.build_opener(NoRedirect)
        with opener.open(request, timeout=TIMEOUT_S) as reply:
            return json.loads(reply.read(LIMIT_BYTES))
    except urllib.error.HTTPError as error:
        said = error.read(LIMIT_BYTES).decode("utf-8", "replace")
        try:
            answer = json.loads(said)
            details = [one.get("message", "") for one in answer.get("errors", ())]
            said = " ".join([str(answer.get("message", "")), *details])
        except (ValueError, AttributeError, TypeError):
            said = said[:300]
        raise Failed(f"GitHub answered {error.code}: {said.strip()}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise Failed(f"{urlsplit(url).netloc} cannot be reached: {reason}") from None


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Open a draft pull request on GitHub.")
    parser.add_argument("--title", required=True)
    parser.add_argument("--body-file", required=True, type=Path)
    parser.add_argument("--base", required=True)
    parser.add_argument("--head", required=True)
    parser.add_argument("--remote", default="origin")
    parser.add_argument("--api", help="address of the API (default: that of the remote's host)")
    options = parser.parse_args(argv)
    try:
        print(open_draft(options))
    except Failed as failed:
        print(failed, file=sys.stderr)
        return 1
    return 0


def open_draft(options: argparse.Namespace) -> str:
    """Return the address of the branch's pull request, opened if there was none."""
    asked = ["remote", "get-url", "--push", "--", options.remote]
    url = git(asked, cwd=os.getcwd()).stdout.strip()
    found = ADDRESS.fullmatch(url)
    if found is None:
        raise Failed(f"The remote {options.remote!r} is no repository of GitHub.")
    host = (found["host"] or found["scp"]).lower()
    api = options.api or (
        "https://api.github.com" if host == "github.com" else f"https://{host}/api/v3"
    )
    parts = urlsplit(api)
    if parts.hostname != ("api.github.com" if host == "github.com" else host.partition(":")[0]):
        raise Failed(f"The API is not on {host}, so its key is not sent there.")
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost"):
        raise Failed("The API is not on https, so no key is sent there.")
    text = text_of(options.body_file)
    token = token_for(host)
    pulls = f"{api.rstrip('/')}/repos/{found['owner']}/{found['name']}/pulls"
    head, base = f"{found['owner']}:{options.head}", options.base
    opened = ask("GET", f"{pulls}?state=open&head={quote(head)}&base={quote(base)}", token)
    if isinstance(opened, list) and opened:
        return f"already open: {opened[0].get('html_url')}"
    body = {
        "title": options.title,
        "body": text,
        "head": options.head,
        "base": base,
        "draft": True,
    }
    made = ask("POST", pulls, token, body)
    return str(made.get("html_url"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
