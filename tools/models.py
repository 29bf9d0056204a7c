"""Writes src/octavo/model/models.json and prices.json from models.toml, every `like` resolved."""

from __future__ import annotations

import sys
import tomllib
from typing import Any

import msgspec

from octavo.model import prices
from octavo.model.catalog import COMPILED, SOURCE, Catalog


def compiled() -> bytes:
    """Return what models.json must hold.

    Raises:
        msgspec.ValidationError: an entry has a field that models do not have, or a wrong value.
        KeyError: `like` names a model that is not listed.
    """
    table = tomllib.loads(SOURCE.read_text())
    del table["prices"]
    models: dict[str, dict[str, Any]] = table["models"]
    table["models"] = {name: _resolved(name, models, ()) for name in models}
    catalog = msgspec.convert(table, Catalog)
    slim = {
        "default_openai_model": catalog.default_openai_model,
        "default_anthropic_model": catalog.default_anthropic_model,
        "models": table["models"],
    }
    return msgspec.json.format(msgspec.json.encode(slim), indent=1) + b"\n"


def compiled_prices() -> bytes:
    """Return what prices.json must hold; raises as `compiled` does."""
    table = tomllib.loads(SOURCE.read_text())["prices"]
    models: dict[str, dict[str, Any]] = table["models"]
    table["models"] = {name: _resolved(name, models, ()) for name in models}
    msgspec.convert(table, prices.Table)
    return msgspec.json.format(msgspec.json.encode(table), indent=1) + b"\n"


def _resolved(
    name: str, models: dict[str, dict[str, Any]], seen: tuple[str, ...]
) -> dict[str, Any]:
    entry = dict(models[name])
    base = entry.pop("like", None)
    if base is None:
        return entry
    if base in seen:
        raise ValueError(f"{name} is like itself: {' → '.join((*seen, base))}")
    inherited = _resolved(base, models, (*seen, name))
    inherited.pop("family", None)
    return {**inherited, **entry}


def main() -> int:
    """Write the files and say so."""
    for file, data in ((COMPILED, compiled()), (prices.COMPILED, compiled_prices())):
        file.write_bytes(data)
        print(f"wrote {file.name}: {len(msgspec.json.decode(data)['models'])} models")
    return 0


if __name__ == "__main__":
    sys.exit(main())
