"""What is known about models: how much they read, and how they like their tools.

`models.toml` is the source, edited by hand; `make models` writes `models.json` from it, which is
what is read here, because reading TOML would cost every start 10 ms. Nothing here says that a model
exists or may be used: the provider says that. A model that is not listed works, with every tool.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

SOURCE = Path(__file__).with_name("models.toml")
COMPILED = Path(__file__).with_name("models.json")


class ModelInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What octavo needs to know about a model."""

    context_window: int = 128_000
    """Tokens of prompt and answer together, as far as octavo fills them."""
    max_context_window: int | None = None
    """What `model_context_window` may raise it to, where the provider charges more for it."""
    apply_patch: Literal["freeform", "function"] = "function"
    efforts: tuple[str, ...] = ()
    """Reasoning efforts it accepts, least first; empty: it takes no such setting."""
    default_effort: str | None = None
    """None leaves it to the model."""
    summaries: bool = False
    """It can summarise its reasoning."""
    verbosity: bool = False
    """It accepts `text.verbosity`."""
    parallel_calls: bool = True
    web_search: bool = False
    """Its provider can search the web for it."""
    images: bool = False
    max_output: int = 32_000
    """Tokens of one answer, reasoning included. Sent where the API wants a limit."""
    family: bool = False
    """Names that continue this one mean it, too: `devstral-small-2` is a `devstral`."""
    known: bool = True
    """False for the fallback: what it says is a cautious guess."""


class Catalog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that is known, by model."""

    default_openai_model: str
    """What one OpenAI key makes work: the model its maker names for complex coding."""
    models: dict[str, ModelInfo]


FALLBACK = ModelInfo(images=True, known=False)
"""For a model that is not listed. Images are let through: its server knows better than we do."""


@cache
def catalog() -> Catalog:
    """Return the catalog that octavo ships."""
    return msgspec.json.decode(COMPILED.read_bytes(), type=Catalog)


def default_openai_model() -> str:
    """Return the model to use when there is a key for OpenAI and no other choice."""
    return catalog().default_openai_model


def find(model: str) -> ModelInfo:
    """Return what is known about `model`, whatever its provider puts before or after its name.

    `openai/gpt-5.5`, `gpt-5.5-2026-04-23` and `gpt-5.5` are one model; `qwen3-coder:30b` is of
    the family `qwen3-coder`.
    """
    name, models = model.rpartition("/")[2].lower(), catalog().models
    exact = models.get(name)
    if exact is not None:
        return exact
    families = [family for family, info in models.items() if _belongs(name, family, info)]
    return models[max(families, key=len)] if families else FALLBACK


def _belongs(name: str, family: str, info: ModelInfo) -> bool:
    """Say whether `name` is `family` with a date, a size or a tag behind it."""
    rest = name.removeprefix(family)
    if rest == name:
        return False
    return rest[0] in ":@" or (rest[0] in "-_." and (info.family or rest[1:2].isdigit()))
