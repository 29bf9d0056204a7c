"""Which providers there are, and how a name in the configuration becomes a `Provider`.

Keys are read from the environment here and nowhere else; they end in `Provider.api_key` and are
never part of a message.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from octavo.config.settings import ProviderConfig
from octavo.model import Provider
from octavo.protocol.errors import ConfigError

KEY_VARIABLES = ("OPENAI_API_KEY", "CODEX_API_KEY")
LOCAL_PROBE_TIMEOUT_S = 0.5
_MAX_LIST_BYTES = 4 << 20


class Local(msgspec.Struct, frozen=True):
    """A server that runs on the user's own machine."""

    name: str
    port: int
    start: str
    """The command that starts it."""
    url_variable: str | None = None
    """The variable in which the server's own tools look for its address."""


LOCALS = {
    "ollama": Local("Ollama", 11434, "ollama serve", "OLLAMA_HOST"),
    "lmstudio": Local("LM Studio", 1234, "lms server start"),
    "vllm": Local("vLLM", 8000, "vllm serve MODEL"),
    "llamacpp": Local("llama.cpp", 8080, "llama-server --jinja -m MODEL.gguf"),
}


def built_in(env: Mapping[str, str]) -> dict[str, ProviderConfig]:
    """Return the providers that need no configuration."""
    openai = ProviderConfig(
        name="OpenAI",
        base_url="https://api.openai.com/v1",
        requires_openai_auth=True,
        wire_api="responses",
    )
    anthropic = ProviderConfig(
        name="Anthropic",
        base_url="https://api.anthropic.com/v1",
        env_key="ANTHROPIC_API_KEY",
        wire_api="anthropic",
    )
    locals_ = {
        id: ProviderConfig(name=local.name, base_url=_local_url(local, env))
        for id, local in LOCALS.items()
    }
    return {"openai": openai, "anthropic": anthropic, **locals_}


def known_providers(
    table: Mapping[str, ProviderConfig], env: Mapping[str, str]
) -> dict[str, ProviderConfig]:
    """Return all providers: the built-in ones, and those of `table`, which count before them.

    A table that gives a built-in provider no other address only adjusts it. One that does replaces
    all of it: a key that is meant for one address is not sent to another.
    """
    known = built_in(env)
    return {**known, **{id: _adjusted(config, known.get(id)) for id, config in table.items()}}


def _adjusted(config: ProviderConfig, base: ProviderConfig | None) -> ProviderConfig:
    if base is None or config.base_url is not None:
        return config
    return msgspec.structs.replace(
        config,
        name=config.name or base.name,
        base_url=base.base_url,
        env_key=config.env_key or base.env_key,
        wire_api=config.wire_api or base.wire_api,
    )


def resolve(
    provider_id: str,
    table: Mapping[str, ProviderConfig],
    env: Mapping[str, str],
    stored_key: str | None = None,
    *,
    openai_base_url: str | None = None,
) -> Provider:
    """Return the provider called `provider_id`, ready to be asked.

    Args:
        provider_id: a built-in name or one of `table`'s.
        table: `[model_providers]` of the configuration; it may adjust or replace built-in ones but
            `openai`.
        env: where keys and headers are looked up.
        stored_key: what `octavo login` stored, if anything.
        openai_base_url: another address for `openai`.

    Raises:
        ConfigError: there is no such provider, its key is missing, or its settings make no sense.
    """
    known = known_providers(table, env)
    if "openai" in table:
        raise ConfigError(
            "[model_providers.openai] would replace the built-in provider.",
            hint="Set openai_base_url, or give the table another name.",
        )
    config = known.get(provider_id)
    if config is None:
        raise _unknown(provider_id, known)
    if provider_id == "openai" and openai_base_url:
        config = msgspec.structs.replace(config, base_url=openai_base_url)
    if not config.base_url:
        raise ConfigError(
            f"Provider {provider_id!r} has no base_url.",
            hint=f'Add base_url = "https://…/v1" to [model_providers.{provider_id}].',
        )
    if not config.base_url.startswith(("http://", "https://")):
        raise ConfigError(
            f"Provider {provider_id!r} has base_url {config.base_url!r}, which is no web address.",
            hint="It begins with https:// or http://.",
        )
    from_env = {
        header: env[variable]
        for header, variable in config.env_http_headers.items()
        if env.get(variable, "").strip()
    }
    return Provider(
        id=provider_id,
        name=config.name or provider_id,
        base_url=config.base_url.rstrip("/"),
        api_key=_key(provider_id, config, env, stored_key),
        http_headers={**config.http_headers, **from_env},
        query_params=config.query_params,
        wire_api=config.wire_api or "auto",
        request_max_retries=config.request_max_retries,
        stream_max_retries=config.stream_max_retries,
        stream_idle_timeout_ms=config.stream_idle_timeout_ms,
    )


