"""The checks of `octavo doctor`, each a question with an answer and a way to mend it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import anyio
import msgspec

from octavo.config.auth import read_key
from octavo.config.load import Loaded
from octavo.config.paths import auth_file, octavo_home
from octavo.model.keys import find_key, find_provider, masked, needs_key
from octavo.protocol.errors import ConfigError, OctavoError
from octavo.protocol.extras import install_command

_GIT_TIMEOUT_S = 10
_SANDBOX_TIMEOUT_S = 30.0
_SPACE_FAIL_BYTES = 50 << 20
_SPACE_WARN_BYTES = 500 << 20


class Check(msgspec.Struct, frozen=True):
    """One answer."""

    name: str
    status: Literal["ok", "warn", "fail"]
    said: str
    mend: str = ""


def check_all(load: Callable[[], Loaded], env: Mapping[str, str]) -> list[Check]:
    """Ask everything, in the order in which things depend on each other."""
    checks = [_python(), _git(env)]
    checks += _caught("Home", lambda: _home(octavo_home(env)))
    loaded: Loaded | None = None
    try:
        loaded = load()
    except OctavoError as error:
        checks.append(_failed("Settings", error))
    else:
        checks += _settings(loaded)
    checks += _caught("Sandbox", lambda: _sandbox(loaded))
    if loaded is not None:
        known = loaded
        checks += _caught("Key", lambda: _key(known, env))
        checks += _caught("Provider", lambda: _provider(known, env))
        checks += _servers(known)
    return checks


def _servers(loaded: Loaded) -> list[Check]:
    """Whether MCP servers of the settings can be spoken with; nothing where there are none."""
    names = [name for name, server in loaded.settings.mcp_servers.items() if server.enabled]
    if not names:
        return []
    if find_spec("mcp") is None:
        said = "The package mcp is not installed, so no MCP server can be used."
        return [Check("MCP", "warn", said, f"Install it: {install_command('mcp')}")]
    return [Check("MCP", "ok", f"servers {', '.join(names)}; `octavo mcp list` says more")]


def _caught(name: str, ask: Callable[[], Iterator[Check]]) -> list[Check]:
    try:
        return list(ask())
    except OctavoError as error:
        return [_failed(name, error)]


def _failed(name: str, error: OctavoError) -> Check:
    return Check(name, "fail", str(error.args[0]), error.hint or "")


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("Python", "ok", f"{version} ({sys.executable})")


def _git(env: Mapping[str, str]) -> Check:
    program = shutil.which("git", path=env.get("PATH"))
    mend = "Install git; without it octavo works only in directories you trust."
    if program is None:
        return Check("Git", "warn", "There is no git.", mend)
    try:
        finished = subprocess.run(
            [program, "--version"], capture_output=True, timeout=_GIT_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Check("Git", "warn", f"{program} does not run: {error}.", mend)
    said = finished.stdout.decode(errors="replace").strip()
    return Check("Git", "ok", f"{said.removeprefix('git version ')} ({program})")


def _home(home: Path) -> Iterator[Check]:
    place = home
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        yield Check(
            "Home",
            "fail",
            f"{home} cannot be written.",
            f"Make {place} writable, or set OCTAVO_HOME to a directory that is.",
        )
        return
    yield Check("Home", "ok", str(home) if place == home else f"{home} (made when needed)")
    keys = auth_file(home)
    if keys.exists() and keys.stat().st_mode & 0o077:
        yield Check(
            "Home", "warn", f"Others on this machine can read {keys}.", f"Run: chmod 600 {keys}"
        )
    free_bytes = shutil.disk_usage(place).free
    said = f"{free_bytes / (1 << 30):.1f} GiB free"
    if free_bytes < _SPACE_WARN_BYTES:
        status: Literal["warn", "fail"] = "fail" if free_bytes < _SPACE_FAIL_BYTES else "warn"
        yield Check("Disk", status, said, f"Make room on the disk that holds {place}.")
    else:
        yield Check("Disk", "ok", said)


def _settings(loaded: Loaded) -> Iterator[Check]:
    for warning in loaded.warnings:
        yield Check("Settings", "warn", warning)
    if not loaded.warnings:
        files = ", ".join(map(str, loaded.files))
        yield Check("Settings", "ok", files or "no file; every value is its default")


def _sandbox(loaded: Loaded | None) -> Iterator[Check]:
    from octavo.sandbox import Mode, Policy, Report, open_sandbox

    mode = None if loaded is None else loaded.settings.sandbox_mode
    if mode in ("danger-full-access", "external"):
        said = "Commands are not confined, because sandbox_mode is danger-full-access."
        if mode == "external":
            said = "This machine itself is the sandbox: octavo adds none (sandbox_mode = external)."
        yield Check("Sandbox", "warn", said, "`octavo config show` tells where that is set.")
        return

    async def prove() -> Report:
        with anyio.fail_after(_SANDBOX_TIMEOUT_S):
            async with open_sandbox(Policy(Mode.WORKSPACE_WRITE, Path.cwd())) as sandbox:
                return await sandbox.ready()

    try:
        report = anyio.run(prove)
    except TimeoutError:
        yield Check("Sandbox", "fail", f"It did not start within {_SANDBOX_TIMEOUT_S:g} s.")
        return
    if not report.gaps and not report.refused:
        yield Check("Sandbox", "ok", f"commands are confined by {report.tier}")
        return
    from octavo.sandbox.refusal import advice, causes

    gaps = ", with gaps" if report.gaps else ""
    mend = advice(report.refused) if report.refused else ""
    yield Check("Sandbox", "warn", f"Commands are confined by {report.tier}{gaps}.", mend)
    for gap in report.gaps:
        yield Check("Sandbox", "warn", f"Gap: {gap}")
    for why in report.refused:
        yield Check("Sandbox", "warn", f"A better one does not work: {why}.")
    for cause in causes(report.refused):
        yield Check("Sandbox", "warn", f"{cause}.")


def _key(loaded: Loaded, env: Mapping[str, str]) -> Iterator[Check]:
    provider, config = find_provider(None, loaded.settings, env)
    found = find_key(provider, config, loaded, env)
    if found is not None:
        yield Check("Key", "ok", f"{provider}: {masked(found.key)} {found.where}")
    elif needs_key(config):
        mend = config.env_key_instructions or f"Run `octavo login --provider {provider}`."
        yield Check("Key", "fail", f"There is no key for {provider}.", mend)
    else:
        yield Check("Key", "ok", f"{provider} needs none")


_API = {
    "auto": "the Responses API, or Chat Completions if it has none",
    "responses": "the Responses API",
    "chat": "Chat Completions",
    "anthropic": "the Messages API",
}


def _provider(loaded: Loaded, env: Mapping[str, str]) -> Iterator[Check]:
    from octavo.model.probe import probe
    from octavo.model.registry import resolve

    settings = loaded.settings
    name, config = find_provider(None, settings, env)
    stored = read_key(name, home=loaded.home)
    table = settings.model_providers
    try:
        provider = resolve(name, table, env, stored, openai_base_url=settings.openai_base_url)
    except ConfigError:
        if find_key(name, config, loaded, env) is not None or not needs_key(config):
            raise
        # That the key is missing has been said; whether the address answers is still worth it.
        provider = resolve(name, table, env, "none", openai_base_url=settings.openai_base_url)
    status = anyio.run(probe, provider, env)
    where = f"{provider.name} at {provider.base_url}"
    if status in (401, 403):
        yield Check(
            "Provider",
            "fail",
            f"{where} answers, but refuses the key (HTTP {status}).",
            f"Run `octavo login --provider {name}` with a valid key.",
        )
    elif status >= 500:
        yield Check("Provider", "warn", f"{where} answers with HTTP {status}.", "Try again later.")
    else:
        yield Check("Provider", "ok", f"{where} answers; it is asked in {_API[provider.wire_api]}")
