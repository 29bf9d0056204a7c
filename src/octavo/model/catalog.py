"""What is known about models: how much they read, and how they like their tools.

`MODELS` below is the source, edited by hand; it is Python because a TOML file would cost every
start 10 ms to read. Nothing here says that a model exists or may be used: the provider says that.
A model that is not listed works, with every tool.
"""

from __future__ import annotations

from typing import Literal

import msgspec

DEFAULT_OPENAI_MODEL = "gpt-6.1-sol"
"""What one OpenAI key makes work: the model its maker names for complex coding."""


class ModelInfo(msgspec.Struct, frozen=True):
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
    known: bool = True
    """False for the fallback: what it says is a cautious guess."""


FALLBACK = ModelInfo(images=True, known=False)
"""For a model that is not listed. Images are let through: its server knows better than we do."""


def find(model: str) -> ModelInfo:
    """Return what is known about `model`, whatever its provider puts before or after its name.

    `openai/gpt-5.5`, `gpt-5.5-2026-04-23` and `gpt-5.5` are one model; `qwen3-coder:30b` is of
    the family `qwen3-coder`.
    """
    name = model.rpartition("/")[2].lower()
    exact = MODELS.get(name)
    if exact is not None:
        return exact
    families = [family for family in MODELS if _belongs(name, family)]
    return MODELS[max(families, key=len)] if families else FALLBACK


def _belongs(name: str, family: str) -> bool:
    """Say whether `name` is `family` with a date, a size or a tag behind it."""
    rest = name.removeprefix(family)
    if rest == name:
        return False
    return rest[0] in ":@" or (rest[0] in "-_." and (family in _FAMILIES or rest[1:2].isdigit()))


_OPENAI = ModelInfo(
    context_window=272_000,
    apply_patch="freeform",
    efforts=("none", "low", "medium", "high", "xhigh"),
    default_effort="medium",
    summaries=True,
    verbosity=True,
    web_search=True,
    images=True,
)
_GPT_5_6 = msgspec.structs.replace(
    _OPENAI,
    max_context_window=872_000,
    efforts=("none", "low", "medium", "high", "xhigh", "max"),
)
_GPT_6 = _GPT_5_6
_GPT_6_THINKING = msgspec.structs.replace(_GPT_6, efforts=("low", "medium", "high", "xhigh", "max"))
_LOCAL = ModelInfo(context_window=32_768)
_LOCAL_LONG = ModelInfo(context_window=131_072)
_GPT_OSS = ModelInfo(
    context_window=131_072, efforts=("low", "medium", "high"), default_effort="medium"
)

MODELS: dict[str, ModelInfo] = {
    "gpt-6-astra": _GPT_6_THINKING,
    "gpt-6.2-sol": _GPT_6_THINKING,
    "gpt-6.1-sol": _GPT_6_THINKING,
    "gpt-6.1-terra": _GPT_6,
    "gpt-6-sol": _GPT_6,
    "gpt-6-terra": _GPT_6,
    "gpt-6-luna": _GPT_6,
    "gpt-5.6-sol": _GPT_5_6,
    "gpt-5.6-terra": _GPT_5_6,
    "gpt-5.6-luna": _GPT_5_6,
    "gpt-5.5": _OPENAI,
    "gpt-5.4": msgspec.structs.replace(_OPENAI, max_context_window=872_000),
    "gpt-5.4-mini": _OPENAI,
    "gpt-5.3-codex": msgspec.structs.replace(_OPENAI, efforts=("low", "medium", "high", "xhigh")),
    "gpt-4.1": ModelInfo(context_window=1_000_000, web_search=True, images=True),
    # Open models, as local servers name them. The window is what they were trained for; the
    # server may have been started with less.
    "gpt-oss": _GPT_OSS,
    "qwen3-coder": ModelInfo(context_window=262_144),
    "qwen3": ModelInfo(context_window=40_960),
    "qwen2.5-coder": _LOCAL,
    "devstral": ModelInfo(context_window=131_072, images=True),
    "mistral-small": ModelInfo(context_window=131_072, images=True),
    "codestral": _LOCAL,
    "deepseek-r1": _LOCAL_LONG,
    "deepseek-v3": _LOCAL_LONG,
    "deepseek-coder-v2": _LOCAL_LONG,
    "glm-4.6": ModelInfo(context_window=200_000),
    "glm-4.5": _LOCAL_LONG,
    "kimi-k2": ModelInfo(context_window=262_144),
    "llama3": _LOCAL_LONG,
    "llama3.1": _LOCAL_LONG,
    "llama3.2": _LOCAL_LONG,
    "llama3.3": _LOCAL_LONG,
    "llama4": ModelInfo(context_window=1_000_000, images=True),
    "gemma3": ModelInfo(context_window=131_072, images=True),
    "phi4": ModelInfo(context_window=16_384),
}
_FAMILIES = frozenset(name for name in MODELS if not name.startswith("gpt-") or name == "gpt-oss")
"""Names that anything may follow: `devstral-small-2`, `gpt-oss-120b`, `qwen3-coder-next`."""
