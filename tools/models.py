"""Writes src/octavo/model/models.json from models.toml, with every `like` resolved."""

from __future__ import annotations

import sys
import tomllib
from typing import Any

import msgspec

from octavo.model.catalog import COMPILED, SOURCE, Catalog


def compiled() -> bytes:
    """Return what models.json must hold.

    Raises:
        msgspec.ValidationError: an entry has a field that models do not have, or a wrong value.
        KeyError: `like` names a model that is not listed.
    """
    table = tomllib.loads(SOURCE.read_text())
    models: dict[str, dict[str, Any]] = table["models"]
    table["models"] = {name: _resolved(name, models, ()) for name in models}
    catalog = msgspec.convert(table, Catalog)
    slim = {
        "default_openai_model": catalog.default_openai_model,
        "default_anthropic_model": catalog.default_anthropic_model,
        "models": table["models"],
    }
    return msgspec.json.format(msgspec.json.encode(slim), indent=1) + b"\n"


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
    """Write the file and say so."""
    COMPILED.write_bytes(compiled())
    print(
        f"wrote {COMPILED.name}: {len(msgspec.json.decode(COMPILED.read_bytes())['models'])} models"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
