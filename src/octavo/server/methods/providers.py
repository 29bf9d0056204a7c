"""Where models can be reached."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from octavo.config.settings import ProviderConfig
from octavo.model.registry import known_providers
from octavo.protocol import methods as m
from octavo.protocol import providers as p
from octavo.server.connection import Handler, Request
from octavo.server.settings import load_for


async def list_providers(request: Request) -> p.ModelProviderListResult:
    """modelProvider/list: the default first"""
    request.params(m.Nothing)
    settings = load_for(request.server).settings
    default = settings.model_provider or "openai"
    known = known_providers(settings.model_providers, request.server.launch.env)
    if settings.openai_base_url and "openai" not in settings.model_providers:
        known["openai"] = ProviderConfig(
            name="OpenAI", base_url=settings.openai_base_url, wire_api="responses"
        )
    names = sorted(known, key=lambda name: name != default)
    return p.ModelProviderListResult(tuple(_shown(name, known[name]) for name in names), default)


def _shown(provider_id: str, config: ProviderConfig) -> p.ModelProvider:
    if provider_id == "openai":
        settings = p.ProviderSettings("openai")
    elif config.env_key:
        settings = p.ProviderSettings(
            "customGateway", p.ProviderAuth("environmentVariable", config.env_key)
        )
    else:
        has_key = config.experimental_bearer_token is not None
        auth = p.ProviderAuth("externallyConfigured", None) if has_key else p.ProviderAuth("none")
        settings = p.ProviderSettings("customGateway", auth)
    return p.ModelProvider(
        id=provider_id,
        name=config.name or provider_id,
        base_url=None if config.base_url is None else _without_secrets(config.base_url),
        settings=settings,
        octavo_wire_api=None if config.wire_api == "auto" else config.wire_api,
    )


def _without_secrets(url: str) -> str | None:
    """Return `url` without user, password and query; None when it is no URL."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path, "", "")) if host else None
    except ValueError:
        return None


HANDLERS: dict[str, Handler] = {p.MODEL_PROVIDERS.name: list_providers}
