"""`octavo mcp login` and `logout`: tokens of a server over HTTP, got and taken back by a person."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from pathlib import Path

from octavo.cli.asking import ask
from octavo.cli.shared import working_directory
from octavo.protocol import mcp as p
from octavo.protocol.notifications import McpOauthLoginCompleted
from octavo.protocol.visible import visible_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.client import Client

EXIT_FAILED = 1


def log_in(args: Namespace) -> int:
    """Show the page to log in at, and wait until the person has been there."""
    scopes = None
    if args.scopes is not None:
        scopes = tuple(scope for scope in args.scopes.replace(",", " ").split() if scope)
    params = p.McpOauthLoginParams(args.name, scopes, cwd=str(working_directory(args.cd)))

    async def logged_in(client: Client) -> str | None:
        begun = await client.call(p.MCP_OAUTH_LOGIN, params)
        _show(args.name, begun)
        if not args.no_browser:
            _open(begun.authorization_url)
        async for told in client.notifications():
            if isinstance(told, McpOauthLoginCompleted) and told.login_id == begun.login_id:
                return None if told.success else told.error or "The login failed."
        return "The login was ended."

    error = ask(logged_in)
    if error is not None:
        print(f"Not logged in at {args.name}. {visible_line(error)}", file=sys.stderr)
        return EXIT_FAILED
    print(f"Logged in at {args.name}.")
    return 0


def log_out(args: Namespace) -> int:
    """Forget the tokens, and have them revoked."""
    params = p.McpLogoutParams(args.name, str(working_directory(args.cd)))
    done = ask(lambda client: client.call(p.MCP_LOGOUT, params))
    if not done.was_logged_in:
        print(f"You are not logged in at {args.name}.")
        return 0
    print(f"Logged out of {args.name}.")
    if done.warning is not None:
        print(f"Its tokens were forgotten here, not revoked. {done.warning}", file=sys.stderr)
    return 0


def forget(server: str, home: Path) -> None:
    """Forget the logins at a server that is not configured any more."""
    from octavo.mcp.oauth.store import Logins

    if Logins(home).forget_all(server):
        print(f"Its login was forgotten here, not revoked: `octavo mcp logout {server}` does both.")


def _show(name: str, begun: p.McpOauthLoginResult) -> None:
    print(f"To log in at {name}, open this page:\n\n  {visible_line(begun.authorization_url)}\n")
    print(f"octavo speaks only with {visible_line(', '.join(begun.octavo_hosts))}.")
    print("It waits for your browser to come back; Ctrl-C ends that.", flush=True)


def _open(url: str) -> None:
    """Open a page in the person's browser, where there is one with windows."""
    if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        return
    if sys.platform == "darwin":
        import subprocess

        subprocess.run(["/usr/bin/open", url], check=False)
    elif os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        import webbrowser

        webbrowser.open(url)
