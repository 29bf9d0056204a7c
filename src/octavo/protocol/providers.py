"""Where models can be reached. Names and shapes are the app-server's v2."""

# No `annotations` of the future: msgspec would have to evaluate their text when this is loaded.

from typing import Literal

import msgspec

from octavo.protocol.methods import Method, Nothing


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    pass


class ProviderAuth(_Wire, frozen=True):
    """Where a provider's key comes from. The key itself is never told."""

    mode: Literal["none", "environmentVariable", "externallyConfigured"]
    env_key: str | None | msgspec.UnsetType = msgspec.UNSET


class ProviderSettings(_Wire, frozen=True):
    """What kind of provider it is."""

    type_: Literal["openai", "customGateway"] = msgspec.field(name="type")
    auth: ProviderAuth | msgspec.UnsetType = msgspec.UNSET


class ModelProvider(_Wire, frozen=True):
    """`base_url`: without what could be a password; null where there is none."""

    id: str
    name: str
    base_url: str | None
    settings: ProviderSettings
    can_edit: bool = False
    octavo_wire_api: str | None = None
    """"responses", "chat" or "anthropic"; null where it is found out."""


class ModelProviderListResult(_Wire, frozen=True):
    """`can_change_default`: a client may write another one into the settings."""

    data: tuple[ModelProvider, ...]
    default_provider_id: str
    can_change_default: bool = False


MODEL_PROVIDERS = Method("modelProvider/list", Nothing, ModelProviderListResult)
