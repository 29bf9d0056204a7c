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

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Least first."""
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
    thinking: Literal["adaptive", "budget"] | None = None
    """Messages API: how the model is told to think; None: it is not told."""
    bound_thinking: bool = False
    """Messages API: thinking is refused when anything before it has changed, unless told else."""
    instructions: Literal["developer", "system"] = "system"
    """Chat Completions: the role of octavo's instructions. Many know "system", and only first."""
    reasoning_back: bool = False
    """Chat Completions: a call without `reasoning_content` is refused, even if it had none."""
    json_schema: bool = True
    """Chat Completions: answers can be held to a schema, and not only to JSON."""
    family: bool = False
    """Names that continue this one mean it, too: `devstral-small-2` is a `devstral`."""
    known: bool = True
    """False for the fallback: what it says is a cautious guess."""


class Catalog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that is known, by model."""

    default_openai_model: str
    """What one OpenAI key makes work: the model its maker names for complex coding."""
    default_anthropic_model: str
    """The same for Anthropic."""
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


def default_model(provider: str) -> str | None:
    """Return the model to use at `provider` when none is chosen; None if there is none."""
    if provider == "openai":
        return catalog().default_openai_model
    return catalog().default_anthropic_model if provider == "anthropic" else None


def nearest_effort(info: ModelInfo, effort: str | None) -> str | None:
    """Return the effort to ask for: `effort`, or the most that is known to be less than it.

    None if the model takes no such setting. Of a model that is not known, nothing is assumed.
    """
    if effort is None or not info.known or effort in info.efforts:
        return effort
    if effort not in EFFORTS:
        return info.default_effort
    place = EFFORTS.index(effort)
    fitting = [known for known in info.efforts if known in EFFORTS[: place + 1]]
    if fitting:
        return fitting[-1]
    return info.efforts[0] if info.efforts else None


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
