"""The settings themselves: what holds, who says so, and the person's own file, changed.

A client is the person's face, and may write what they could write with an editor. Only their own
file is written, and what is written would load; see `config.change`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio.to_thread
import msgspec

from octavo.config.change import ChangeRefused, change, version_of
from octavo.config.edit import Edit
from octavo.config.keys import Key, dotted, parse_key
from octavo.config.layers import Source
from octavo.config.load import Loaded
from octavo.config.masks import masked, masked_table
from octavo.config.paths import config_file, octavo_home, profile_file, read_private
from octavo.config.tables import LIMIT_BYTES
from octavo.protocol import methods as m
from octavo.protocol import settings as s
from octavo.protocol.errors import ConfigError, UsageError
from octavo.rpc import INVALID_REQUEST, RpcError
from octavo.server.connection import Handler, Request
from octavo.server.server import Server
from octavo.server.settings import load_for

_LAYERS = ("system", "user", "profile", "project", "override", "flag")


async def read_config(request: Request) -> s.ConfigReadResult:
    """config/read"""
    params = request.params(s.ConfigReadParams)
    loaded = load_for(request.server, params.cwd)
    config = masked_table(msgspec.to_builtins(loaded.settings))
    config["tools"] = None  # a switch here, and a table of other things there
    if config["sandbox_mode"] == "external":  # a word that clients do not have
        config["sandbox_mode"] = "danger-full-access"
    told = _Told(request.server.launch.profile)
    origins = {key: told.origin(source) for key, source in loaded.sources.items()}
    layers = _layers(loaded, told) if params.include_layers else None
    return s.ConfigReadResult(config, origins, layers)


def _layers(loaded: Loaded, told: _Told) -> tuple[s.ConfigLayer, ...]:
    found = {layer.source: masked_table(layer.table) for layer in loaded.layers}
    if loaded.has_own:
        found.setdefault(Source("user", config_file(loaded.home)), {})
    ordered = sorted(
        enumerate(found), key=lambda item: (_LAYERS.index(item[1].layer), item[0]), reverse=True
    )
    return tuple(
        s.ConfigLayer(told.origin(source).name, told.origin(source).version, found[source])
        for _, source in ordered
    )


class _Told:
    """Sources as the wire says them; each file is read once."""

    def __init__(self, profile: str | None) -> None:
        self._profile = profile
        self._known: dict[Source, s.ConfigOrigin] = {}

    def origin(self, source: Source) -> s.ConfigOrigin:
        if source not in self._known:
            self._known[source] = self._origin(source)
        return self._known[source]

    def _origin(self, source: Source) -> s.ConfigOrigin:
        file = source.file
        if file is None:
            return s.ConfigOrigin(s.ConfigSource("sessionFlags"), "")
        version = version_of(read_private(file, limit_bytes=LIMIT_BYTES) or b"")
        match source.layer:
            case "project":
                found = s.ConfigSource("project", dot_codex_folder=str(file.parent))
            case "system":
                found = s.ConfigSource("system", str(file))
            case "profile":
                found = s.ConfigSource("user", str(file), self._profile)
            case _:
                found = s.ConfigSource("user", str(file))
        return s.ConfigOrigin(found, version)


async def write_value(request: Request) -> s.ConfigWriteResult:
    """config/value/write"""
    params = request.params(s.ConfigValueWriteParams)
    edits = [_edit(params.key_path, params.value, params.merge_strategy)]
    return await _write(request.server, edits, params.file_path, params.expected_version)


async def write_batch(request: Request) -> s.ConfigWriteResult:
    """config/batchWrite"""
    params = request.params(s.ConfigBatchWriteParams)
    edits = [_edit(edit.key_path, edit.value, edit.merge_strategy) for edit in params.edits]
    return await _write(request.server, edits, params.file_path, params.expected_version)


async def read_requirements(request: Request) -> s.ConfigRequirementsReadResult:
    """configRequirements/read"""
    request.params(m.Nothing)
    return s.ConfigRequirementsReadResult()


def _edit(key_path: str, value: Any, strategy: s.MergeStrategy) -> Edit:
    try:
        return Edit(parse_key(key_path), value, strategy == "upsert")
    except UsageError as error:
        raise _refusal(str(error), "configValidationError") from error


async def _write(
    server: Server, edits: Sequence[Edit], file_path: str | None, expected: str | None
) -> s.ConfigWriteResult:
    file, real = _writable(server, file_path)
    env = server.launch.env
    try:
        version = await anyio.to_thread.run_sync(
            lambda: change(file, edits, env=env, expected_version=expected)
        )
    except ChangeRefused as refused:
        raise _refusal(str(refused), refused.kind) from refused
    except ConfigError as error:
        raise _refusal(str(error), "configValidationError") from error
    overridden = _overridden(server, file, [edit.key for edit in edits])
    return s.ConfigWriteResult(
        "ok" if overridden is None else "okOverridden",
        version,
        real,
        overridden,
    )


def _writable(server: Server, file_path: str | None) -> tuple[Path, str]:
    """Return the file to write, by default the person's own, and where it really is."""
    launch = server.launch
    home = octavo_home(launch.env)
    own = config_file(home)
    files = [own] if launch.profile is None else [own, profile_file(home, launch.profile)]
    if launch.ignore_user_config:
        why = "This server was started without your own settings, and leaves them alone."
        raise _refusal(why, "configLayerReadonly")
    if file_path is None:
        return own, os.path.realpath(own)
    if "\0" not in file_path:
        asked = os.path.realpath(file_path)
        for file in files:
            if os.path.isabs(file_path) and asked == os.path.realpath(file):
                return file, asked
    raise _refusal(
        f"Only your own settings are written, which are in {own}.", "configLayerReadonly"
    )


def _overridden(server: Server, file: Path, keys: Sequence[Key]) -> s.OverriddenMetadata | None:
    """Return what is stronger than the first of `keys` that does not count here, if one does."""
    try:
        loaded = load_for(server)
    except ConfigError:  # of another layer; what was written is right
        return None
    own = next((n for n, at in enumerate(loaded.layers) if at.source.file == file), None)
    stronger = loaded.layers if own is None else loaded.layers[own + 1 :]
    sources = {layer.source for layer in stronger if layer.source.layer not in ("system", "user")}
    for key in keys:
        for name, source in loaded.sources.items():
            if source in sources and (name == dotted(key) or name.startswith(dotted(key) + ".")):
                value: Any = msgspec.to_builtins(loaded.settings)
                for part in parse_key(name):
                    value = value.get(part) if isinstance(value, dict) else None
                layer = _Told(server.launch.profile).origin(source)
                where = source.file or "the command line"
                said = f"{name} is set in {where}, too, which is stronger."
                return s.OverriddenMetadata(said, layer, masked(parse_key(name), value))
    return None


def _refusal(text: str, kind: str) -> RpcError:
    data = {"config_write_error_code": kind, "code": "config.write"}
    return RpcError(INVALID_REQUEST, text, data)


HANDLERS: dict[str, Handler] = {
    s.CONFIG_READ.name: read_config,
    s.CONFIG_VALUE_WRITE.name: write_value,
    s.CONFIG_BATCH_WRITE.name: write_batch,
    s.CONFIG_REQUIREMENTS.name: read_requirements,
}
