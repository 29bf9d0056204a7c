"""Print the page on which a person opens a pull request for a branch, from a remote's address.

    git@github.com:ada/mill.git  main  mend-leak
        →  https://github.com/ada/mill/compare/main...mend-leak?expand=1

Knows GitHub, GitLab, Bitbucket (cloud and server), Gitea with Forgejo and Codeberg, and Azure
DevOps by their hosts; a host of nobody's is told by `--kind`. Nothing is asked over the network.

Exit: 0 printed · 1 the address says no forge that is known · 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from typing import NamedTuple
from urllib.parse import quote, urlencode, urlsplit

KINDS = ("github", "gitlab", "bitbucket", "bitbucket-server", "gitea", "azure")
SCP = re.compile(r"(?:[\w.+-]+@)?(?P<host>[\w.-]+|\[[0-9a-fA-F:]+\]):(?!//)(?P<path>.+)")


class Place(NamedTuple):
    """A repository on a forge: its host with the port of its web pages, and its path there."""

    host: str
    path: str


class Unknown(Exception):
    """The address leads to no forge that is known."""


def place_of(url: str) -> Place:
    """Take a remote's address apart. User, password and ssh's port are left out.

    Raises:
        Unknown: it is a path, or no address.
    """
    url = url.strip()
    if any(char.isspace() or not char.isprintable() for char in url):
        raise Unknown("The remote's address has blanks or control characters in it.")
    if "://" in url:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise Unknown(f"The remote's address makes no sense: {error}.") from None
        if parts.scheme not in ("http", "https", "ssh", "git", "git+ssh") or not parts.hostname:
            raise Unknown(f"The remote is no address of a forge ({parts.scheme}).")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        if port is not None and parts.scheme in ("http", "https") and port not in (80, 443):
            host = f"{host}:{port}"
        path = parts.path
    elif match := SCP.fullmatch(url):
        host, path = match["host"].lower(), match["path"]
    else:
        raise Unknown("The remote is a folder of this machine, so there is no page for it.")
    path = path.strip("/").removesuffix(".git").strip("/")
    if "/" not in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise Unknown("The remote's address names no repository of an owner.")
    return Place(host, path)


def kind_of(place: Place) -> str:
    """Return which forge a host is. Raises Unknown where its name does not say."""
    name = place.host.partition(":")[0]
    if name in ("ssh.dev.azure.com", "dev.azure.com") or name.endswith(".visualstudio.com"):
        return "azure"
    if name == "bitbucket.org":
        return "bitbucket"
    labels = name.split(".")
    for kind, words in (
        ("github", ("github",)), ("gitlab", ("gitlab",)),
        ("bitbucket-server", ("bitbucket", "stash")), ("gitea", ("gitea", "forgejo", "codeberg")),
    ):  # fmt: skip
        if any(word in labels for word in words):
            return kind
    raise Unknown(f"{name} is no forge whose pages are known; give --kind if you know which it is.")


def link(place: Place, kind: str, base: str, head: str) -> str:
    """Return the page for a pull request from branch `head` into branch `base`."""
    top = f"https://{place.host}/{quote(place.path)}"
    into, of = quote(base, safe="/"), quote(head, safe="/")
    if kind == "github":
        return f"{top}/compare/{into}...{of}?expand=1"
    if kind == "gitlab":
        names = {"merge_request[source_branch]": head, "merge_request[target_branch]": base}
        return f"{top}/-/merge_requests/new?{urlencode(names)}"
    if kind == "bitbucket":
        return f"{top}/pull-requests/new?{urlencode({'source': head, 'dest': base})}"
    if kind == "gitea":
        return f"{top}/compare/{into}...{of}"
    if kind == "azure":
        return _azure(place, base, head)
    project, _, name = place.path.removeprefix("scm/").rpartition("/")
    folder = f"users/{project[1:]}" if project.startswith("~") else f"projects/{project}"
    names = {"sourceBranch": f"refs/heads/{head}", "targetBranch": f"refs/heads/{base}"}
    pages = f"https://{place.host}/{quote(folder)}/repos/{quote(name)}"
    return f"{pages}/pull-requests?create&{urlencode(names)}"


def _azure(place: Place, base: str, head: str) -> str:
    parts = [part for part in place.path.split("/") if part not in ("v3", "_git")]
    if len(parts) == 2:  # the project is named like its repository, or the owner is in the host
        parts = [parts[0], parts[1], parts[1]] if place.host == "dev.azure.com" else ["", *parts]
    if len(parts) != 3:
        raise Unknown("The address names no repository of Azure DevOps.")
    owner, project, name = map(quote, parts)
    host = "dev.azure.com" if place.host == "ssh.dev.azure.com" else place.host
    top = "/".join(part for part in (f"https://{host}", owner, project) if part)
    names = urlencode({"sourceRef": head, "targetRef": base})
    return f"{top}/_git/{name}/pullrequestcreate?{names}"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Print the page that opens a pull request.")
    parser.add_argument("--url", help="the remote's address (default: that of --remote)")
    parser.add_argument("--remote", default="origin")
    parser.add_argument("--base", required=True, help="the branch to merge into")
    parser.add_argument("--head", required=True, help="the branch with the changes")
    parser.add_argument("--kind", choices=KINDS)
    options = parser.parse_args(argv)
    url = options.url
    if url is None:
        asked = ["git", "remote", "get-url", "--push", "--", options.remote]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(f"There is no remote {options.remote!r}, so there is no page.", file=sys.stderr)
            return 1
        url = done.stdout.splitlines()[0]
    try:
        place = place_of(url)
        print(link(place, options.kind or kind_of(place), options.base, options.head))
    except Unknown as unknown:
        print(unknown, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
