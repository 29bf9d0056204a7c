"""One configured server, made exact: how it is reached, and the cage it runs in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec
from msgspec.structs import replace

from octavo.config.settings import ApprovalMode, McpServer
from octavo.mcp.words import Http, Stdio
from octavo.protocol.errors import ConfigError
from octavo.sandbox import Mode, Policy
from octavo.sandbox.server_policy import ServerDoor, server_cage

STARTUP_TIMEOUT_S = 10.0
TOOL_TIMEOUT_S = 60.0

_SECRET = ("*KEY*", "*SECRET*", "*TOKEN*", "*PASSWORD*", "*CREDENTIAL*")
_CORE = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ")


class Spec(msgspec.Struct, frozen=True):
    """A server as it is to run.

    Attributes:
        to: how it is reached.
        policy, env, home: of the cage; the home has to be made first.
        reaches: patterns of the hosts it reaches; none is no network at all.
        has_secret: the person gave it a key, so what it says may be nobody else's business.
        digest: stands for what the server is; another one is another server.
    """

    name: str
    config: McpServer
    to: Stdio | Http
    policy: Policy
    env: Mapping[str, str]
    home: Path
    reaches: tuple[str, ...]
    has_secret: bool
    digest: str

    @property
    def startup_timeout_s(self) -> float:
        if self.config.startup_timeout_sec is not None:
            return self.config.startup_timeout_sec
        if self.config.startup_timeout_ms is not None:
            return self.config.startup_timeout_ms / 1000
        return STARTUP_TIMEOUT_S

    @property
    def tool_timeout_s(self) -> float:
        return self.config.tool_timeout_sec or TOOL_TIMEOUT_S

    def offers(self, tool: str) -> bool:
        """Return whether the person wants this tool of it at all."""
        if self.config.enabled_tools is not None and tool not in self.config.enabled_tools:
            return False
        return tool not in self.config.disabled_tools

    def approval_mode(self, tool: str) -> ApprovalMode:
        """Return when this tool is asked about."""
        own = self.config.tools.get(tool)
        if own is not None and own.approval_mode is not None:
            return own.approval_mode
        return self.config.default_tools_approval_mode


def make_spec(
    name: str,
    config: McpServer,
    *,
    policy: Policy,
    octavo_home: Path,
    environ: Mapping[str, str],
    is_own: bool = True,
) -> Spec:
    """Return how server `name` is run for a thread whose commands run under `policy`.

    A program writes where the thread's commands may write in the workspace, and is denied what they
    are denied. A URL's host process writes nothing.

    `npx`, `python -m` and many others take their program from the directory they are started in,
    before any other. So what a person gave a key or a network is not started in a repository, whose
    program would get them, unless it is the repository's own or `cwd` says so.

    Args:
        is_own: it is named by the person's settings, and not by the repository's.

    Raises:
        ConfigError: the settings make no sense; says what to do.
    """
    if (config.command is None) == (config.url is None):
        raise ConfigError(
            f"mcp_servers.{name} needs either `command` or `url`.",
            hint="`command` is a program that speaks over its pipes, `url` a service.",
        )
    to: Stdio | Http
    if config.url is not None:
        hosts = (_host_of(name, config.url), *config.network)
        door = ServerDoor(network=hosts)
        to = Http(config.url, _headers(name, config, environ))
    else:
        hosts = config.network
        writes = policy.mode is not Mode.READ_ONLY and policy.write_cwd
        door = ServerDoor(hosts, config.env_vars, config.env, writes_workspace=writes)
        to = Stdio("", (), "", {})
    cage = server_cage(name, door, workspace=policy.cwd, octavo_home=octavo_home, environ=environ)
    has_secret = bool(
        config.bearer_token_env_var
        or config.env_http_headers
        or config.http_headers
        or any(_names_secret(name) for name in (*config.env_vars, *config.env))
    )
    if isinstance(to, Stdio):
        assert config.command is not None
        is_given = has_secret or bool(hosts)
        is_apart = is_own and is_given and config.cwd is None
        cwd = cage.home if is_apart else policy.cwd / (config.cwd or "")
        to = Stdio(config.command, config.args, str(cwd), cage.env)
    network = cage.policy.network
    if config.url is not None:  # that host is meant, also where it is at a private address
        network = replace(network, allow_local=hosts[:1])
    # What a person denied the thread is denied to its servers as well.
    caged = replace(
        cage.policy,
        network=replace(network, deny=policy.network.deny),
        deny_read=(*policy.deny_read, *cage.policy.deny_read),
        deny_globs=(*policy.deny_globs, *cage.policy.deny_globs),
        read_only=policy.read_only,
        limits=policy.limits,
        mode=Mode.EXTERNAL if policy.mode is Mode.EXTERNAL else cage.policy.mode,
    )
    core = {key: environ[key] for key in _CORE if key in environ}
    env = {**core, "HOME": str(cage.home), "TMPDIR": "/tmp"}
    return Spec(name, config, to, caged, env, cage.home, hosts, has_secret, digest_of(config))


def digest_of(config: McpServer) -> str:
    """Return the hash that a server is told apart by: what it runs, or where it is."""
    what = (config.command, config.args, config.cwd, config.url)
    return hashlib.sha256(msgspec.json.encode(what)).hexdigest()


def _names_secret(variable: str) -> bool:
    return any(fnmatchcase(variable.upper(), pattern) for pattern in _SECRET)


def _headers(name: str, config: McpServer, environ: Mapping[str, str]) -> dict[str, str]:
    headers = dict(config.http_headers)
    for header, variable in config.env_http_headers.items():
        if variable in environ:  # as Codex does: a header without a value is left out
            headers[header] = environ[variable]
    if config.bearer_token_env_var is not None:
        token = environ.get(config.bearer_token_env_var)
        if not token:
            raise ConfigError(
                f"mcp_servers.{name}: the environment variable {config.bearer_token_env_var}, which"
                " holds its token, is not set.",
                hint="Set it, or take bearer_token_env_var out.",
            )
        headers["Authorization"] = f"Bearer {token}"
    for header, value in headers.items():
        if not (header.isascii() and header.replace("-", "").replace("_", "").isalnum()):
            raise ConfigError(f"mcp_servers.{name}: {header!r} cannot be a header's name.")
        if not value.isascii() or not value.isprintable():
            raise ConfigError(f"mcp_servers.{name}: the value of {header} cannot be sent.")
    return headers


def _host_of(name: str, url: str) -> str:
    """Return the pattern of the one host that a URL is about, with its port."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise ConfigError(
            f"mcp_servers.{name}: {url!r} is not a URL that can be used.",
            hint="It begins with https:// or http:// and names no user.",
        )
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port or (443 if parts.scheme == 'https' else 80)}"
