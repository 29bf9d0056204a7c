"""Asking the scripted model through the real providers."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

from octavo.model import Chunk, ItemDone, Model, Prompt, Provider
from octavo.model.open import open_model
from octavo.trial.scripted import Server

PROMPT = Prompt(
    model="scripted", input=(b'{"role":"user","content":"Hi."}',), tools=b"[]", cache_key="t1"
)


def provider_of(base_url: str, **settings: Any) -> Provider:
    """Return a provider at `base_url`."""
    return Provider(**{"id": "trial", "name": "Trial", "base_url": base_url, **settings})


def model_at(base_url: str, **settings: Any) -> Model:
    """Return the model at `base_url`; `wire_api` says how it is spoken to."""
    return open_model(provider_of(base_url, **settings), no_notice)


def no_notice(text: str) -> None:
    """Take no notice where none is due."""
    raise AssertionError(text)


def dones(chunks: list[Chunk]) -> list[ItemDone]:
    """Return the finished items among `chunks`."""
    return [chunk for chunk in chunks if isinstance(chunk, ItemDone)]


async def ask(server: Server, prompt: Prompt = PROMPT, **settings: Any) -> list[Chunk]:
    """Return every chunk of one answer."""
    return await ask_at(server.base_url, prompt, **settings)


async def ask_at(base_url: str, prompt: Prompt = PROMPT, **settings: Any) -> list[Chunk]:
    """Return every chunk of one answer of whoever is at `base_url`."""
    model = model_at(base_url, **settings)
    async with aclosing(model.stream(prompt)) as chunks:
        return [chunk async for chunk in chunks]
