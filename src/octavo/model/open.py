"""A provider becomes a model: the one place that knows which wires there are.

A wire's module is imported when it is used, and not before; what all of them need, with this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from octavo.model import Model, Provider
from octavo.model.providers import exchange as exchange  # where imports are cheap: see octavo.late


def open_model(provider: Provider, notice: Callable[[str], None]) -> Model:
    """Return the model behind `provider`; nothing is sent yet.

    Args:
        provider: where, how, and in which API.
        notice: told what a person should know.

    Raises:
        ConfigError: the provider's settings cannot be used.
    """
    match provider.wire_api:
        case "responses":
            from octavo.model.providers.responses import Responses

            return Responses(provider)
        case "chat":
            from octavo.model.providers.chat import Chat

            return Chat(provider)
        case "anthropic":
            from octavo.model.providers.messages import Messages

            return Messages(provider)
        case "auto":
            from octavo.model.providers.either import Either

            return Either(provider, notice)
        case _:
            assert_never(provider.wire_api)
