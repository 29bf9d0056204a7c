"""A browser without a person, and a server that wants a login, for tests."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("oauth_serving.py")
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Guarded:
    """A server that wants a login.

    Attributes:
        url: of it.
        authority: of its authorization server.
    """

    def __init__(self, port: int, authority_port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/mcp"
        self.authority = f"http://127.0.0.1:{authority_port}"
        self.hosts = {f"127.0.0.1:{port}", f"127.0.0.1:{authority_port}"}

    @property
    def override(self) -> str:
        """A `-c` argument: it is configured as `web`."""
        return f'mcp_servers.web={{url="{self.url}"}}'

    def test(self, what: str) -> dict[str, Any]:
        """Do something at the authorization server, and return what it has seen."""
        found: dict[str, Any] = json.loads(get(f"{self.authority}/test/{what}")[1])
        return found


@contextmanager
def guarded() -> Iterator[Guarded]:
    """Run such a server."""
    command = [sys.executable, str(PROGRAM)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            port, authority_port = process.stdout.readline().split()
            yield Guarded(int(port), int(authority_port))
        finally:
            process.kill()


def get(url: str) -> tuple[int, str, str]:
    """Follow redirects; return the last page's status, its text, and where it was."""
    try:
        with _OPENER.open(url, timeout=20) as page:
            return page.status, page.read().decode(), page.url
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), url


def decide(authorization_url: str, decision: str = "allow") -> str:
    """Do what a person does in their browser; return the text of the last page."""
    status, text, consent = get(authorization_url)
    assert (status, text) == (200, "May octavo use this?"), text
    return get(f"{consent}&decision={decision}")[1]