def _key(
    provider_id: str, config: ProviderConfig, env: Mapping[str, str], stored_key: str | None
) -> str | None:
    """Return the key to send; None where the provider needs none."""
    if config.experimental_bearer_token:
        return config.experimental_bearer_token.strip()
    variables: tuple[str, ...] = (config.env_key,) if config.env_key else ()
    if not variables and config.requires_openai_auth:
        variables = KEY_VARIABLES
    for variable in variables:
        key = env.get(variable, "").strip()
        if key:
            return key
    if stored_key and stored_key.strip():
        return stored_key.strip()
    if not variables:
        return None
    missing = f"Provider {provider_id!r} needs a key, and {variables[0]} is not set."
    if config.env_key:
        login = f"octavo login --provider {provider_id}"
        hint = (
            config.env_key_instructions
            or f"Set it: export {config.env_key}=…; or store one with `{login}`."
        )
    else:
        hint = (
            f"Run `octavo login`, or set {KEY_VARIABLES[0]}; or use a model on this machine with"
            " --oss."
        )
    raise ConfigError(missing, hint=hint)


def _unknown(provider_id: str, known: Mapping[str, ProviderConfig]) -> ConfigError:
    from difflib import get_close_matches

    near = get_close_matches(provider_id, known, n=1)
    guess = f"Did you mean {near[0]!r}? " if near else ""
    return ConfigError(
        f"There is no model provider {provider_id!r}.",
        hint=f"{guess}There are: {', '.join(sorted(known))}. Others are added under"
        f" [model_providers.{provider_id}].",
    )


async def detect_local(
    preferred: str | None, env: Mapping[str, str]
) -> tuple[Provider, tuple[str, ...]]:
    """Find a model server on this machine; return it and the models it lists.

    Args:
        preferred: look for this one only; None takes the first of `LOCALS` that answers.
        env: where the servers' own address variables are looked up.

    Raises:
        ConfigError: none is running, or there is no such local provider.
    """
    if preferred is not None and preferred not in LOCALS:
        raise ConfigError(
            f"There is no local provider {preferred!r}.",
            hint=f"There are: {', '.join(LOCALS)}.",
        )
    import anyio

    wanted = [preferred] if preferred else list(LOCALS)
    found: dict[str, tuple[str, ...]] = {}

    async def look(provider_id: str) -> None:
        models = await _models_of(resolve(provider_id, {}, env))
        if models is not None:
            found[provider_id] = models

    async with anyio.create_task_group() as group:
        for provider_id in wanted:
            group.start_soon(look, provider_id)
    # One that has a model before one that has none; then the order of the table.
    for provider_id in sorted(wanted, key=lambda id: not found.get(id)):
        if provider_id in found:
            return resolve(provider_id, {}, env), found[provider_id]
    starts = " or ".join(f"`{LOCALS[id].start}`" for id in wanted)
    place = ", ".join(f"{LOCALS[id].name} (port {LOCALS[id].port})" for id in wanted)
    raise ConfigError(
        f"No local model server answers; looked for {place}.", hint=f"Start one: {starts}."
    )


async def _models_of(provider: Provider) -> tuple[str, ...] | None:
    """Return the models that a local server lists; None if it does not answer as one."""
    import anyio
    from pyqwest import Client

    from octavo.model.http import open_transport

    transport = open_transport(provider.base_url, {}, idle_timeout_s=LOCAL_PROBE_TIMEOUT_S)
    with anyio.move_on_after(LOCAL_PROBE_TIMEOUT_S):
        try:
            response = await Client(transport).get(f"{provider.base_url}/models")
        except Exception:  # noqa: BLE001 - whatever goes wrong, it is no server of ours
            return None
        if response.status != 200 or len(response.content) > _MAX_LIST_BYTES:
            return None
        try:
            listed = msgspec.json.decode(response.content, type=_Models)
        except msgspec.DecodeError:
            return None
        return tuple(model.id for model in listed.data or ())
    return None


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model] | None
    """Null where there is no model yet; a server without such a field is of another kind."""


def _local_url(local: Local, env: Mapping[str, str]) -> str:
    """Return where a local server listens, as its own variable has it if there is one."""
    host = env.get(local.url_variable or "", "").strip().rstrip("/")
    if not host:
        return f"http://127.0.0.1:{local.port}/v1"
    scheme, _, rest = host.rpartition("://")
    name, colon, port = rest.rpartition(":")
    if not colon or not port.isdigit():
        name, port = rest, str(local.port)
    # A server told to listen everywhere is reached here.
    name = "127.0.0.1" if name in ("", "0.0.0.0") else name
    return f"{scheme or 'http'}://{name}:{port}/v1"
