"""Which key a provider would be asked with, for `login` and `doctor`."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from octavo.config.load import Loaded
from octavo.config.settings import ProviderConfig, Settings
from octavo.protocol.errors import UsageError


class Found(msgspec.Struct, frozen=True):
    """A key, and where it is, in words."""

    key: str
    where: str


def find_provider(
    name: str | None, settings: Settings, env: Mapping[str, str]
) -> tuple[str, ProviderConfig]:
    """Return the provider that is meant, `name` or else the one configured, and its settings.

    Raises:
        UsageError: there is none of that name.
    """
    from octavo.model.registry import known_providers

    chosen = name or settings.model_provider or "openai"
    known = known_providers(settings.model_providers, env)
    if chosen not in known:
        raise UsageError(
            f"There is no provider {chosen!r}.",
            hint=f"There are: {', '.join(sorted(known))}. Add others under [model_providers.NAME].",
        )
    return chosen, known[chosen]


def needs_key(config: ProviderConfig) -> bool:
    """Whether requests to the provider carry a key that a person must give."""
    return config.requires_openai_auth or bool(config.env_key)


def find_key(
    provider: str, config: ProviderConfig, loaded: Loaded, env: Mapping[str, str]
) -> Found | None:
    """Return the key a request would carry: from the settings, the environment, or the store.

    Raises:
        ConfigError: a key is stored but cannot be read.
    """
    from octavo.config.auth import read_key, stored_keys
    from octavo.model.registry import KEY_VARIABLES

    if config.experimental_bearer_token:
        return Found(config.experimental_bearer_token, "in the settings")
    variables: tuple[str, ...] = (config.env_key,) if config.env_key else ()
    if not variables and config.requires_openai_auth:
        variables = KEY_VARIABLES
    for name in variables:
        key = env.get(name, "").strip()
        if key:
            return Found(key, f"in the environment variable {name}")
    stored = read_key(provider, home=loaded.home)
    if stored is None:
        return None
    place = stored_keys(loaded.home)[provider]
    return Found(stored, "in the system's keyring" if place == "keyring" else "in auth.json")


def masked(key: str) -> str:
    """Show enough of a key to tell it from another, and no more."""
    return f"{key[:3]}…{key[-4:]}" if len(key) >= 20 else "…"
